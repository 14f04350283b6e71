"""Depth cross-checked: modules that repeat, and a factory's model at two depths."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from numerics.structure.default_batch import ModelBatch
from numerics.structure.trace import trace_structure
from numerics.structure.types import Structure
from theory.errors import InputError


@dataclass(frozen=True)
class DepthLaw:
    """How the number of residual additions follows the argument of a factory."""

    depths: tuple[int, ...]
    additions: tuple[int, ...]
    """Residual additions at each depth."""
    slope: float
    """Additions per unit of depth."""
    offset: float
    """Additions at depth 0."""
    linear: bool
    """Whether the additions lie on one line with a positive whole slope."""
    reasons: tuple[str, ...] = ()


def depth_law(
    build: Callable[[int], tuple[nn.Module, ModelBatch]],
    depths: Sequence[int] = (2, 4),
    *,
    output: Callable[[object], object] | None = None,
) -> tuple[DepthLaw, tuple[Structure, ...]]:
    """Trace a factory's model at several depths and compare the numbers of additions.

    Raises
    ------
    InputError
        If fewer than two depths are given.

    Examples
    --------
    >>> import torch
    >>> def build(n):
    ...     layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    ...     return nn.TransformerEncoder(layer, n, enable_nested_tensor=False), torch.zeros(1, 3, 8)
    >>> law, _ = depth_law(build)
    >>> law.additions, law.slope, law.linear
    ((4, 8), 2.0, True)
    """
    if len(set(depths)) < 2:
        raise InputError(f"a depth law needs two depths that differ, got {tuple(depths)}")
    ordered = sorted(set(depths))
    found = []
    for depth in ordered:
        model, batch = build(depth)
        found.append(trace_structure(model, batch, output=output))
    counts = [structure.depth for structure in found]
    slope = (counts[-1] - counts[0]) / (ordered[-1] - ordered[0])
    offset = counts[0] - slope * ordered[0]
    line = all(c == offset + slope * d for c, d in zip(counts, ordered, strict=True))
    reasons = [reason for structure in found for reason in structure.reasons]
    if slope == 0:
        reasons.append(
            f"the number of residual additions does not follow the argument: {counts[0]} at "
            f"{ordered[0]} and at {ordered[-1]}"
        )
    elif not line or slope < 0 or slope != round(slope):
        listed = ", ".join(f"{c} at {d}" for c, d in zip(counts, ordered, strict=True))
        reasons.append(f"the number of residual additions is not linear in the argument: {listed}")
    linear = line and slope > 0 and slope == round(slope)
    law = DepthLaw(
        tuple(ordered), tuple(counts), slope, offset, linear, tuple(dict.fromkeys(reasons))
    )
    return law, tuple(found)
