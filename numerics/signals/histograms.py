"""Histograms of gradients and of Adam's updates, as data for a figure or a comparison.

A histogram counts |value| on a decimal logarithmic scale. It covers one role of matrix, in all
layers or in one. Zeros have no logarithm and are counted separately. Values outside the edges are
counted in the outermost bins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from numerics.linearization.update_directions import direction
from numerics.signals.gradients import MatrixGradient
from theory.errors import InputError

DECADES = (-12, 4)
BINS_PER_DECADE = 4


@dataclass(frozen=True)
class Histogram:
    """Counts of |value| between powers of ten."""

    edges: tuple[float, ...]
    """Ends of the bins as log₁₀, ascending; one more than there are bins."""
    counts: tuple[int, ...]
    """Number of values per bin; the outermost bins include all values beyond them."""
    zeros: int
    """Number of values that are exactly 0."""

    @property
    def total(self) -> int:
        """Number of all values."""
        return sum(self.counts) + self.zeros

    @property
    def median(self) -> float:
        """Median of log₁₀ |value| over the nonzero values, to the width of a bin."""
        half, reached = sum(self.counts) / 2, 0
        for low, high, count in zip(self.edges, self.edges[1:], self.counts, strict=False):
            reached += count
            if reached >= half:
                return (low + high) / 2
        raise AssertionError("counts were checked to hold a nonzero value")


def histogram(
    tensors: Sequence[Tensor],
    *,
    decades: tuple[int, int] = DECADES,
    bins_per_decade: int = BINS_PER_DECADE,
) -> Histogram:
    """Count the absolute values of all entries.

    Raises
    ------
    InputError
        If a value is not finite, all are 0, or the decades do not ascend.

    Examples
    --------
    >>> values = torch.tensor([0.0, 0.02, -0.03, 5.0])
    >>> found = histogram([values], decades=(-2, 1), bins_per_decade=1)
    >>> found.edges, found.counts, found.zeros
    ((-2.0, -1.0, 0.0, 1.0), (2, 0, 1), 1)
    """
    low, high = decades
    if not low < high:
        raise InputError(f"decades must ascend, got {decades}")
    values = torch.cat([tensor.detach().double().flatten().abs() for tensor in tensors])
    if not bool(values.isfinite().all()):
        raise InputError("values must be finite, got one that is not")
    nonzero = values[values > 0]
    if not len(nonzero):
        raise InputError("a histogram needs a value that is not 0, got none")
    bins = (high - low) * bins_per_decade
    edges = torch.linspace(low, high, bins + 1, dtype=torch.float64)
    # The last bin is open to the right: a value above the top edge must not fall off it.
    where = (torch.bucketize(nonzero.log10().contiguous(), edges, right=True) - 1).clamp(
        0, bins - 1
    )
    counts = torch.bincount(where, minlength=bins)
    return Histogram(
        tuple(edges.tolist()),
        tuple(int(count) for count in counts),
        len(values) - len(nonzero),
    )


def gradient_histograms(rows: Sequence[MatrixGradient]) -> Mapping[str, Histogram]:
    """One histogram per role of the gradients of all layers."""
    roles = dict.fromkeys(row.role for row in rows)
    return {
        role: histogram([row.value for row in rows if row.role == role])
        for role in roles
        if any(bool(row.value.any()) for row in rows if row.role == role)
    }


def adam_histograms(history: Sequence[Sequence[MatrixGradient]]) -> Mapping[str, Histogram]:
    """One histogram per role of Adam's updates m̂/(√v̂ + ε), after the given gradients.

    Parameters
    ----------
    history
        The rows of `numerics.signals.gradients.matrix_gradients` for each step, the last one last.

    Raises
    ------
    InputError
        If there is no step, or steps have different matrices.
    """
    if not history:
        raise InputError("Adam's updates need at least one step's gradients, got none")
    names = [[(row.role, row.layer) for row in step] for step in history]
    if any(other != names[0] for other in names):
        raise InputError("every step must have the same matrices, got different ones")
    updates = [
        MatrixGradient(
            rows[0].role,
            rows[0].layer,
            direction("adam", [row.value for row in rows], torch.zeros_like(rows[0].value)),
        )
        for rows in zip(*history, strict=True)
    ]
    return gradient_histograms(updates)
