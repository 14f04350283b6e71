"""What blocks do alike and what each does by its own draw: two parts of a group's change of f.

The conditions are about sums of N equal terms. A block's change of f also has a part that depends
on its own draw, and such parts add up in square. At rates that keep the first,

    ‖Δf‖² = a² + b²/N

with a the common part. b is large for queries and keys, whose step meets three further drawn
matrices on its way. There ‖Δf‖ falls over the first depths and levels off at a, which no power of N
describes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from numerics.statistics.estimates import CONFIDENCE, student_quantile
from numerics.statistics.tolerances import tolerance
from theory.errors import InputError

LEAST_DEPTHS = 4
"""Two numbers are fitted, and two further depths must agree with them."""


@dataclass(frozen=True)
class CommonPart:
    """The two parts of one group's change, fitted over depths."""

    share: float
    """Share of a² in ‖Δf‖² at the largest N."""
    interval: tuple[float, float]
    """Its 95 % interval."""
    start: float
    """Share of a² in ‖Δf‖² at the least N."""
    misfit: float
    """Probability of means so far from the curve as found, if the curve is right."""
    power_misfit: float
    """The same for a power of N."""

    @property
    def levels_off(self) -> bool:
        """Whether a is not 0, and the depths lie on the curve, nearer than on a power of N."""
        fits = self.misfit > max(tolerance("common-part-misfit"), self.power_misfit)
        return self.interval[0] > 0 and fits

    @property
    def exponent(self) -> float:
        """Exponent of ‖Δf‖ at the largest N: −(1 − share)/2, which goes to 0 as 1/N."""
        return -(1 - self.share) / 2


def common_part(depths: Sequence[int], changes: Sequence[float]) -> CommonPart | None:
    """Fit ‖Δf‖² = a² + b²/N by least squares with relative errors.

    Parameters
    ----------
    depths, changes
        N and ‖Δf‖/η, one entry per measurement; depths repeat where there are several seeds.

    Returns
    -------
    CommonPart or None
        None where there are too few depths, one seed per depth, or a change is 0.

    Raises
    ------
    InputError
        If the two sequences differ in length.

    Examples
    --------
    >>> depths = [4, 8, 16, 32, 64] * 2
    >>> changes = [(1 + 8 / n) ** 0.5 * (1.01 if i < 5 else 0.99) for i, n in enumerate(depths)]
    >>> found = common_part(depths, changes)
    >>> round(found.share, 2), found.levels_off
    (0.89, True)
    >>> common_part(depths, [n**-0.25 * (1.01 if i < 5 else 0.99) for i, n in enumerate(depths)]
    ...     ).levels_off
    False
    """
    if len(depths) != len(changes):
        raise InputError(f"depths and changes must pair up, got {len(depths)} and {len(changes)}")
    levels = sorted(set(depths))
    count, distinct = len(depths), len(levels)
    if distinct < LEAST_DEPTHS or count < 2 * distinct or min(changes) <= 0:
        return None
    inverse, squares = 1 / np.array(depths, float), np.array(changes) ** 2
    # (a² + b²/N)/‖Δf‖² = 1 for every measurement.
    design = np.stack([1 / squares, inverse / squares], axis=1)
    covariance = np.linalg.inv(design.T @ design)
    level, slope = covariance @ design.sum(axis=0)
    residuals = 1 - design @ np.array([level, slope])
    deepest, shallowest = level + slope / levels[-1], level + slope / levels[0]
    half = student_quantile(CONFIDENCE, count - 2) * np.sqrt(
        residuals @ residuals / (count - 2) * covariance[0, 0]
    )
    ends = (float((level - half) / deepest), float((level + half) / deepest))
    logs = np.log(np.array(depths, float)), np.log(squares)
    line = np.polyval(np.polyfit(*logs, 1), logs[0])
    powers = np.asarray(logs[1] - line, np.float64)
    return CommonPart(
        float(level / deepest),
        ends,
        float(level / shallowest),
        _misfit(depths, residuals, distinct),
        _misfit(depths, powers, distinct),
    )


def _misfit(depths: Sequence[int], residuals: NDArray[np.float64], distinct: int) -> float:
    """F test of the means' distance from the curve against the scatter at each depth."""
    _, where = np.unique(np.array(depths), return_inverse=True)
    means = np.bincount(where, residuals) / np.bincount(where)
    pure = float(((residuals - means[where]) ** 2).sum())
    lack = float((means[where] ** 2).sum())
    freedom = (distinct - 2, len(depths) - distinct)
    if pure == 0:
        return float(lack == 0)
    return float(special.fdtrc(*freedom, lack / freedom[0] / (pure / freedom[1])))
