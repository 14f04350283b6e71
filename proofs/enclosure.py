"""Rigorous enclosures of roots of rational polynomials, in python-flint's ball arithmetic.

A certificate is a polynomial p and two decimals. It holds if p has opposite signs at the decimals
and p' has one sign between them. Both are decided with rigorous rounding. Then exactly one root
lies between the decimals.
"""

from dataclasses import dataclass

import sympy as sp
from flint import arb, ctx

BITS = 200


@dataclass(frozen=True)
class Enclosure:
    """An enclosed root, ``low`` < root of p < ``high`` as decimal strings, and its checks."""

    polynomial: tuple[str, ...]
    """Rational coefficients of p, constant term first."""
    low: str
    high: str
    negative_at_low: bool
    positive_at_high: bool
    increasing: bool
    """Whether p' > 0 between the two decimals."""
    only_positive: bool
    """Whether p increases from 0 on, so that no other positive root exists."""
    bits: int = BITS

    @property
    def proved(self) -> bool:
        """Whether exactly one root lies between the decimals and no other is positive."""
        return (
            self.negative_at_low
            and self.positive_at_high
            and self.increasing
            and self.only_positive
        )


def enclose(polynomial: sp.Poly, low: str, high: str) -> Enclosure:
    """Certify that ``polynomial`` has one positive root, between ``low`` and ``high``.

    Examples
    --------
    >>> t = sp.Symbol("t")
    >>> enclose(sp.Poly(t**2 - 2, t), "1.41421356237", "1.41421356238").proved
    True
    >>> enclose(sp.Poly(t**2 - 2, t), "1.42", "1.43").proved
    False
    """
    precision = ctx.prec
    ctx.prec = BITS
    try:
        coefficients = [ball(c) for c in reversed(polynomial.all_coeffs())]
        slopes = [ball(c) for c in reversed(polynomial.diff().all_coeffs())]
        left, right = arb(low), arb(high)
        return Enclosure(
            tuple(str(c) for c in reversed(polynomial.all_coeffs())),
            low,
            high,
            bool(_horner(coefficients, left) < 0),
            bool(_horner(coefficients, right) > 0),
            bool(_horner(slopes, left.union(right)) > 0),
            _only_at_zero(slopes) or bool(_horner(slopes, right * arb("0.5 +/- 0.5")) > 0),
        )
    finally:
        ctx.prec = precision


def around(value: sp.Expr, digits: int = 15) -> tuple[str, str]:
    """Two neighbouring decimals of ``digits`` significant digits that enclose a number.

    Examples
    --------
    >>> around(sp.sqrt(2), 4)
    ('1.414', '1.415')
    """
    exponent = int(sp.floor(sp.log(value.evalf(30), 10)))
    unit = sp.Integer(10) ** (exponent - digits + 1)
    below = sp.floor((value / unit).evalf(digits + 20))
    places = max(digits - 1 - exponent, 0)
    low, high = (f"{(below + step) * unit:.{places}f}" for step in (0, 1))
    return low, high


def ball(number: sp.Rational) -> arb:
    """A rational number as a ball."""
    return arb(int(number.p)) / int(number.q)


def _only_at_zero(slopes: list[arb]) -> bool:
    """Whether p' vanishes at most at 0.

    It does if its coefficients are non-negative and one of them is positive.
    """
    return all(c >= 0 for c in slopes) and any(c > 0 for c in slopes)


def _horner(coefficients: list[arb], at: arb) -> arb:
    value = arb(0)
    for coefficient in reversed(coefficients):
        value = value * at + coefficient
    return value
