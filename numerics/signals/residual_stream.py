"""Signals along the residual stream: what enters layer norms, what blocks add, what flows back.

A block's input is x_{i−1}, its branch's output G_i and its own output x_i. Everything is read off
hooks during one call of the model; the call decides what is fed in. Shape suffixes: B sequences,
T tokens, D width.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numerics.models.blocks import Site, watch, watch_norms

Call = Callable[[], Tensor]


def norm_inputs(model: nn.Module, call: Call) -> dict[str, Float[Tensor, "B T *heads"]]:
    """Squared norms ‖x‖² of the tokens that enter each layer norm, by the norm's name, in order.

    Examples
    --------
    >>> from numerics.models.tokens import random_batch
    >>> from numerics.models import ModelSpec
    >>> from numerics.schemes import build
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = build("pre-ln", ModelSpec(1, 1), generator)
    >>> batch = random_batch(model.spec, generator)
    >>> found = norm_inputs(model, lambda: model.features(batch.source_BS, batch.target_BT))
    >>> list(found)[:3]
    ['encoder.0.attention.norm', 'encoder.0.mlp.norm', 'encoder_norm']
    """
    found: dict[str, Tensor] = {}

    def read(name: str, x_BTD: Tensor) -> None:
        found[name] = x_BTD.detach().double().square().sum(-1)

    with watch_norms(model, read):
        call()
    return found


def sites(model: nn.Module, call: Call) -> tuple[Site, ...]:
    """Every residual block's input, branch and output in one call, in order.

    The tensors keep their graph if the call has one.
    """
    with watch(model) as found:
        call()
    return tuple(found)


def stream_gradients(model: nn.Module, call: Call, cotangent: Tensor) -> dict[str, Tensor]:
    """Gradients of ⟨u, f⟩ by the block at whose input they are, in order, then ``output``."""
    output: list[Tensor] = []
    found = sites(model, lambda: output.append(call()) or output[0])
    inputs = [site.before for site in found]
    slopes = torch.autograd.grad(output[0], inputs, cotangent)
    names = [site.name for site in found]
    return dict(zip(names, slopes, strict=True)) | {"output": cotangent}
