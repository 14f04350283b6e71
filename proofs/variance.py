"""RAdam's variance in ball arithmetic: its table, and its decrease over all of ρ ∈ [5, 500].

At σ = 1, Var[ψ] = (ρ/(ρ − 2)) (1 − R(m)) with m = (ρ − 1)/2 and R = Γ(m)²/(Γ(m − ½) Γ(m + ½)). With
F the digamma function, Taylor's theorem gives for some ξ within ½ of m

    (log R)' = 2F(m) − F(m − ½) − F(m + ½) = −¼ F''(ξ) = ½ ζ(3, ξ).

Over a cell of ρ the derivative of the variance is

    −2 (1 − R)/(ρ − 2)² − (ρ/(ρ − 2)) R · ½ ζ(3, ξ).

It is enclosed with ζ over every possible ξ, and with R between its values at the ends of the cell,
which are in order because ζ > 0. Where the enclosure lies below 0, the variance falls throughout
the cell.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp
from flint import arb, ctx

from theory.radam.variance import first_order as approximation
from theory.radam.variance import variance as exact_variance

BITS = 128
PLACES = 16
"""Number of decimals in the table: 13 digits of the smallest entry."""
TABLE = (5, 10, 100, 500)
"""Values of ρ at which the documents print the variance."""
PIECES = 30
"""ζ is enclosed over pieces of relative width 1/30, so that the balls stay narrow."""


@dataclass(frozen=True)
class VarianceAt:
    """The variance at one ρ, ``low`` < Var[ψ] < ``high``, as decimal strings."""

    rho: int
    low: str
    high: str


@dataclass(frozen=True)
class Cell:
    """A derivative of at most ``slope_at_most`` over all ρ in [``left``, ``right``]."""

    left: str
    right: str
    slope_at_most: str


def ratio(m: arb) -> arb:
    """The ratio R(m) = Γ(m)²/(Γ(m − ½) Γ(m + ½)) as a ball."""
    half = arb("0.5")
    return (2 * m.lgamma() - (m - half).lgamma() - (m + half).lgamma()).exp()


def variance(rho: arb) -> arb:
    """The variance Var[ψ] at σ = 1 as a ball."""
    return rho / (rho - 2) * (1 - ratio((rho - 1) / 2))


def table() -> tuple[VarianceAt, ...]:
    """The variance at each ρ of `TABLE`, between two neighbouring decimals.

    Examples
    --------
    >>> table()[0]
    VarianceAt(rho=5, low='0.2519560614053747', high='0.2519560614053748')
    """
    with _precision():
        return tuple(_value(rho) for rho in TABLE)


def _value(rho: int) -> VarianceAt:
    ball = variance(arb(rho))
    below = int((ball.lower() * 10**PLACES).floor().unique_fmpz() or 0)
    low, high = (Fraction(below + step, 10**PLACES) for step in (0, 1))
    if not _ball(low) < ball < _ball(high):
        raise ArithmeticError(f"Var[ψ] at ρ = {rho} is too close to a decimal: {ball}")
    return VarianceAt(rho, f"0.{below:0{PLACES}d}", f"0.{below + 1:0{PLACES}d}")


def _ball(number: Fraction) -> arb:
    return arb(number.numerator) / number.denominator


def curvature(low: Fraction, high: Fraction) -> arb:
    """The value of ζ(3, ξ) for every ξ in [low, high], as a ball."""
    whole = None
    left = low
    while left < high:
        right = min(high, left + Fraction(left) / PIECES)
        piece = arb(3).zeta(_ball(left).union(_ball(right)))
        whole = piece if whole is None else whole.union(piece)
        left = right
    assert whole is not None
    return whole


def slope(left: Fraction, right: Fraction, bend: int = 1) -> arb:
    """The derivative of the variance over all ρ in [left, right], as a ball.

    ζ is multiplied by ``bend``.
    """
    half = Fraction(1, 2)
    m_left, m_right = (left - 1) / 2, (right - 1) / 2
    zeta = curvature(m_left - half, m_right + half)
    if not zeta > 0:
        raise ArithmeticError(f"ζ(3, ·) not enclosed above 0 over [{left}, {right}]: {zeta}")
    inside = ratio(_ball(m_left)).union(ratio(_ball(m_right)))
    rho = _ball(left).union(_ball(right))
    growth = bend * zeta / 4
    return -2 * (1 - inside) / (rho - 2) ** 2 - rho / (rho - 2) * inside * growth


def cells(low: int = 5, high: int = 500, bend: int = 1) -> Iterator[Cell]:
    """A cover of [low, high] by cells, each with the derivative's upper bound."""
    with _precision():
        left = Fraction(low)
        while left < high:
            right = min(Fraction(high), left + Fraction(int(left * 4), 4) / 16)
            top = slope(left, right, bend).upper()
            yield Cell(str(left), str(right), _above(top))
            left = right


def _above(number: arb) -> str:
    """A short decimal that is at least the number."""
    return str(Fraction(int((number * 10**12).ceil().unique_fmpz() or 0), 10**12))


class _precision:
    """``BITS`` of working precision within a with statement."""

    def __enter__(self) -> None:
        self.before = ctx.prec
        ctx.prec = BITS

    def __exit__(self, *exception: object) -> None:
        ctx.prec = self.before


def agrees_with_theory(rho: int, *, first_order: bool = False) -> bool:
    """Whether the ball holds the value of the theory's own formula, evaluated by SymPy."""
    formula = approximation if first_order else exact_variance
    value = sp.sympify(formula(sp.Integer(rho))).evalf(30)
    with _precision():
        return bool(variance(arb(rho)).overlaps(arb(f"{value} +/- 1e-25")))
