"""Depth exponents: value = e^a N^p fitted by least squares on log value = a + p log N.

Every point is one independent (depth, seed) measurement, so the residual scatter is the seeds' own
and the Student interval of p is honest. Equivalence is decided as two one-sided tests would: p is
equivalent to a target within a margin when its whole 95 % interval lies inside target ± margin.

The Student interval takes the scatter to be Gaussian on the logarithms, which few seeds need: with
ten measurements a percentile bootstrap is too narrow. `bootstrap_interval` takes the measurements
as they are, whatever their distribution; `cautious` is an exponent that must satisfy both, and
`local_slopes` shows where one line does not do. Tables print Student's interval; verdicts of the
ledger on sweeps and on blocks need both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite, log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from numerics.statistics.tolerances import tolerance
from theory.errors import InputError

CONFIDENCE = 0.95
LEAST_DEPTHS = 3
LEAST_POINTS = 8
"""Fewer measurements have too few resamples for an interval."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Exponent:
    """A fitted power p with its interval."""

    value: float
    """Least-squares p."""
    interval: tuple[float, float]
    """95 % confidence interval of p."""
    depths: tuple[int | float, ...]
    """The distinct abscissae, ascending."""
    points: int
    """Measurements fitted."""

    def equivalent(self, target: int | float, margin: float) -> bool | None:
        """Whether p = target ± margin: true or false at 95 %, ``None`` if undecided.

        Examples
        --------
        >>> p = Exponent(0.02, (-0.01, 0.05), (6, 12, 25), 9)
        >>> p.equivalent(0, 0.06), p.equivalent(0, 0.04), p.equivalent(0.5, 0.08)
        (True, None, False)
        """
        low, high = self.interval
        if target - margin <= low and high <= target + margin:
            return True
        return False if low > target + margin or high < target - margin else None


@dataclass(frozen=True)
class NoExponent:
    """Why a power law could not be fitted."""

    reason: str


def power_law(depths: Sequence[int | float], values: Sequence[float]) -> Exponent | NoExponent:
    """p of value = e^a N^p by ordinary least squares on the logarithms.

    Parameters
    ----------
    depths, values
        One entry a measurement; depths repeat where there are several seeds.

    Returns
    -------
    Exponent or NoExponent
        The latter where a value is not finite or not positive, or there are fewer than three
        distinct depths.

    Examples
    --------
    >>> fit = power_law([6, 12, 24, 48], [6**0.5, 12**0.5, 24**0.5, 48**0.5])
    >>> round(fit.value, 9)
    0.5
    >>> power_law([6, 12, 24], [1.0, float("inf"), 1.0]).reason
    'not finite from N = 12'
    >>> power_law([6, 12, 24], [2.0, 2.0, 2.0]).interval
    (0.0, 0.0)
    """
    if len(depths) != len(values):
        raise InputError(f"depths and values must pair up, got {len(depths)} and {len(values)}")
    if any(depth <= 0 for depth in depths):
        raise InputError(f"depths must be positive, got {min(depths)}")
    pairs = list(zip(depths, values, strict=True))
    if broken := [depth for depth, value in pairs if not isfinite(value)]:
        return NoExponent(f"not finite from N = {min(broken):g}")
    if dark := [depth for depth, value in pairs if value <= 0]:
        return NoExponent(f"not positive at N = {min(dark):g}")
    distinct = tuple(sorted(set(depths)))
    if len(distinct) < LEAST_DEPTHS:
        return NoExponent(f"needs {LEAST_DEPTHS} distinct depths, got {len(distinct)}")
    if len(set(values)) == 1:
        # linregress divides 0 by 0 for the standard error of a line through equal values.
        return Exponent(0.0, (0.0, 0.0), distinct, len(pairs))
    fit: Any = stats.linregress(_logs(depths), _logs(values))
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(pairs) - 2) * fit.stderr
    interval = (float(fit.slope - half), float(fit.slope + half))
    return Exponent(float(fit.slope), interval, distinct, len(pairs))


def fitted(fit: Exponent | NoExponent) -> Exponent:
    """The exponent; an error with the reason where there is none.

    Examples
    --------
    >>> fitted(NoExponent("not finite from N = 50"))
    Traceback (most recent call last):
    ...
    ValueError: no exponent: not finite from N = 50
    """
    if isinstance(fit, NoExponent):
        raise ValueError(f"no exponent: {fit.reason}")
    return fit


def _logs(values: Iterable[int | float]) -> list[float]:
    return [log(value) for value in values]


