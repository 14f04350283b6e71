"""Proof that conditions contradict each other: a sum of them that reads 0 = 1 or 0 ≥ 1.

Equations f_i = 0 and inequalities g_j ≤ 0, all affine in the unknown powers, have no common
solution if and only if numbers λ_i and μ_j ≥ 0 exist with Σ λ_i f_i + Σ μ_j g_j = 1 identically
(Farkas, in exact rationals). The numbers are found by a linear program of the smallest sum, so that
few conditions are named, and are then checked by adding the conditions up.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from theory.derivations.derivation import Derivation, Step, equation
from theory.derivations.statements import Asked
from theory.errors import InputError
from theory.parametrisations.conditions import PowerCondition
from theory.parametrisations.linear_programs import minimum


@dataclass(frozen=True)
class Certificate:
    """Multiples of conditions that add up to a positive number."""

    terms: tuple[tuple[sp.Rational, PowerCondition], ...]

    @property
    def total(self) -> sp.Expr:
        """The sum of the forms, each with its multiple, which no solution could make positive."""
        return sp.expand(sp.Add(*(factor * item.form for factor, item in self.terms)))

    @property
    def valid(self) -> bool:
        """Whether the sum is a positive number and inequalities have multiples ≥ 0."""
        signs = all(item.exact or factor >= 0 for factor, item in self.terms)
        return bool(signs and self.total.is_number and self.total > 0)

    def derivation(self, claim: str, title: str) -> Derivation:
        """The conditions one by one, then their sum, each step checked."""
        asked = tuple(_asked(factor, item) for factor, item in self.terms)
        return Derivation(claim, title, (*asked, _contradiction(self)))


def _asked(factor: sp.Rational, item: PowerCondition) -> Step:
    """A condition as it enters the sum; an inequality may only be multiplied by a number ≥ 0."""
    relation = sp.Eq if item.exact else sp.Le
    wrong = sp.Eq if not item.exact else sp.Le

    def check(statement: sp.Basic) -> bool:
        asked = statement.args[0]
        same = sp.expand(asked.args[0] - factor * item.form) == 0
        signed = item.exact or bool(factor >= 0)
        return bool(same) and isinstance(asked, relation) and signed

    return Step(
        f"{factor} × [{item.name}]",
        Asked(relation(factor * item.form, sp.S.Zero, evaluate=False)),
        check,
        Asked(wrong(factor * item.form, sp.S.Zero, evaluate=False)),
        "against the description of the condition",
    )


def _contradiction(certificate: Certificate) -> Step:
    summed = sp.Add(*(factor * item.form for factor, item in certificate.terms), evaluate=False)

    def check(statement: sp.Basic) -> bool:
        left, right = statement.args
        return sp.expand(left.doit()) == right and bool(right > 0) and certificate.valid

    return Step(
        "their sum is a positive number, though each term is 0 or at most 0: no solution exists",
        equation(summed, sp.S.One),
        check,
        equation(summed, sp.S.Zero),
    )


class Contradiction(InputError):
    """Conditions that no exponents meet, with the certificate that proves it."""

    def __init__(self, subject: str, certificate: Certificate) -> None:
        summed = " + ".join(f"({factor})·[{item.name}]" for factor, item in certificate.terms)
        super().__init__(f"no exponents meet the conditions of {subject}: {summed} = 1, not ≤ 0")
        self.certificate = certificate


def contradiction(asked: Iterable[PowerCondition]) -> Certificate | None:
    """Multiples of conditions that add up to 1; None if the conditions can be met together.

    Examples
    --------
    >>> a = sp.Symbol("a", real=True)
    >>> both = (PowerCondition("stream", "s", a + 1, False), PowerCondition("share", "s", a, True))
    >>> [(str(factor), item.name) for factor, item in contradiction(both).terms]
    [('1', 'stream: s'), ('-1', 'share: s')]
    >>> contradiction(both[:1]) is None
    True
    """
    items = tuple(asked)
    forms = [sp.expand(item.form) for item in items]
    unknowns = sorted(set().union(*(form.free_symbols for form in forms)), key=str)
    # A multiple of an equation has either sign: one variable for each; of an inequality one.
    columns = [(position, 1) for position in range(len(items))]
    columns += [(position, -1) for position, item in enumerate(items) if item.exact]
    rows = [
        [sign * fraction(forms[position].coeff(symbol)) for position, sign in columns]
        for symbol in unknowns
    ]
    nothing = dict.fromkeys(unknowns, 0)
    rows.append([sign * fraction(forms[position].subs(nothing)) for position, sign in columns])
    found = minimum([1] * len(columns), rows, [0] * len(unknowns) + [1])
    if found.point is None:
        return None
    factors = [sp.S.Zero] * len(items)
    for (position, sign), value in zip(columns, found.point, strict=True):
        factors[position] += sign * sp.Rational(value.numerator, value.denominator)
    return Certificate(
        tuple((factor, item) for factor, item in zip(factors, items, strict=True) if factor != 0)
    )


def fraction(number: sp.Expr) -> Fraction:
    """A rational of SymPy as Python's."""
    exact = sp.Rational(number)
    return Fraction(int(exact.p), int(exact.q))
