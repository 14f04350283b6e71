"""A search for points at which Theorem 3.1 as printed is false.

The family has n = 2, v = w = L^(-1/2) and small integer memories. q and k are 0, 1 or a power of L.
y is 0, 1 or the value at which the attended mean vanishes. A point refutes one half of the theorem
if the printed condition is Θ(1/L) at every m_i and K nevertheless has another order in L.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import sympy as sp

from theory.attention import scalar
from theory.attention.theorem31 import L, printed_condition
from theory.derivations.derivation import Derivation, Step, equation
from theory.derivations.orders import order, order_step


@dataclass(frozen=True)
class FamilyMember:
    """A member of the family, with its mean, its gain and the orders that decide."""

    memory: tuple[sp.Expr, ...]
    q: sp.Expr
    k: sp.Expr
    y: sp.Expr
    scale: sp.Expr
    """The common value of v and w."""
    mean: sp.Expr
    """The attended mean m̄."""
    gain: sp.Expr
    """The update gain K."""

    @property
    def conditions(self) -> tuple[sp.Expr, ...]:
        """The printed condition at v = w for each i: v²w² + w²m_i² + v²m_i²."""
        return tuple(
            printed_condition(entry).subs({scalar.v: self.scale, scalar.w: self.scale})
            for entry in self.memory
        )

    @property
    def condition_orders(self) -> tuple[sp.Expr, ...]:
        """Power of L in the printed condition v²w² + (v² + w²) m_i², for each i."""
        return tuple(order(condition, L).power for condition in self.conditions)

    @property
    def gain_order(self) -> sp.Expr:
        """Power of L in the update gain K."""
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


def point(memory: tuple[int, int], q: sp.Expr, k: sp.Expr, y: sp.Expr) -> FamilyMember:
    """The point of the family with these parameters, its gain computed exactly."""
    scale = L ** sp.Rational(-1, 2)
    exact = tuple(sp.Integer(entry) for entry in memory)
    mean, gain = scalar.gain_at(exact, v=scale, w=scale, q=q, k=k, y=y)
    return FamilyMember(exact, q, k, y, scale, mean, gain)


def refutes_lower(candidate: FamilyMember) -> bool:
    """Whether the point refutes the lower half: the condition holds and K = o(1/L).

    Examples
    --------
    >>> one, zero = sp.Integer(1), sp.Integer(0)
    >>> refutes_lower(point((1, -1), one, one, zero)), refutes_lower(point((1, 2), one, one, zero))
    (True, False)
    """
    return candidate.meets_condition and bool(candidate.gain_order < -1)


def refutes_upper(candidate: FamilyMember) -> bool:
    """Whether the point refutes the upper half: the condition holds and K is not O(1/L)."""
    return candidate.meets_condition and bool(candidate.gain_order > -1)


def search_lower(*, nowhere_zero: bool = False, one_sign: bool = False) -> Iterator[FamilyMember]:
    """Points that refute the lower half, |ΔG| = Ω(η/L), with q, k, y, m bounded."""
    for candidate in _bounded_points(one_sign=one_sign):
        if refutes_lower(candidate) and (candidate.nowhere_zero or not nowhere_zero):
            yield candidate


def search_upper(*, bounded: bool = False) -> Iterator[FamilyMember]:
    """Points that refute the upper half, |ΔG| = O(η/L); with ``bounded``, q = Θ(1)."""
    powers = (sp.S.Zero,) if bounded else (sp.S.Zero, sp.S.Half, sp.S.One)
    for power, memory, y in product(powers, ((1, 2), (1, -1)), (sp.S.Zero, sp.S.One)):
        candidate = point(memory, L**power, sp.S.Zero, y)
        if refutes_upper(candidate):
            yield candidate


def lower_derivation(*, nowhere_zero: bool) -> Derivation:
    """The first point found against the lower half; memories of one sign yield none."""
    found = next(search_lower(nowhere_zero=nowhere_zero))
    sort = "with no parameter zero" if nowhere_zero else "found"
    return Derivation(
        "tfixup.thm31-lower",
        f"Counterexample to the lower half, {sort}: {found}",
        (
            *_point_steps(found),
            _none_left("memories of one sign", lambda: search_lower(one_sign=True)),
        ),
    )


def upper_derivation() -> Derivation:
    """The first point found against the upper half; bounded q yields none."""
    found = next(search_upper())
    return Derivation(
        "tfixup.thm31-upper",
        f"Counterexample to the upper half: {found}",
        (
            *_point_steps(found),
            _none_left("bounded q", lambda: search_upper(bounded=True)),
        ),
    )


def _point_steps(found: FamilyMember) -> tuple[Step, ...]:
    """Show that the condition is Θ(1/L) at every i, and that K is not."""
    conditions = tuple(
        order_step(f"the condition at m_{index}", condition, -1, L)
        for index, condition in enumerate(found.conditions, start=1)
    )
    return (*conditions, order_step("but the update gain K is", found.gain, found.gain_order, L))


def _none_left(family: str, search: Callable[[], Iterator[FamilyMember]]) -> Step:
    """The same search in a family that the theorem does cover finds nothing."""
    count = sp.Symbol("points")
    return Step(
        f"the same search among {family} finds no point",
        equation(count, sp.S.Zero),
        lambda statement: sum(1 for _ in search()) == statement.args[1],
        equation(count, sp.S.One),
        "over the whole family searched",
    )


def _bounded_points(*, one_sign: bool) -> Iterator[FamilyMember]:
    values = (1, 2) if one_sign else (1, -1, 2, -2)
    for memory in product(values, values):
        yield point(memory, sp.S.One, sp.S.One, sp.S.Zero)
        vanishing = _vanishing_query(memory)
        yield point(memory, sp.S.One, sp.S.One, sp.S.One if vanishing is None else vanishing)


def _vanishing_query(memory: tuple[int, int]) -> sp.Expr | None:
    """The query y with m̄ = 0 at q = k = 1, if the signs of m₁ and m₂ differ.

    It solves e^(y (m₁ − m₂)) = −m₂/m₁.
    """
    first, second = memory
    if first * second >= 0:
        return None
    return sp.log(sp.Rational(-second, first)) / (first - second)
