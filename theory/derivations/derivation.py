"""A derivation as data: statements in order, each with the check that decides it.

Every step also carries a *false* statement of the same shape, which the same check must reject: a
derivation whose checks cannot fail proves nothing. Checks are run when a step is asked for, so a
reader sees each one decided as it is printed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sympy as sp

Check = Callable[[sp.Basic], bool]


@dataclass(frozen=True)
class Step:
    """One statement of a derivation."""

    because: str
    """Why it holds, in words."""
    statement: sp.Basic
    """The statement: an unevaluated equation or inequality."""
    check: Check
    """Decides statements of this shape."""
    false: sp.Basic
    """A false statement that ``check`` must reject."""


@dataclass(frozen=True)
class CheckedStep:
    """A step with the outcome of its check and of its control."""

    step: Step
    holds: bool
    control_rejected: bool


@dataclass(frozen=True)
class Derivation:
    """Steps that lead to one claim."""

    claim: str
    title: str
    steps: tuple[Step, ...]

    def check(self) -> Iterator[CheckedStep]:
        """Check the steps one after the other."""
        for step in self.steps:
            yield CheckedStep(step, step.check(step.statement), not step.check(step.false))


def equation(lhs: sp.Expr, rhs: sp.Expr) -> sp.Basic:
    """``lhs = rhs``, kept as written."""
    return sp.Eq(lhs, rhs, evaluate=False)


def equal(one: sp.Expr, other: sp.Expr) -> bool:
    """Whether two expressions simplify to the same.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> equal((x + 1) ** 2, x**2 + 2 * x + 1), equal(x, -x)
    (True, False)
    """
    return sp.simplify(one - other) == 0


def identity(statement: sp.Basic) -> bool:
    """Whether an equation is an identity: lhs − rhs simplifies to 0.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> identity(equation((x + 1) ** 2, x**2 + 2 * x + 1)), identity(equation(x, -x))
    (True, False)
    """
    if statement in (sp.true, sp.false):  # substitution made both sides literally alike, or not
        return bool(statement)
    difference = statement.args[0] - statement.args[1]
    if difference.is_Matrix:
        return all(sp.simplify(entry) == 0 for entry in difference)
    return sp.simplify(difference.doit() if hasattr(difference, "doit") else difference) == 0


def dominated(statement: sp.Basic) -> bool:
    """Whether lhs ≤ rhs follows from the signs of symbols: rhs − lhs has a positive form.

    The difference is brought over one denominator; if numerator and denominator expand to
    polynomials with only non-negative coefficients in non-negative symbols (or even powers of
    real ones), it is non-negative. Sufficient, not necessary: an inequality that needs more is
    rejected.

    Examples
    --------
    >>> t = sp.Symbol("t", nonnegative=True)
    >>> dominated(sp.Le(1 / (1 + t), 1, evaluate=False)), dominated(sp.Le(1 + t, 1, evaluate=False))
    (True, False)
    """
    if statement in (sp.true, sp.false):
        return bool(statement)
    numerator, denominator = sp.fraction(sp.together(statement.args[1] - statement.args[0]))
    return all(
        term.is_nonnegative is True
        for side in (numerator, denominator)
        for term in sp.Add.make_args(sp.expand(side))
    )
