"""Depth exponents: value = e^a N^p fitted by least squares on log value = a + p log N.

Every point is one independent (depth, seed) measurement, so the residual scatter is the seeds' own
and the Student interval of p is honest. Equivalence is decided as two one-sided tests would: p is
equivalent to a target within a margin when its whole 95 % interval lies inside target ± margin.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite, log
from typing import Any

from scipy import stats

from numerics.tolerances import tolerance
from theory.errors import InputError

CONFIDENCE = 0.95
LEAST_DEPTHS = 3


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
