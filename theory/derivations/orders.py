"""Asymptotic order in the depth of positive expressions: the Θ-calculus.

A positive expression e(N) built from powers and logarithms of N has a leading term c N^p (log N)^r
as N → ∞, and e = Θ(N^p (log N)^r). Leading terms multiply, take powers, and of a sum the largest
survive, unless they cancel, which is refused rather than guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from theory.derivations.derivation import Step
from theory.derivations.statements import At, OrderEquality, at
from theory.errors import InputError


@dataclass(frozen=True)
class Order:
    """The leading term c N^power (log N)^log_power; equality of orders ignores c."""

    coefficient: sp.Expr
    power: sp.Expr
    log_power: sp.Expr

    def is_theta(self, other: "Order") -> bool:
        """Whether two expressions are Θ of each other."""
        return sp.simplify(self.power - other.power) == 0 and (
            sp.simplify(self.log_power - other.log_power) == 0
        )

    def expression(self, n: sp.Symbol) -> sp.Expr:
        """The term without its coefficient, N^power (log N)^log_power."""
        return n**self.power * sp.log(n) ** self.log_power


def order(expression: sp.Expr | int, n: sp.Symbol) -> Order:
    """Leading term of ``expression`` as ``n`` → ∞.

    Parameters
    ----------
    expression
        Sums, products and powers of ``n``, log ``n`` and anything free of ``n``.
    n
        A positive symbol.

    Raises
    ------
    InputError
        If leading terms cancel, or a subexpression is none of these.

    Examples
    --------
    >>> N = sp.Symbol("N", positive=True)
    >>> order(3 * N * (9 * N) ** sp.Rational(-1, 2) + 5, N).power
    1/2
    >>> order(sp.sqrt(N**2 + N) * sp.log(N), N)
    Order(coefficient=1, power=1, log_power=1)
    """
    e = sp.sympify(expression)
    if e == 0:
        raise InputError("0 has no order: an order is defined for positive expressions")
    if not e.has(n):
        return Order(e, sp.S.Zero, sp.S.Zero)
    if e == n:
        return Order(sp.S.One, sp.S.One, sp.S.Zero)
    if e == sp.log(n):
        return Order(sp.S.One, sp.S.Zero, sp.S.One)
    if isinstance(e, sp.Mul):
        parts = [order(factor, n) for factor in e.args]
        return Order(
            sp.Mul(*(part.coefficient for part in parts)),
            sp.Add(*(part.power for part in parts)),
            sp.Add(*(part.log_power for part in parts)),
        )
    if isinstance(e, sp.Pow) and not e.exp.has(n):
        base = order(e.base, n)
        return Order(base.coefficient**e.exp, base.power * e.exp, base.log_power * e.exp)
    if isinstance(e, sp.Add):
        return _sum_order(e, n)
    raise InputError(f"no order in {n} is defined for {e}: only powers and logarithms are")


def _sum_order(e: sp.Add, n: sp.Symbol) -> Order:
    parts = [order(term, n) for term in e.args]
    top = parts[0]
    for part in parts[1:]:
        if _exceeds(part, top):
            top = part
    coefficient = sp.simplify(sp.Add(*(p.coefficient for p in parts if p.is_theta(top))))
    if coefficient == 0:
        raise InputError(f"the leading terms of {e} cancel; expand it further first")
    return Order(coefficient, top.power, top.log_power)


def _exceeds(a: Order, b: Order) -> bool:
    for difference in (a.power - b.power, a.log_power - b.log_power):
        sign = sp.sign(sp.simplify(difference))
        if sign not in (-1, 0, 1):
            raise InputError(f"cannot compare the orders {a} and {b}")
        if sign != 0:
            return sign == 1
    return False


def is_theta(expression: sp.Expr | int, target: sp.Expr | int, n: sp.Symbol) -> bool:
    """Whether ``expression`` = Θ(``target``) as ``n`` → ∞.

    Examples
    --------
    >>> L = sp.Symbol("L", positive=True)
    >>> is_theta(2 / L + 7 / L**2, 1 / L, L), is_theta(1 / L**2, 1 / L, L)
    (True, False)
    """
    return order(expression, n).is_theta(order(target, n))


def order_step(
    because: str,
    expression: sp.Expr,
    power: sp.Expr | int,
    n: sp.Symbol,
    at_values: Mapping[sp.Symbol, sp.Expr] | None = None,
) -> Step:
    """The statement ``expression`` ≍ n^power; its false variant has the exponent off by 1/4.

    Parameters
    ----------
    because
        Why it holds.
    expression, power, n
        A positive expression, its power, and the depth.
    at_values
        Values of some symbols of ``expression``, printed beside it.

    Examples
    --------
    >>> N = sp.Symbol("N", positive=True)
    >>> step = order_step("a sum", N + sp.sqrt(N), 1, N)
    >>> step.check(step.statement), step.check(step.false)
    (True, False)
    """

    def same(statement: sp.Basic) -> bool:
        inserted = statement.inserted() if isinstance(statement, At) else statement
        left, right = (order(sp.expand(side), n) for side in inserted.args[:2])
        return left.is_theta(right)

    def stated(exponent: sp.Expr) -> sp.Basic:
        comparison = OrderEquality(expression, sp.sympify(n) ** exponent, n)
        if at_values is None:
            return comparison
        there = {s: value for s, value in at_values.items() if expression.has(s)}
        return at(comparison, there)

    power = sp.sympify(power)
    return Step(because, stated(power), same, stated(power - sp.Rational(1, 4)))
