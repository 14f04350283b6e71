"""Estimates with confidence intervals, and three-valued decisions about them.

A measured number decides a question only with its interval. It lies within bounds when its whole
interval does, outside them when none of its interval does, and is otherwise undecided: true, false
and ``None``. Several decisions together are false if one is, and otherwise undecided if one is.

Several intervals that are read beside each other must hold together: m intervals at the level
0.95^(1/m) each (Šidák) are all right at once in at least 95 of 100 tables, be they independent or
positively dependent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from scipy import special

from theory.errors import InputError

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number with the ends of its confidence interval."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends of the interval."""
        return self.low, self.high

    def inside(self, low: int | float, high: int | float) -> bool | None:
        """Whether the number lies in [low, high].

        True where the whole interval does, false where none of it does, ``None`` otherwise. An end
        that is not a number decides nothing. Compare the answer with ``is True`` or ``is False``:
        ``not None`` is true.

        Examples
        --------
        >>> found = Estimate(1.0, 0.9, 1.1)
        >>> found.inside(0.8, 1.2), found.inside(0.95, 1.2), found.inside(2.0, 3.0)
        (True, None, False)
        """
        if low <= self.low and self.high <= high:
            return True
        return False if self.high < low or self.low > high else None

    def within(self, target: int | float, margin: int | float) -> bool | None:
        """Whether the number is ``target`` ± ``margin``, as `inside` decides it.

        Examples
        --------
        >>> Estimate(1.0, 0.9, 1.1).within(1.0, 0.2)
        True
        """
        return self.inside(target - margin, target + margin)


def student_quantile(confidence: float, freedom: int | float) -> float:
    """How many standard errors Student's interval reaches to either side of the estimate.

    Parameters
    ----------
    confidence
        Level of the interval.
    freedom
        Degrees of freedom of the standard error.

    Examples
    --------
    >>> round(student_quantile(0.95, 2), 4)
    4.3027
    """
    # scipy.stats has the same and takes every worker half a second to import.
    return float(special.stdtrit(freedom, (1 + confidence) / 2))


def mean_estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The mean of independent draws with Student's interval.

    Parameters
    ----------
    values
        At least two draws. Where one is not finite, no end of the interval is a number.
    confidence
        Level of the interval.

    Raises
    ------
    InputError
        If there are fewer than two draws: one has no scatter.

    Examples
    --------
    >>> found = mean_estimate([1.0, 2.0, 3.0])
    >>> [round(number, 2) for number in (found.value, found.low, found.high)]
    [2.0, -0.48, 4.48]
    """
    if len(values) < 2:
        raise InputError(f"an interval needs at least 2 draws, got {len(values)}")
    if not all(isfinite(value) for value in values):
        return Estimate(float("nan"), float("nan"), float("nan"))
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1) / len(values) ** 0.5)
    half = student_quantile(confidence, len(values) - 1) * error
    return Estimate(mean, mean - half, mean + half)


def all_of(decisions: Iterable[bool | None]) -> bool | None:
    """False if one decision is, otherwise undecided if one is, otherwise true.

    Without any decision nothing is decided.

    Examples
    --------
    >>> all_of([True, True]), all_of([True, None]), all_of([None, False]), all_of([])
    (True, None, False, None)
    """
    found = list(decisions)
    if any(decision is False for decision in found):
        return False
    return True if found and all(decision is True for decision in found) else None


def all_rejected(decisions: Iterable[bool | None]) -> bool:
    """Whether there are decisions and each says *no*: what a negative control must show.

    Examples
    --------
    >>> all_rejected([False, False]), all_rejected([False, None]), all_rejected([])
    (True, False, False)
    """
    found = list(decisions)
    return bool(found) and all(decision is False for decision in found)


def joint_confidence(count: int, confidence: float = CONFIDENCE) -> float:
    """The level of each of ``count`` intervals that hold together at ``confidence`` (Šidák).

    Examples
    --------
    >>> round(joint_confidence(9), 5)
    0.99432
    """
    if count < 1:
        raise InputError(f"a table needs at least 1 interval, got {count}")
    return confidence ** (1 / count)
