"""The distributions that schemes draw from, by role.

Numbers are drawn on the CPU in float64, so that a seed gives the same weights on every device.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from numerics.models.roles import MATRICES
from theory.errors import InputError

WRITERS = ("out_proj", "w2")
"""Matrices that write into the stream; the others read it."""


@dataclass(frozen=True)
class WeightDraw:
    """One distribution of mean 0.

    Examples
    --------
    >>> WeightDraw(0.02, depth_power=-0.5).at(3).std  # layer 4 of a rule σ/√l
    0.01
    """

    std: float
    """Standard deviation, of the uncut distribution where it is cut."""
    kind: Literal["normal", "uniform"] = "normal"
    """Its shape."""
    cut: float = math.inf
    """Bound of a normal distribution, in units of ``std``; entries beyond it are not drawn."""
    depth_power: float = 0.0
    """Layer l, from 1, has the standard deviation multiplied by l to this power."""

    def __post_init__(self) -> None:
        if not 0 <= self.std < math.inf:
            raise InputError(f"std must be at least 0 and finite, got {self.std}")
        if not self.cut > 0:
            raise InputError(f"cut must be positive, got {self.cut}")

    def at(self, layer: int) -> "WeightDraw":
        """The distribution of one layer, numbered from 0."""
        std = self.std * (layer + 1) ** self.depth_power
        return WeightDraw(std, self.kind, self.cut)

    @property
    def true_std(self) -> float:
        """The standard deviation that a cut leaves.

        Examples
        --------
        >>> round(WeightDraw(1.0, cut=2.0).true_std, 4), round(WeightDraw(1.0, cut=3.0).true_std, 4)
        (0.8796, 0.9866)
        """
        if self.cut == math.inf:
            return self.std
        density = math.exp(-(self.cut**2) / 2) / math.sqrt(2 * math.pi)
        inside = math.erf(self.cut / math.sqrt(2))
        return self.std * math.sqrt(1 - 2 * self.cut * density / inside)

    def fill_(self, tensor: Tensor, generator: torch.Generator) -> None:
        """Draw every entry of a tensor in place."""
        if self.kind == "uniform":
            uniform_(tensor, self.std * 3**0.5, generator)
        elif self.cut == math.inf:
            normal_(tensor, self.std, generator)
        else:
            _cut_normal_(tensor, self.std, self.cut, generator)


def uniform_(tensor: Tensor, bound: float, generator: torch.Generator) -> None:
    """Draw every entry from the uniform distribution on ±``bound``."""
    drawn = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
    tensor.copy_(drawn.mul_(2).sub_(1).mul_(bound))


def normal_(tensor: Tensor, std: float, generator: torch.Generator) -> None:
    """Draw every entry from a normal distribution of mean 0."""
    tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64).mul_(std))


def _cut_normal_(tensor: Tensor, std: float, cut: float, generator: torch.Generator) -> None:
    """Draw entries from a normal distribution given |entry| < cut · std, by inversion."""
    inside = math.erf(cut / math.sqrt(2))
    drawn = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
    found = torch.erfinv(drawn.mul_(2).sub_(1).mul_(inside)).mul_(math.sqrt(2)).clamp_(-cut, cut)
    tensor.copy_(found.mul_(std))


def by_matrix(draw: Callable[[str], WeightDraw]) -> dict[str, WeightDraw]:
    """A distribution for every role of a weight matrix, by its last word, such as ``out_proj``.

    Examples
    --------
    >>> by_matrix(lambda name: WeightDraw(0.0 if name in WRITERS else 1.0))["encoder.mlp.w2"].std
    0.0
    """
    return {role: draw(role.rpartition(".")[2]) for role in MATRICES}
