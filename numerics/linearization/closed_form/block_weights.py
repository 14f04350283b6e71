"""The weights of our Transformer's blocks, those of several models side by side, by stack.

Where there is one model they are views of its parameters. So an optimizer that writes to the
parameters moves them too, and a training run gathers them once. Layout as in ``mlp_and_norm.py``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from numerics.linearization.closed_form.mlp_and_norm import Weights
from numerics.models import Transformer, Wiring
from numerics.models.attention import Attention
from numerics.models.blocks import Residual
from numerics.models.wiring import Shortcut


@dataclass(frozen=True)
class NormWeights:
    """Gain γ and bias β of a layer norm, and what is added to the variance."""

    weights: Weights
    eps: float


@dataclass(frozen=True)
class BlockWeights:
    """The weights of one residual block."""

    part: str
    layer: int
    wiring: Wiring
    crosses: bool
    """Whether it attends to the memory."""
    branch: Weights
    projections: Weights | None
    """Attention's projections in the form in which they are multiplied; an MLP has none."""
    norm: NormWeights | None
    shortcut: Tensor | float | None
    """Factor on the skip path, DeepNorm's α or Admin's ω; ``None`` is 1."""
    alpha: Tensor | None
    """ReZero's factor on the branch, which the whole layer shares."""


@dataclass(frozen=True)
class StackWeights:
    """The blocks of a stack in order, and the layer norm behind them."""

    blocks: tuple[BlockWeights, ...]
    norm: NormWeights | None


def gather(models: Sequence[Transformer]) -> dict[str, StackWeights]:
    """The weights of models of one specification, by stack.

    Examples
    --------
    >>> from numerics.models import ModelSpec
    >>> model = Transformer(ModelSpec(1, 2))
    >>> [block.part for block in gather([model])["decoder"].blocks][:2]
    ['decoder.self_attention', 'decoder.cross_attention']
    >>> gather([model, model])["encoder"].blocks[1].branch["w1"].shape
    torch.Size([2, 128, 64])
    """
    return {name: _stack(models, name) for name in models[0].spec.stacks}


def residuals_of(model: Transformer, stack: str) -> Iterator[tuple[str, int, Residual]]:
    """Part, layer and module of every residual block of a stack."""
    for number, layer in enumerate(getattr(model, stack)):
        for name, block in layer._modules.items():
            if isinstance(block, Residual):
                yield f"{stack}.{name}", number, block


def _stack(models: Sequence[Transformer], name: str) -> StackWeights:
    each = zip(*(residuals_of(model, name) for model in models), strict=True)
    layers = [getattr(model, name) for model in models]
    blocks = []
    for same in each:
        part, number, first = same[0]
        residuals = [residual for _, _, residual in same]
        branch = _own_weights([residual.branch for residual in residuals])
        attends = isinstance(first.branch, Attention)
        crosses = part == "decoder.cross_attention"
        alphas = [stack[number]._parameters.get("alpha") for stack in layers]
        blocks.append(
            BlockWeights(
                part,
                number,
                first.wiring,
                crosses,
                branch,
                projections(branch, crosses=crosses) if attends else None,
                _norm([residual.norm for residual in residuals]),
                _shortcut(residuals),
                None if alphas[0] is None else side_by_side(alphas),
            )
        )
    return StackWeights(tuple(blocks), _norm([getattr(model, f"{name}_norm") for model in models]))


def _norm(norms: Sequence[nn.LayerNorm | None]) -> NormWeights | None:
    return None if norms[0] is None else NormWeights(_own_weights(norms), norms[0].eps)


def _shortcut(residuals: Sequence[Residual]) -> Tensor | float | None:
    first = residuals[0]
    if first.omega is not None:
        return side_by_side([residual.omega for residual in residuals])
    return first.shortcut if first.wiring.shortcut is Shortcut.FIXED else None


def projections(held: Weights, *, crosses: bool) -> Weights:
    """Views of the packed projections: q, k, v together, or q apart from k, v."""
    d = held["out_proj"].shape[1]
    found = {}
    for suffix, name, rows in (("", "in_proj", 1), ("_bias", "in_bias", 2)):
        if name not in held:
            continue
        packed = held[name]
        if crosses:
            found["q" + suffix] = packed.narrow(rows, 0, d)
            found["kv" + suffix] = packed.narrow(rows, d, 2 * d)
        else:
            found["qkv" + suffix] = packed
    return found


def side_by_side(tensors: Sequence[Tensor | None]) -> Tensor:
    """Stack the same tensor of several models; of one model the result is a view.

    Matrices become (G, out, in), vectors (G, 1, D) and scalars (G, 1, 1).

    Examples
    --------
    >>> side_by_side([torch.zeros(3), torch.ones(3)]).shape
    torch.Size([2, 1, 3])
    """
    present = [tensor for tensor in tensors if tensor is not None]
    together = present[0][None] if len(present) == 1 else torch.stack(present)
    return together if together.ndim == 3 else together.view(len(present), 1, -1)


def _own_weights(modules: Sequence[nn.Module | None]) -> Weights:
    """The parameters of the same module of each model, side by side by name."""
    held = [module._parameters for module in modules if module is not None]
    return {
        name: side_by_side([parameters[name] for parameters in held])
        for name, value in held[0].items()
        if value is not None
    }
