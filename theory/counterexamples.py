"""A search for points at which Theorem 3.1 as printed is false.

The family: n = 2, v = w = L^(-1/2), small integer memories, q and k that are 0, 1 or a power of L,
and y that is 0, 1 or the value at which the attended mean vanishes. A point refutes a half of the
theorem when the printed condition is Θ(1/L) at every m_i and yet K has another order in L.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import sympy as sp

from theory.attention import gain_at
from theory.orders import order
from theory.theorem31 import L


@dataclass(frozen=True)
class Point:
    """A member of the family, with its mean, its gain and the orders that decide."""

    memory: tuple[sp.Expr, ...]
    q: sp.Expr
    k: sp.Expr
    y: sp.Expr
    scale: sp.Expr
    """v = w."""
    mean: sp.Expr
    """m̄."""
    gain: sp.Expr
    """K."""

    @property
    def condition_orders(self) -> tuple[sp.Expr, ...]:
        """Power of L in v²w² + (v² + w²) m_i², for each i."""
        u = self.scale
        return tuple(order(u**4 + 2 * u**2 * entry**2, L).power for entry in self.memory)

    @property
    def gain_order(self) -> sp.Expr:
        """Power of L in K."""
        return order(sp.expand(self.gain), L).power

    @property
    def meets_condition(self) -> bool:
        """Whether the printed condition is Θ(1/L) for every i."""
        return all(power == -1 for power in self.condition_orders)

    @property
    def nowhere_zero(self) -> bool:
        """Whether every parameter differs from 0."""
        return all(part != 0 for part in (*self.memory, self.q, self.k, self.y, self.scale))

    def __str__(self) -> str:
        """One line that a reader can check by hand."""
        return (
            f"n = 2, m = {self.memory}, q = {self.q}, k = {self.k}, y = {self.y}, "
            f"v = w = {self.scale}: m̄ = {self.mean}, K = {self.gain}"
        )


def point(memory: tuple[int, int], q: sp.Expr, k: sp.Expr, y: sp.Expr) -> Point:
    """The point of the family with these parameters, its gain computed exactly."""
    scale = L ** sp.Rational(-1, 2)
    exact = tuple(sp.Integer(entry) for entry in memory)
    mean, gain = gain_at(exact, v=scale, w=scale, q=q, k=k, y=y)
    return Point(exact, q, k, y, scale, mean, gain)


def refutes_lower(candidate: Point) -> bool:
    """Whether the condition holds and K = o(1/L).

    Examples
    --------
    >>> one, zero = sp.Integer(1), sp.Integer(0)
    >>> refutes_lower(point((1, -1), one, one, zero)), refutes_lower(point((1, 2), one, one, zero))
    (True, False)
    """
    return candidate.meets_condition and bool(candidate.gain_order < -1)


def refutes_upper(candidate: Point) -> bool:
    """Whether the condition holds and K is not O(1/L)."""
    return candidate.meets_condition and bool(candidate.gain_order > -1)


def search_lower(*, nowhere_zero: bool = False, one_sign: bool = False) -> Point | None:
    """First point that refutes the lower half, |ΔG| = Ω(η/L); ``None`` if the family has none."""
    for candidate in _bounded_points(one_sign=one_sign):
        if refutes_lower(candidate) and (candidate.nowhere_zero or not nowhere_zero):
            return candidate
    return None


def search_upper(*, bounded: bool = False) -> Point | None:
    """First point that refutes the upper half, |ΔG| = O(η/L); with ``bounded``, q = Θ(1)."""
    powers = (sp.S.Zero,) if bounded else (sp.S.Zero, sp.S.Half, sp.S.One)
    for power, memory, y in product(powers, ((1, 2), (1, -1)), (sp.S.Zero, sp.S.One)):
        candidate = point(memory, L**power, sp.S.Zero, y)
        if refutes_upper(candidate):
            return candidate
    return None


def _bounded_points(*, one_sign: bool) -> Iterator[Point]:
    values = (1, 2) if one_sign else (1, -1, 2, -2)
    for memory in product(values, values):
        yield point(memory, sp.S.One, sp.S.One, sp.S.Zero)
        vanishing = _vanishing_query(memory)
        yield point(memory, sp.S.One, sp.S.One, sp.S.One if vanishing is None else vanishing)


def _vanishing_query(memory: tuple[int, int]) -> sp.Expr | None:
    """The y with m̄ = 0 at q = k = 1: e^(y (m₁ − m₂)) = −m₂/m₁, if the signs differ."""
    first, second = memory
    if first * second >= 0:
        return None
    return sp.log(sp.Rational(-second, first)) / (first - second)