def bootstrap_interval(
    depths: Sequence[int | float], values: Sequence[float], *, seed: int = 0
) -> tuple[float, float]:
    """95 % percentile interval of p over resampled measurements (`scipy.stats.bootstrap`).

    Parameters
    ----------
    depths, values
        As for `power_law`, at least eight of them.
    seed
        Of the resampling.

    Raises
    ------
    InputError
        If there is no exponent, or there are fewer than eight measurements.

    Examples
    --------
    >>> depths = [6, 12, 24, 48] * 2
    >>> low, high = bootstrap_interval(depths, [n**0.5 * (1.1 if i < 4 else 0.9)
    ...     for i, n in enumerate(depths)])
    >>> low < 0.5 < high
    True
    """
    fit = power_law(depths, values)
    if isinstance(fit, NoExponent):
        raise InputError(f"a bootstrap interval needs an exponent, got: {fit.reason}")
    if fit.points < LEAST_POINTS:
        raise InputError(
            f"a bootstrap interval needs {LEAST_POINTS} measurements, got {fit.points}"
        )
    found: Any = stats.bootstrap(
        (np.array(_logs(depths)), np.array(_logs(values))),
        _slope,
        n_resamples=RESAMPLES,
        vectorized=True,
        paired=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def cautious(depths: Sequence[int | float], values: Sequence[float]) -> Exponent | NoExponent:
    """`power_law` with the hull of Student's interval and the bootstrap's.

    Below eight measurements, where there is no bootstrap, it is Student's alone.

    Examples
    --------
    >>> depths = [6, 12, 24, 48] * 2
    >>> values = [n**0.5 * (1.1 if i < 4 else 0.9) for i, n in enumerate(depths)]
    >>> wide, plain = cautious(depths, values), power_law(depths, values)
    >>> wide.interval[0] <= plain.interval[0], wide.interval[1] >= plain.interval[1]
    (True, True)
    """
    fit = power_law(depths, values)
    if isinstance(fit, NoExponent) or fit.points < LEAST_POINTS:
        return fit
    low, high = bootstrap_interval(depths, values)
    return replace(fit, interval=(min(low, fit.interval[0]), max(high, fit.interval[1])))


def _slope(x: NDArray[np.float64], y: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    centred = x - x.mean(axis=axis, keepdims=True)
    run = (centred * centred).sum(axis=axis)
    # A resample of one depth alone, one in thousands, has no slope; 0 moves no percentile.
    return (centred * y).sum(axis=axis) / np.where(run > 0, run, 1.0)


@dataclass(frozen=True)
class LocalSlope:
    """log–log slope between two neighbouring depths."""

    depths: tuple[float, float]
    """The two depths."""
    value: float
    """Difference of the mean logarithms over that of log N."""
    interval: tuple[float, float] | None
    """Welch's 95 % interval, where both depths have several seeds."""


def local_slopes(depths: Sequence[int | float], values: Sequence[float]) -> tuple[LocalSlope, ...]:
    """Slopes between neighbouring depths: constant for a power law, falling for a logarithm.

    Raises
    ------
    InputError
        If there is no exponent.

    Examples
    --------
    >>> [round(slope.value, 2) for slope in local_slopes([2, 4, 8], [2.0, 4.0, 16.0])]
    [1.0, 2.0]
    """
    fit = power_law(depths, values)
    if isinstance(fit, NoExponent):
        raise InputError(f"local slopes need an exponent, got: {fit.reason}")
    at: dict[float, list[float]] = {float(depth): [] for depth in sorted(set(depths))}
    for depth, value in zip(depths, values, strict=True):
        at[float(depth)].append(log(value))
    distinct = list(at)
    return tuple(_between(low, high, at[low], at[high]) for low, high in pairwise(distinct))


def _between(low: float, high: float, below: list[float], above: list[float]) -> LocalSlope:
    run = log(high / low)
    value = float(np.mean(above) - np.mean(below)) / run
    if min(len(below), len(above)) < 2 or np.std(below) + np.std(above) == 0:
        return LocalSlope((low, high), value, None)
    test: Any = stats.ttest_ind(above, below, equal_var=False)
    ends = test.confidence_interval(CONFIDENCE)
    return LocalSlope((low, high), value, (float(ends.low) / run, float(ends.high) / run))


def verdict_word(fit: Exponent | NoExponent) -> str:
    """``flat``, ``grows``, ``shrinks`` or ``undecided`` at the margin of the tolerance table.

    Examples
    --------
    >>> verdict_word(Exponent(0.5, (0.45, 0.55), (6, 12, 25), 9))
    'grows'
    >>> verdict_word(NoExponent("not finite from N = 50"))
    'not finite from N = 50'
    """
    if isinstance(fit, NoExponent):
        return fit.reason
    match fit.equivalent(0.0, tolerance("flat-exponent")):
        case True:
            return "flat"
        case None:
            return "undecided"
    return "grows" if fit.value > 0 else "shrinks"
