"""What a recipe asks of one tensor: a distribution with its numbers, and how to draw from it.

A normal distribution cut at ±k of its nominal σ has the standard deviation s(k) σ with
s(k)² = 1 − 2 k φ(k)/Z and the kurtosis (3 s(k)² − 2 k³ φ(k)/Z)/s(k)⁴, Z = 2 Φ(k) − 1.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

DrawKind = Literal["normal", "truncated", "uniform", "constant"]


@dataclass(frozen=True)
class Draw:
    """A distribution that is asked for; make one by the functions below."""

    kind: DrawKind
    sigma: float = 0.0
    """The nominal standard deviation: before the cut, of a truncated normal."""
    cut: float = math.inf
    """Bound of a truncated normal, in nominal standard deviations."""
    value: float = 0.0
    """What a constant is equal to."""
    profiled: str | None = None
    """Name of a group whose common factor a forward pass decides; ``None`` if it is known."""

    @property
    def std(self) -> float:
        """Standard deviation of what is drawn."""
        return self.sigma * truncation_shrink(self.cut) if self.kind == "truncated" else self.sigma

    @property
    def kurtosis(self) -> float:
        """Fourth moment over the squared variance: 3 of a normal, 1.8 of a uniform."""
        if self.kind == "uniform":
            return 1.8
        return truncation_kurtosis(self.cut) if self.kind == "truncated" else 3.0

    @property
    def words(self) -> str:
        """How a table names it.

        Examples
        --------
        >>> normal(0.02).words, truncated(0.02, 3.0).words, uniform(0.1).words, constant(0.0).words
        ('N(0, 0.02)', 'N(0, 0.02) cut at 3σ', 'U(±0.1732)', '0')
        """
        if self.kind == "constant":
            return f"{self.value:g}"
        if self.kind == "uniform":
            return f"U(±{self.sigma * 3**0.5:.4g})"
        tail = f" cut at {self.cut:g}σ" if self.kind == "truncated" else ""
        return f"N(0, {self.sigma:.4g}){tail}"

    def sample(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Independent float64 entries of this distribution, drawn on the CPU."""
        if self.kind == "constant":
            return torch.full(shape, self.value, dtype=torch.float64)
        if self.kind == "normal":
            return torch.randn(shape, generator=generator, dtype=torch.float64) * self.sigma
        drawn = torch.rand(shape, generator=generator, dtype=torch.float64).mul(2).sub(1)
        if self.kind == "uniform":
            return drawn * (self.sigma * 3**0.5)
        return torch.special.ndtri((1 + drawn * _mass(self.cut)) / 2) * self.sigma


def normal(sigma: float) -> Draw:
    """A normal distribution of mean 0 with this standard deviation."""
    return Draw("normal", sigma)


def truncated(sigma: float, cut: float) -> Draw:
    """A normal distribution cut at ±``cut`` σ; not cut where that is infinite."""
    if math.isinf(cut):
        return normal(sigma)
    return Draw("truncated", sigma, cut)


def uniform(sigma: float) -> Draw:
    """A uniform distribution around 0 with this standard deviation, U(±√3 σ)."""
    return Draw("uniform", sigma)


def xavier(fan_in: int, fan_out: int, factor: float = 1.0) -> Draw:
    """Xavier's uniform distribution times a factor: variance 2 factor²/(fan_in + fan_out).

    Examples
    --------
    >>> xavier(64, 64).std * 64**0.5
    1.0
    """
    return uniform(factor * (2 / (fan_in + fan_out)) ** 0.5) if factor else constant(0.0)


def constant(value: float) -> Draw:
    """Every entry equal to ``value``."""
    return Draw("constant", value=float(value))


def truncation_shrink(cut: float) -> float:
    """The standard deviation s(k) that a unit normal has once it is cut at ±k.

    Examples
    --------
    >>> truncation_shrink(2.0), truncation_shrink(3.0)
    (0.87963, 0.98658)
    """
    if math.isinf(cut):
        return 1.0
    return math.sqrt(1 - 2 * cut * _density(cut) / _mass(cut))


def truncation_kurtosis(cut: float) -> float:
    """Kurtosis of a unit normal cut at ±k: 3 without a cut, 1.8 in the limit of a small k.

    Examples
    --------
    >>> truncation_kurtosis(2.0), truncation_kurtosis(3.0)
    (2.3655, 2.8289)
    """
    if math.isinf(cut):
        return 3.0
    second = truncation_shrink(cut) ** 2
    return (3 * second - 2 * cut**3 * _density(cut) / _mass(cut)) / second**2


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _mass(cut: float) -> float:
    return math.erf(cut / math.sqrt(2))
