"""RAdam's rectifier (Liu et al., §4.2 and Algorithm 2), and when three implementations use it.

At step t, the exponential average of rate β₂ counts as

    ρ_t = ρ_∞ − 2 t β₂ᵗ/(1 − β₂ᵗ),   ρ_∞ = 2/(1 − β₂) − 1                             (1)

gradients. The rectifier r_t is the root of the ratio of the first-order variances at ρ_∞ and ρ_t:

    r_t² = (ρ_t − 4)(ρ_t − 2) ρ_∞ / ((ρ_∞ − 4)(ρ_∞ − 2) ρ_t).                         (2)

`theory.radam.average_length` derives both.
"""

import math
from dataclasses import dataclass

import sympy as sp

from theory.derivations.number import Number
from theory.errors import InputError, nearest, require_positive
from theory.radam.variance import require_more


def longest(beta2: Number) -> Number:
    """Length of the exponential average in the limit t → ∞: ρ_∞ = 2/(1 − β₂) − 1.

    Raises
    ------
    InputError
        Unless 0 ≤ β₂ < 1.

    Examples
    --------
    >>> longest(0.999), longest(sp.Rational(98, 100))
    (1999.0, 99)
    """
    _require_rate(beta2)
    return 2 / (1 - beta2) - 1


def length(step: int | sp.Symbol, beta2: Number) -> Number:
    """Length ρ_t of the plain average with the exponential average's mean age, equation (1).

    Parameters
    ----------
    step
        t ≥ 1; a symbol gives the formula.
    beta2
        0 ≤ β₂ < 1.

    Raises
    ------
    InputError
        If t is no integer of at least 1, or β₂ is outside its range.

    Examples
    --------
    >>> length(1, sp.Rational(9, 10)), length(2, sp.Rational(9, 10))
    (1, 37/19)
    >>> [length(t, 0.999) for t in (4, 5, 6)]
    [3.9975, 4.9960, 5.9942]
    """
    if not isinstance(step, sp.Symbol):
        require_positive(step=step)
    decay = beta2**step
    return longest(beta2) - 2 * step * decay / (1 - decay)


def rectifier_squared(at: Number, limit: Number) -> Number:
    """Square of the rectifier, equation (2).

    Parameters
    ----------
    at
        ρ_t > 4.
    limit
        ρ_∞ > 4.

    Raises
    ------
    InputError
        If either is at most 4.

    Examples
    --------
    >>> rectifier_squared(5.0, 1999.0)
    0.00030105
    """
    require_more("ρ_t", at, 4)
    require_more("ρ_∞", limit, 4)
    return (at - 4) * (at - 2) * limit / ((limit - 4) * (limit - 2) * at)


def rectifier(step: int, beta2: float) -> float:
    """The factor r_t by which RAdam multiplies Adam's step t, for ρ_t > 4.

    Examples
    --------
    >>> [round(rectifier(t, 0.999), 4) for t in (5, 10, 100, 10000)]
    [0.0173, 0.049, 0.2153, 0.9998]
    """
    return math.sqrt(rectifier_squared(length(step, beta2), longest(beta2)))


@dataclass(frozen=True)
class Behaviour:
    """When an implementation starts to adapt, and what it does before."""

    name: str
    threshold: int
    """The ρ_t from which on steps are adaptive."""
    inclusive: bool
    """Whether a step at the threshold itself is adaptive."""
    updates_before: bool
    """Whether earlier steps are momentum steps; otherwise the parameters do not move."""

    def adapts(self, at: Number) -> bool:
        """Whether a step with ρ_t = ``at`` is adaptive.

        Examples
        --------
        >>> [behaviour.adapts(5) for behaviour in BEHAVIOURS.values()]
        [True, False, True]
        """
        return bool(at >= self.threshold if self.inclusive else at > self.threshold)


BEHAVIOURS: dict[str, Behaviour] = {
    behaviour.name: behaviour
    for behaviour in (
        Behaviour("paper", 4, inclusive=False, updates_before=True),
        Behaviour("torch", 5, inclusive=False, updates_before=True),
        Behaviour("authors", 5, inclusive=True, updates_before=False),
    )
}
"""The rules of the paper's Algorithm 2, ``torch.optim.RAdam`` and the authors' code."""


def behaviour_named(name: str) -> Behaviour:
    """The behaviour of a given name.

    Raises InputError suggesting the closest known name.

    Examples
    --------
    >>> behaviour_named("torch").threshold
    5
    """
    if name not in BEHAVIOURS:
        raise nearest(name, BEHAVIOURS, "behaviour of RAdam")
    return BEHAVIOURS[name]


def first_adaptive_step(behaviour: Behaviour, beta2: float) -> int | None:
    """The first step t that is adaptive; ``None`` if β₂ is too small for any.

    Examples
    --------
    >>> [first_adaptive_step(behaviour, 0.999) for behaviour in BEHAVIOURS.values()]
    [5, 6, 6]
    >>> first_adaptive_step(BEHAVIOURS["paper"], 0.6) is None
    True
    """
    if longest(beta2) <= behaviour.threshold:  # ρ_t < ρ_∞ at every t
        return None
    step = 1
    while not behaviour.adapts(length(step, beta2)):
        step += 1
    return step


def _require_rate(beta2: Number) -> None:
    if sp.sympify(beta2).is_number and not 0 <= beta2 < 1:
        raise InputError(f"β₂ must lie in [0, 1), got {beta2}")
