"""What one tensor's entries look like: size, shape of the distribution, outliers.

For n independent entries of kurtosis κ the sample standard deviation has the relative standard
error √((κ − 1)/(4 n)), and the largest of n normal entries stays below c σ with probability
(2 Φ(c) − 1)^n. The *bulk's* standard deviation comes from the quartiles, which a few outliers do
not move: of a normal the distance of the quartiles is 1.349 σ.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from numerics.recipes.draw import truncation_kurtosis, truncation_shrink

Shape = Literal["zero", "constant", "uniform", "normal", "truncated", "heavy", "few", "other"]
FEWEST = 256
"""Entries below which the shape of a distribution is not judged: the kurtosis errs by 0.3 there."""
RARE = 1e-6
"""Probability below which a sample is held not to come from a distribution."""


@dataclass(frozen=True)
class Sample:
    """Statistics of the entries of one tensor, in float64."""

    count: int
    mean: float
    std: float
    """About the mean."""
    largest: float
    """max |w|."""
    kurtosis: float
    bulk: float
    """Standard deviation that belongs to the quartiles under the shape that was found."""
    outliers: int
    """Entries beyond what the bulk's normal distribution gives at this count."""
    shape: Shape
    cut: float
    """Bound of a truncated normal in its nominal standard deviations, otherwise infinite."""
    value: float
    """The first entry: what a constant is equal to."""

    @property
    def ratio(self) -> float:
        """Largest entry over standard deviation: √3 of a uniform, about 5 of 10⁵ normal entries."""
        return self.largest / self.std if self.std > 0 else math.nan

    @property
    def error(self) -> float:
        """Relative standard error of ``std``, by the kurtosis found."""
        return math.sqrt(max(self.kurtosis - 1, 0.5) / (4 * self.count))

    @property
    def words(self) -> str:
        """The distribution in a word or two."""
        if self.shape == "constant":
            return f"all {self.value:g}"
        if self.shape == "truncated":
            return f"normal cut at {self.cut:.2g}σ"
        if self.shape == "heavy":
            return f"{self.outliers} outliers"
        return {"zero": "all 0", "few": "few entries"}.get(self.shape, self.shape)


def describe(tensor: Tensor) -> Sample:
    """Statistics of a tensor's entries and the distribution that they come from.

    Examples
    --------
    >>> g = torch.Generator().manual_seed(0)
    >>> describe(torch.rand(64, 64, generator=g) - 0.5).shape
    'uniform'
    >>> describe(torch.randn(64, 64, generator=g)).shape
    'normal'
    """
    x = tensor.detach().to(device="cpu", dtype=torch.float64).reshape(-1)
    count = x.numel()
    if count == 0:
        return Sample(0, 0.0, 0.0, 0.0, math.nan, 0.0, 0, "few", math.inf, math.nan)
    value, largest, mean = float(x[0]), float(x.abs().max()), float(x.mean())
    # Entries equal to the first are a constant to the last bit, whatever the mean rounds to.
    if bool((x == x[0]).all()):
        shape: Shape = "zero" if value == 0 else "constant"
        return Sample(count, value, 0.0, largest, math.nan, 0.0, 0, shape, math.inf, value)
    centred = x - mean
    variance = float(centred.square().mean())
    std = math.sqrt(variance)
    kurtosis = float(centred.pow(4).mean()) / variance**2 if variance > 0 else math.nan
    spread = _quartiles(x)
    normal_bulk = spread / 1.3489795003921634
    outliers = _outliers(centred, normal_bulk)
    shape, cut = _shape(count, mean, std, largest, kurtosis, outliers, spread)
    bulk = {"uniform": spread / 3**0.5}.get(shape, std if shape == "truncated" else normal_bulk)
    return Sample(count, mean, std, largest, kurtosis, bulk, outliers, shape, cut, value)


def _quartiles(x: Tensor) -> float:
    ordered = x.sort().values
    n = len(ordered)
    low, high = ordered[n // 4], ordered[min(3 * n // 4, n - 1)]
    return float(high - low)


def _outliers(centred: Tensor, bulk: float) -> int:
    """Entries that a normal of the bulk's size has with probability below `RARE` in the tensor."""
    if bulk <= 0:
        return int((centred != 0).sum())
    bound = normal_quantile(1 - RARE / (2 * centred.numel()))
    return int((centred.abs() > bound * bulk).sum())


def _shape(
    count: int,
    mean: float,
    std: float,
    largest: float,
    kurtosis: float,
    outliers: int,
    spread: float,
) -> tuple[Shape, float]:
    if outliers and largest > 2 * normal_quantile(1 - 1 / (4 * count)) * std / max(kurtosis, 1):
        bulk = spread / 1.3489795003921634
        if bulk == 0 or std > 1.02 * bulk or largest > 12 * bulk:
            return "heavy", math.inf
    if count < FEWEST:
        return "few", math.inf
    centred = abs(mean) < 5 * std / math.sqrt(count)
    # The kurtosis of n uniform entries errs by about √(6/n), of n normal ones by √(24/n).
    if centred and _is_uniform(count, std, largest, kurtosis):
        return "uniform", math.inf
    expected = normal_quantile(1 - RARE ** (1 / 2) / (2 * count))
    # No entry beyond c σ among n normal ones: probability (2 Φ(c) − 1)^n.
    surely_cut = count * math.log1p(-_tail(largest / std)) < math.log(RARE)
    if surely_cut and kurtosis < 3:
        cut = _cut(largest / std)
        if abs(kurtosis - truncation_kurtosis(cut)) < 5 * math.sqrt(24 / count):
            return "truncated", cut
        return "other", math.inf
    if abs(kurtosis - 3) < 6 * math.sqrt(24 / count) + 0.02 and largest / std < expected + 1.5:
        return "normal", math.inf
    return "other", math.inf


def _is_uniform(count: int, std: float, largest: float, kurtosis: float) -> bool:
    near = abs(kurtosis - 1.8) < 6 * math.sqrt(1.2 / count) + 0.005
    edge = largest / std
    return near and abs(edge - 3**0.5) < 20 / count + 5 * math.sqrt(0.6 / count)


def _cut(ratio: float) -> float:
    """The k at which max |w|/std = k/s(k), by bisection: k/s(k) rises from √3."""
    low, high = 1e-3, 40.0
    for _ in range(80):
        middle = (low + high) / 2
        if middle / truncation_shrink(middle) < ratio:
            low = middle
        else:
            high = middle
    return high


def _tail(x: float) -> float:
    """Probability that a standard normal number is beyond ±x."""
    return min(math.erfc(x / math.sqrt(2)), 1 - 1e-12)


def normal_quantile(p: float) -> float:
    """Quantile of the standard normal distribution, Φ⁻¹(p).

    Examples
    --------
    >>> normal_quantile(0.975)
    1.959964
    """
    from statistics import NormalDist

    return NormalDist().inv_cdf(min(max(p, 1e-15), 1 - 1e-15))
