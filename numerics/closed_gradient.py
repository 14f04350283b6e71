"""∇ℓ of our Transformer by the closed forms of ``layered.py``, for training.

`ClosedGradient` has a model's logits and, to rounding, its gradients. Automatic differentiation
sees one operation from the embedded inputs to f instead of some thirty a block, and the blocks
multiply heads of all sequences in batched products, which short sequences do faster than the fused
attention kernel. Suffixes as in ``block_derivatives.py``, with one model: G = 1.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from numerics.block_derivatives import Weights
from numerics.features import TokenBatch, embed_inputs
from numerics.layered import (
    ModelSteps,
    StackSteps,
    apply_stacks,
    has_closed_form,
    pull_stacks,
    residuals_of,
)
from numerics.models import ModelSpec, Transformer
from numerics.models.attention import Attention
from numerics.residual_blocks import GradientRecorder


def has_closed_gradient(spec: ModelSpec) -> bool:
    """Whether the wiring has closed forms, and no dropout."""
    return has_closed_form(spec) and spec.dropout == 0


class ClosedGradient(nn.Module):
    """A model whose gradients are closed forms; it shares the model's parameters.

    Examples
    --------
    >>> from numerics.schemes import build
    >>> model = build("tfixup", ModelSpec(1, 1), torch.Generator().manual_seed(0))
    >>> tokens = torch.arange(6).view(2, 3)
    >>> ClosedGradient(model)(tokens, tokens).square().mean().backward()
    >>> closed = model.encoder[0].mlp.branch.w1.grad.clone()
    >>> model.zero_grad()
    >>> model(tokens, tokens).square().mean().backward()
    >>> torch.allclose(closed, model.encoder[0].mlp.branch.w1.grad, rtol=1e-4, atol=1e-7)
    True
    """

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model
        self._moving = tuple(_moving(model))

    def forward(
        self,
        source_BS: Int[Tensor, "B S"],
        target_BT: Int[Tensor, "B T"],
        padding_BS: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits, as `Transformer.forward`."""
        model = self.model
        if not torch.is_grad_enabled():
            return model(source_BS, target_BT, padding_BS)
        batch = TokenBatch(source_BS, target_BT, padding_BS)
        inputs = embed_inputs(model, batch)
        features_BTD: Any = _ClosedFeatures.apply(
            model, batch, tuple(inputs), *inputs.values(), *self._moving
        )
        table_VD = model.target_embedding if model.output is None else model.output
        return F.linear(features_BTD, table_VD)


def _moving(model: Transformer) -> Iterator[nn.Parameter]:
    """The parameters between the embedded inputs and f."""
    for stack in model.spec.stacks:
        for part in (getattr(model, stack), getattr(model, f"{stack}_norm")):
            if part is not None:
                yield from part.parameters()


class _ClosedFeatures(torch.autograd.Function):
    """Embedded inputs and parameters ↦ f."""

    @staticmethod
    def forward(
        ctx: Any, model: Transformer, batch: TokenBatch, names: tuple[str, ...], *tensors: Tensor
    ) -> Tensor:
        embedded = dict(zip(names, (tensor.detach()[None] for tensor in tensors), strict=False))
        ctx.model, ctx.shapes = model, {name: x.shape[1:] for name, x in embedded.items()}
        ctx.moving = tensors[len(names) :]
        ctx.tapes = apply_stacks([model], [batch], embedded)
        return ctx.tapes.output_GBTD[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor) -> Any:  # type: ignore[override]
        (c_BTD,) = cotangents
        found = pull_stacks(ctx.tapes, [lambda _: c_BTD], GradientRecorder())
        gradients = dict(_by_parameter(ctx.model, found))
        inputs = (found.inputs[name].view(shape) for name, shape in ctx.shapes.items())
        own = (gradients[id(parameter)].view_as(parameter) for parameter in ctx.moving)
        return (None, None, None, *inputs, *own)


def _by_parameter(model: Transformer, found: ModelSteps) -> Iterator[tuple[int, Tensor]]:
    """The gradient of every parameter, by the parameter's identity."""
    for stack in model.spec.stacks:
        steps: StackSteps = getattr(found, stack)
        norm = getattr(model, f"{stack}_norm")
        if norm is not None:
            yield from _named(norm, steps.norm)
        places = residuals_of([getattr(model, stack)], stack)
        for (place, (residual,)), gradients in zip(places, steps.blocks, strict=True):
            yield from _named(residual, gradients)
            whole = _whole(gradients) if isinstance(residual.branch, Attention) else gradients
            yield from _named(residual.branch, whole)
            if residual.norm is not None:
                yield from _named(residual.norm, gradients)
            if "alpha" in gradients:
                yield id(getattr(model, stack)[place.layer].alpha), gradients["alpha"]


def _named(module: nn.Module, gradients: Weights) -> Iterator[tuple[int, Tensor]]:
    for name, parameter in module._parameters.items():
        if parameter is not None:
            yield id(parameter), gradients[name]


def _whole(gradients: Weights) -> Mapping[str, Tensor]:
    """With the gradients of the packed projections under their parameters' names."""
    found = dict(gradients)
    for suffix, name, rows in (("", "in_proj", 1), ("_bias", "in_bias", 2)):
        if "qkv" + suffix in gradients:
            found[name] = gradients["qkv" + suffix]
        elif "q" + suffix in gradients:
            found[name] = torch.cat([gradients[k + suffix] for k in ("q", "kv")], rows)
    return found
