"""A model's gradients for training, by closed forms instead of automatic differentiation.

`ClosedGradient` has a model's logits and, to rounding, its gradients ∇ℓ. Automatic differentiation
then sees one operation from the embedded inputs to f instead of some thirty per block. The blocks
multiply heads of all sequences in batched products, which is faster than the fused attention kernel
where sequences are short. Suffixes as in ``mlp_and_norm.py``, with one model: G = 1.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from numerics.linearization.closed_form.block_weights import StackWeights, gather, residuals_of
from numerics.linearization.closed_form.gradients import Gradients
from numerics.linearization.closed_form.stacks import apply_stacks, pull_stacks
from numerics.models import Transformer
from numerics.models.tokens import TokenBatch, embed_inputs, output_table


class ClosedGradient(nn.Module):
    """A model whose gradients are closed forms; it shares the model's parameters.

    Examples
    --------
    >>> from numerics.models import ModelSpec
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
        self._places = tuple(_places(model))
        self._stacks: dict[str, StackWeights] = {}
        self._gathered_at: list[int] = []

    def forward(
        self,
        source_BS: Int[Tensor, "B S"],
        target_BT: Int[Tensor, "B T"],
        padding_BS: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """The logits, as `Transformer.forward` gives them."""
        model = self.model
        if not torch.is_grad_enabled():
            return model(source_BS, target_BT, padding_BS)
        batch = TokenBatch(source_BS, target_BT, padding_BS)
        inputs = embed_inputs(model, batch)
        moving = [place.parameter for place in self._places]
        # Moving a model to another device or format gives its parameters other memory.
        at = [parameter.data_ptr() for parameter in moving]
        if at != self._gathered_at:
            with torch.no_grad():
                self._stacks, self._gathered_at = gather([model]), at
        work = _Work(self._stacks, model.spec.heads, self._places, batch, tuple(inputs))
        features_BTD: Any = _ClosedFeatures.apply(work, *inputs.values(), *moving)
        return F.linear(features_BTD, output_table(model))


@dataclass(frozen=True)
class _Place:
    """Where the gradient of a parameter between the embedded inputs and f is found."""

    parameter: nn.Parameter
    stack: str
    block: int | None
    """Number of the block in the stack; ``None`` for the norm behind it."""
    name: str
    layer: int | None = None
    """Layer of ReZero's α, which all blocks of a layer share."""


def _places(model: Transformer) -> Iterator[_Place]:
    """Where to find the gradient of every parameter, each once."""
    for stack in model.spec.stacks:
        norm, layers = getattr(model, f"{stack}_norm"), getattr(model, stack)
        if norm is not None:
            yield from _named(norm, stack, None)
        for number, (_, _, residual) in enumerate(residuals_of(model, stack)):
            for module in (residual, residual.branch, residual.norm):
                if module is not None:
                    yield from _named(module, stack, number)
        for layer, module in enumerate(layers):
            alpha = module._parameters.get("alpha")
            if alpha is not None:
                yield _Place(alpha, stack, None, "alpha", layer)


def _named(module: nn.Module, stack: str, block: int | None) -> Iterator[_Place]:
    for name, parameter in module._parameters.items():
        if parameter is not None:
            yield _Place(parameter, stack, block, name)


@dataclass(frozen=True)
class _Work:
    """What a step's forward pass needs, beside the tensors that it differentiates by."""

    stacks: Mapping[str, StackWeights]
    heads: int
    places: tuple[_Place, ...]
    batch: TokenBatch
    inputs: tuple[str, ...]


class _ClosedFeatures(torch.autograd.Function):
    """The map from embedded inputs and parameters to f, as one operation of autograd."""

    @staticmethod
    def forward(ctx: Any, work: _Work, *tensors: Tensor) -> Tensor:
        given = zip(work.inputs, tensors, strict=False)
        embedded = {name: tensor.detach()[None] for name, tensor in given}
        ctx.places, ctx.shapes = work.places, {name: x.shape[1:] for name, x in embedded.items()}
        ctx.tapes = apply_stacks(work.stacks, work.heads, [work.batch], embedded)
        return ctx.tapes.output_GBTD[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor) -> Any:  # type: ignore[override]
        (c_BTD,) = cotangents
        found = pull_stacks(ctx.tapes, [lambda _: c_BTD])
        # (1, N, D) to (B, T, D).
        inputs = (found.embeddings[name].view(shape) for name, shape in ctx.shapes.items())
        own = (_gradient(found, place).view_as(place.parameter) for place in ctx.places)
        return (None, *inputs, *own)


def _gradient(found: Gradients, place: _Place) -> Tensor:
    """The gradient of a parameter; those of the packed projections are found in two pieces."""
    stack = found.stacks[place.stack]
    if place.layer is not None:
        return stack.gates[place.layer]
    held = stack.norm if place.block is None else stack.blocks[place.block]
    packed = _PACKED.get(place.name)
    if packed is None:
        return held[place.name]
    suffix, rows = packed
    if "qkv" + suffix in held:
        return held["qkv" + suffix]
    return torch.cat([held[name + suffix] for name in ("q", "kv")], rows)


_PACKED = {"in_proj": ("", 1), "in_bias": ("_bias", 2)}
"""By parameter: the ending of its pieces' names, and the dimension along which they stand."""
