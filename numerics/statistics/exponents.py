"""Depth exponents: value = e^a N^p fitted by least squares on log value = a + p log N.

Every point is one independent (depth, seed) measurement. Equivalence is decided as two one-sided
tests would: p is equivalent to a target within a margin when its whole interval lies inside target
± margin.

The scatter may grow with the depth, so that the ordinary interval of a regression, which takes it
to be equal, covers p in 77 to 90 of 100 cases instead of 95. The interval here takes the scatter of
each depth from that depth's own residuals e, divided by 1 − h for the leverage h of their points
(MacKinnon and White's HC3), and its degrees of freedom from how many points carry the variance
(Welch and Satterthwaite): with S = Σ (log N − mean)²,

    c_i = (log N_i − mean)/S,   V_g = Σ_{i at depth g} c_i² e_i²/(1 − h_i)²,
    p ± t(ν) √(Σ_g V_g),        ν = min((Σ_g V_g)²/Σ_g (V_g²/n_g), n − 2)

Ten intervals were compared for equal, growing and falling scatter, at three to six depths with one
to eight seeds. This one covered p in at least 94 of 100 cases everywhere. It is 1.05 to 1.5 times
as wide as the ordinary one at two to eight seeds of equal scatter, and about twice at one.

With ten measurements a percentile bootstrap is too narrow. `bootstrap_interval` takes the
measurements as they are, whatever their distribution; `cautious` is an exponent that must satisfy
both, and `local_slopes` shows where one line does not do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.statistics.estimates import CONFIDENCE as CONFIDENCE
from numerics.statistics.estimates import Estimate, student_quantile
from numerics.statistics.tolerances import tolerance
from theory.errors import InputError

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
    """Confidence interval of p, at 95 % unless the fit was asked for another level."""
    depths: tuple[int | float, ...]
    """The distinct abscissae, ascending."""
    points: int
    """Measurements fitted."""

    def equivalent(self, target: int | float, margin: float) -> bool | None:
        """Whether p = target ± margin: true or false by its interval, ``None`` if undecided.

        Compare the answer with ``is True`` or ``is False``: ``not None`` is true.

        Examples
        --------
        >>> p = Exponent(0.02, (-0.01, 0.05), (6, 12, 25), 9)
        >>> p.equivalent(0, 0.06), p.equivalent(0, 0.04), p.equivalent(0.5, 0.08)
        (True, None, False)
        """
        return Estimate(self.value, *self.interval).within(target, margin)


@dataclass(frozen=True)
class NoExponent:
    """Why a power law could not be fitted."""

    reason: str
    measured: bool = True
    """False where the values are not known, so that nothing follows; true where they are, and no
    power law describes them, as where they are not finite."""


def power_law(
    depths: Sequence[int | float], values: Sequence[float], *, confidence: float = CONFIDENCE
) -> Exponent | NoExponent:
    """Exponent p of value = e^a N^p by ordinary least squares on the logarithms.

    Parameters
    ----------
    depths, values
        One entry per measurement; depths repeat where there are several seeds.
    confidence
        Level of the interval: `numerics.statistics.estimates.joint_confidence` for several
        exponents that are read together.

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
    x, y = np.array(_logs(depths)), np.array(_logs(values))
    centred = x - x.mean()
    spread = float((centred**2).sum())
    slope = float(centred @ y) / spread
    error, freedom = _slope_error(x, y - y.mean() - slope * centred)
    half = student_quantile(confidence, freedom) * error if error else 0.0
    return Exponent(slope, (slope - half, slope + half), distinct, len(pairs))


def _slope_error(x: NDArray[np.float64], residuals: NDArray[np.float64]) -> tuple[float, float]:
    """Standard error of the slope and its degrees of freedom, each depth with its own scatter."""
    centred = x - x.mean()
    spread = float((centred**2).sum())
    leverage = 1 / len(x) + centred**2 / spread
    shares = (centred / spread * residuals / (1 - leverage)) ** 2
    _, where = np.unique(x, return_inverse=True)
    variances = np.bincount(where, weights=shares)
    total = float(variances.sum())
    if total == 0:
        return 0.0, float(len(x) - 2)
    freedom = total**2 / float((variances**2 / np.bincount(where)).sum())
    return total**0.5, min(freedom, float(len(x) - 2))


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
    depths: Sequence[int | float],
    values: Sequence[float],
    *,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> tuple[float, float]:
    """Percentile interval of p over resampled measurements (`scipy.stats.bootstrap`).

    Parameters
    ----------
    depths, values
        As for `power_law`, at least eight of them.
    seed
        Seed of the resampling.
    confidence
        Level of the interval.

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
    from scipy import stats  # half a second, which a worker that measures can do without

    found: Any = stats.bootstrap(
        (np.array(_logs(depths)), np.array(_logs(values))),
        _slope,
        n_resamples=RESAMPLES,
        vectorized=True,
        paired=True,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def cautious(
    depths: Sequence[int | float], values: Sequence[float], *, confidence: float = CONFIDENCE
) -> Exponent | NoExponent:
    """`power_law` with the hull of its interval and the bootstrap's.

    Below eight measurements, where there is no bootstrap, it is `power_law` alone.

    Examples
    --------
    >>> depths = [6, 12, 24, 48] * 2
    >>> values = [n**0.5 * (1.1 if i < 4 else 0.9) for i, n in enumerate(depths)]
    >>> wide, plain = cautious(depths, values), power_law(depths, values)
    >>> wide.interval[0] <= plain.interval[0], wide.interval[1] >= plain.interval[1]
    (True, True)
    """
    fit = power_law(depths, values, confidence=confidence)
    if isinstance(fit, NoExponent) or fit.points < LEAST_POINTS:
        return fit
    low, high = bootstrap_interval(depths, values, confidence=confidence)
    return replace(fit, interval=(min(low, fit.interval[0]), max(high, fit.interval[1])))


def _slope(x: NDArray[np.float64], y: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    centred = x - x.mean(axis=axis, keepdims=True)
    run = (centred * centred).sum(axis=axis)
    # A resample of one depth alone, one in thousands, has no slope; 0 moves no percentile.
    return (centred * y).sum(axis=axis) / np.where(run > 0, run, 1.0)


@dataclass(frozen=True)
class LocalSlope:
    """Slope between two neighbouring depths on logarithmic axes."""

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
    from scipy import stats

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
