"""Signals along the residual stream: what enters layer norms, what blocks add, what flows back.

A *site* is a residual block, in the order of the forward pass, with its input x_{i−1}, its branch's
output G_i and its own output x_i. Everything is read off hooks during one call of the model; the
call decides what is fed in. Shape suffixes: B sequences, T tokens, D width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from numerics.models.hooks import hooked
from numerics.models.wiring import Residual

Call = Callable[[], Tensor]


@dataclass(frozen=True)
class Site:
    """One residual block during one forward pass."""

    name: str
    """Module name, such as ``encoder.3.mlp``."""
    block: Residual
    before: Float[Tensor, "B T D"]
    """x_{i−1}."""
    branch: Float[Tensor, "B T D"]
    """G_i, what is added to the skip path."""
    after: Float[Tensor, "B T D"]
    """x_i."""


def norm_inputs(model: nn.Module, call: Call) -> dict[str, Float[Tensor, "B T"]]:
    """‖x‖² of every token at every layer norm's input, by the norm's name, in order.

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

    def reader(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def read(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            found[name] = arguments[0].detach().double().square().sum(-1)

        return read

    norms = [(name, part) for name, part in model.named_modules() if isinstance(part, nn.LayerNorm)]
    with hooked([part.register_forward_pre_hook(reader(name)) for name, part in norms]):
        call()
    return found


def sites(model: nn.Module, call: Call) -> tuple[Site, ...]:
    """Every residual block's input, branch and output in one call, in order.

    The tensors keep their graph if the call has one.
    """
    found: list[Site] = []
    inputs: dict[str, Tensor] = {}
    branches: dict[str, Tensor] = {}

    def watch(name: str, block: Residual) -> list[torch.utils.hooks.RemovableHandle]:
        def enter(_: nn.Module, arguments: tuple[Any, ...]) -> None:
            inputs[name] = arguments[0]

        def added(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
            branches[name] = output

        def leave(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
            found.append(Site(name, block, inputs.pop(name), branches.pop(name), output))

        return [
            block.register_forward_pre_hook(enter),
            block.dropout.register_forward_hook(added),
            block.register_forward_hook(leave),
        ]

    blocks = [(name, part) for name, part in model.named_modules() if isinstance(part, Residual)]
    with hooked([handle for name, block in blocks for handle in watch(name, block)]):
        call()
    return tuple(found)


def stream_gradients(model: nn.Module, call: Call, cotangent: Tensor) -> dict[str, Tensor]:
    """∂⟨u, f⟩/∂x at every block's input, by the block's name, in order, then at ``output``.

    ``call`` must run with gradients.
    """
    output: list[Tensor] = []
    found = sites(model, lambda: output.append(call()) or output[0])
    inputs = [site.before for site in found]
    slopes = torch.autograd.grad(output[0], inputs, cotangent)
    names = [site.name for site in found]
    return dict(zip(names, slopes, strict=True)) | {"output": cotangent}
