"""Measures how far the output moves with the parameters: Admin's Var[F(x̂_0, W) − F(x̂_0, W + δ)].

δ moves the matrices of the residual blocks by a given relative size s, in one of three ways:

    gaussian  δ = s ‖W‖/√(entries) z, z ~ N(0, I), matrix by matrix: independent of W
    sign      δ = ±a with equal odds and one number a for all entries (the paper's 10⁻⁴)
    gradient  δ = −s (‖W‖/‖g‖) g, norms over all matrices, g the gradient along a cotangent

The theorem's C Σ β_{i,i}² holds for δ independent of W. A gradient is not independent of W.
"""

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from numerics.models import Transformer
from numerics.models.blocks import Site
from numerics.models.roles import matrices
from numerics.signals.gradients import matrix_gradients
from numerics.signals.layer_dependency import dependency
from theory.errors import InputError, nearest

KINDS = ("gaussian", "sign", "gradient")


def perturbed(
    model: Transformer,
    kind: str,
    size: float,
    generator: torch.Generator,
    x: Float[Tensor, "B T D"] | None = None,
) -> Transformer:
    """A copy of an encoder with W + δ in every matrix of its residual blocks.

    Parameters
    ----------
    model
        An encoder, float64.
    kind
        ``gaussian``, ``sign`` or ``gradient``.
    size
        s, or a for ``sign``.
    generator
        Draws δ, or the unit cotangent that the gradient is taken along.
    x
        The input at which the gradient is taken.

    Raises
    ------
    InputError
        For an unknown kind, a size that is not positive, or a gradient without an input.
    """
    other = copy.deepcopy(model)
    perturb_(other, kind, size, generator, x)
    return other


def perturb_(
    model: Transformer, kind: str, size: float, generator: torch.Generator, x: Tensor | None = None
) -> None:
    """Add δ to every matrix of the residual blocks, in place; see `perturbed`."""
    if kind not in KINDS:
        raise nearest(kind, KINDS, "kind of change")
    if not 0 < size < float("inf"):
        raise InputError(f"size must be positive and finite, got {size}")
    deltas = _deltas(model, kind, size, generator, x)
    with torch.no_grad():
        for matrix, delta in zip(matrices(model), deltas, strict=True):
            matrix.tensor.add_(delta)


def _deltas(
    model: Transformer, kind: str, size: float, generator: torch.Generator, x: Tensor | None
) -> Sequence[Tensor]:
    weights = [matrix.tensor.detach() for matrix in matrices(model)]
    if kind == "gradient":
        if x is None:
            raise InputError("a gradient needs an input x, got none")
        return _along_gradient(model, weights, size, generator, x)
    drawn = [torch.randn(w.shape, generator=generator, dtype=torch.float64) for w in weights]
    if kind == "sign":
        return [size * z.sign() for z in drawn]
    return [size * w.square().mean().sqrt() * z for w, z in zip(weights, drawn, strict=True)]


def _along_gradient(
    model: Transformer,
    weights: Sequence[Tensor],
    size: float,
    generator: torch.Generator,
    x: Tensor,
) -> Sequence[Tensor]:
    u = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    rows = matrix_gradients(model, lambda: model.encode(x), u / u.norm())
    parts = [row.value for row in rows]
    lengths = [sum(float(t.square().sum()) for t in group) ** 0.5 for group in (weights, parts)]
    if not lengths[1]:
        raise InputError("a change along the gradient needs one, got 0 for every matrix")
    return [-size * lengths[0] / lengths[1] * part for part in parts]


def output_change(model: Transformer, other: Transformer, x: Float[Tensor, "B T D"]) -> float:
    """Mean square per coordinate of the difference of two encoders' normalised outputs.

    Examples
    --------
    >>> from numerics.models import Architecture, ModelSpec
    >>> from numerics.schemes import build
    >>> spec = ModelSpec(2, 0, architecture=Architecture.ENCODER_ONLY)
    >>> model = build("post-ln", spec, torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> x = torch.randn(1, 4, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    >>> moved = perturbed(model, "gaussian", 1e-3, torch.Generator().manual_seed(2))
    >>> 0 < output_change(model, moved, x) < 1e-4
    True
    """
    with torch.no_grad():
        return float((model.encode(x) - other.encode(x)).square().mean())


def predicted_change(
    sites: Sequence[Site], other: Sequence[Site]
) -> tuple[float, tuple[float, ...]]:
    """The predicted change Σ β_{i,i}² C_i, and the C_i.

    C_i is the change that δ makes in branch i at its old input.

    C_i = E(f_i(x; W + δ) − f_i(x; W))²/Var[f_i], f_i being what block i adds, factors included.

    Parameters
    ----------
    sites
        The residual blocks as one forward pass of an encoder met them.
    other
        Those of the perturbed encoder, of which only the blocks are used.
    """
    weights = dependency(sites)
    shares = []
    for site, moved, variance in zip(sites, other, weights.branches, strict=True):
        with torch.no_grad():
            now = moved.block.weighted(moved.block.computed(site.read, *site.context), moved.gate)
            change = now - site.added
        shares.append(float(change.square().mean()) / variance)
    total = sum(own * share for own, share in zip(weights.own, shares, strict=True))
    return total, tuple(shares)
