"""From conditions to scales: (9N)^(-1/4) and 0.6696… N^(-1/4) are one case.

Each condition that fixes a constant reads p(u₁, u₂, …) = 1 with p a sum of positive terms. Ties are
made first; then a condition with one unknown left is solved for it, and one that is a single term
in several unknowns gives one of them in terms of the others, until nothing is left to use. Unknowns
that remain are *free*: the solution is a family. A condition without unknowns must hold already, or
the system is inconsistent and the error names it.

A sum of positive powers of u grows from its constant term without bound, so the positive root is
unique when that term is below 1, and there is none when it is not. Radicals serve up to two terms
whose powers are as 1 to 2; beyond, a root of a polynomial with numbers for coefficients.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import sympy as sp

from theory.derivations.derivation import equal
from theory.derivations.orders import order
from theory.errors import InputError
from theory.scales.architecture import StackLayout
from theory.scales.conditions import Condition, system
from theory.scales.depth_names import require_apart, with_names_of_the_user
from theory.scales.update_rules import UpdateRule, update_rule_named

_T = sp.Symbol("t", positive=True)
DIGITS = 30
"""Of roots that have no closed form in radicals over the rationals."""


@dataclass(frozen=True)
class Solution:
    """Norms that meet an architecture's conditions under an update rule."""

    architecture: StackLayout
    rule: UpdateRule
    scales: Mapping[sp.Symbol, sp.Expr]
    """Every slot's norm, in the depths, in what is known, and in the free norms."""
    free: tuple[sp.Symbol, ...]
    """Norms that no condition fixes."""
    conditions: tuple[tuple[Condition, sp.Expr], ...]
    """Every condition with its left side at these norms: exactly 1 where the solver set it so."""

    def __getitem__(self, slot: sp.Symbol) -> sp.Expr:
        return self.scales[slot]

    @property
    def assumed(self) -> tuple[str, ...]:
        """What no condition forced: the ties that were made, the further conditions."""
        reasons = dict.fromkeys(tie.because for tie in self.architecture.ties)
        ties = (
            ", ".join(
                f"{tie.symbol} = {tie.value}"
                for tie in self.architecture.ties
                if tie.because == reason
            )
            + f": {reason}"
            for reason in reasons
        )
        further = (item.because for item in self.architecture.further)
        return (*ties, *self.architecture.remarks, *further)

    def left_side(self, name: str) -> sp.Expr:
        """A condition's left side at these norms."""
        return next(value for condition, value in self.conditions if condition.name == name)

    def unmet(self, depth: sp.Symbol) -> tuple[tuple[Condition, sp.Expr], ...]:
        """Conditions that are not Θ(1) as ``depth`` → ∞, with the power that they have."""
        powers = ((item, order(value, depth).power) for item, value in self.conditions)
        return tuple((item, power) for item, power in powers if power != 0)


def terms_by_power(left_side: sp.Expr, unknown: sp.Symbol) -> dict[sp.Expr, sp.Expr]:
    """Coefficients, all positive, by power of ``unknown``."""
    found: dict[sp.Expr, sp.Expr] = {}
    for term in sp.Add.make_args(sp.expand(sp.powsimp(sp.expand(left_side)))):
        coefficient, factor = term.as_independent(unknown, as_Add=False)
        exponent = sp.S.Zero if factor == 1 else factor.as_base_exp()[1]
        if factor not in (sp.S.One, unknown**exponent):
            raise InputError(f"no power of {unknown}: {factor} in {left_side} = 1")
        found[exponent] = found.get(exponent, sp.S.Zero) + coefficient
    for power, coefficient in found.items():
        if coefficient.is_positive is not True:
            raise InputError(
                f"coefficients must be positive, that of {unknown**power} is {coefficient} in "
                f"{left_side} = 1"
            )
    return found


def positive_root(left_side: sp.Expr, unknown: sp.Symbol) -> sp.Expr:
    """The one positive ``unknown`` with ``left_side`` = 1.

    Raises
    ------
    InputError
        If there is none, if it need not be unique, or if it has no closed form and the
        coefficients are not numbers.

    Examples
    --------
    >>> u, N = sp.symbols("u N", positive=True)
    >>> positive_root(16 * u**4, u), positive_root(9 * N * u**3, u)
    (1/2, 3**(1/3)/(3*N**(1/3)))
    >>> positive_root(u**2 + 2, u)
    Traceback (most recent call last):
    ...
    theory.errors.InputError: u**2 + 2 = 1 has no positive solution: it is at least 2
    """
    terms = terms_by_power(left_side, unknown)
    constant = terms.pop(sp.S.Zero, sp.S.Zero)
    if not terms:
        raise InputError(f"{left_side} = 1 does not contain {unknown}")
    if (constant - 1).is_nonnegative:
        raise InputError(f"{left_side} = 1 has no positive solution: it is at least {constant}")
    if any((power * other).is_positive is not True for power in terms for other in terms):
        raise InputError(f"powers of both signs: {left_side} = 1 may have several roots")
    unit = abs(sp.gcd_list(list(terms))) * sp.sign(next(iter(terms)))
    degrees = {int(power / unit): coefficient for power, coefficient in terms.items()}
    return _root(degrees, 1 - constant) ** (1 / unit)


def _root(degrees: dict[int, sp.Expr], value: sp.Expr) -> sp.Expr:
    """The positive t with Σ a_k t^k = ``value``."""
    if set(degrees) == {1}:
        return value / degrees[1]
    if set(degrees) == {1, 2}:
        # The form without cancellation: it keeps its leading term as the depth grows.
        a, b = degrees[2], degrees[1]
        return sp.simplify(2 * value / (b + sp.sqrt(b**2 + 4 * a * value)))
    return _by_scaling(degrees, value)


def _by_scaling(degrees: dict[int, sp.Expr], value: sp.Expr) -> sp.Expr:
    """Solve in s = t · (a_k/n_k)^(1/k), if one symbolic factor takes every symbol away."""
    factors = {}
    for k, coefficient in degrees.items():
        number, symbols = coefficient.as_independent(*coefficient.free_symbols, as_Add=False)
        factors[k] = (number, sp.powdenest(symbols ** sp.Rational(1, k), force=True))
    scale = next(iter(factors.values()))[1]
    alike = all(equal(factor, scale) for _, factor in factors.values())
    if not alike or not value.is_number:
        raise InputError(
            "powers "
            f"{sorted(degrees)} need numbers for {sorted(map(str, _symbols_of(degrees, value)))}"
        )
    numbers = sp.Add(*(number * _T**k for k, (number, _) in factors.items())) - value
    if all(number.is_Rational for number in (*(n for n, _ in factors.values()), value)):
        roots = sp.Poly(numbers, _T).real_roots()
        return next(root for root in roots if root.is_positive) / scale
    above = max(sp.N((value / number) ** sp.Rational(1, k)) for k, (number, _) in factors.items())
    decimal = sp.N(numbers, 2 * DIGITS)
    return sp.nsolve(decimal, _T, (0, 2 * above), solver="bisect", prec=DIGITS) / scale


def _symbols_of(degrees: dict[int, sp.Expr], value: sp.Expr) -> set[sp.Basic]:
    return set().union(value.free_symbols, *(c.free_symbols for c in degrees.values()))


Root = Callable[[sp.Expr, sp.Symbol], sp.Expr]
"""(left side, unknown) ↦ the unknown at which the left side is 1."""


def eliminate(
    demands: Iterable[tuple[str, sp.Expr]],
    unknowns: Iterable[sp.Symbol],
    root_of: Root = positive_root,
) -> dict[sp.Symbol, sp.Expr]:
    """Unknowns from left sides that must be 1; those absent from the result are free.

    Raises
    ------
    InputError
        If a demand cannot be met; the message names it.

    Examples
    --------
    >>> a, b, N = sp.symbols("a b N", positive=True)
    >>> eliminate([("update", 4 * N * b**2 / a**2), ("balance", 2 * a**2 * b**2)], (a, b))[a]
    2**(1/4)*N**(1/4)
    """
    waiting = [(name, sp.expand(left)) for name, left in demands]
    unknown = list(unknowns)
    solved: dict[sp.Symbol, sp.Expr] = {}
    while waiting:
        name, left = waiting.pop(_easiest([left for _, left in waiting], unknown))
        there = [symbol for symbol in unknown if left.has(symbol)]
        if not there:
            _must_hold(name, left)
            continue
        chosen = there[-1]
        try:
            root = root_of(left, chosen)
        except InputError as reason:
            raise InputError(f"the condition '{name}' cannot be met: {reason}") from None
        unknown.remove(chosen)
        solved = {symbol: _at(value, {chosen: root}) for symbol, value in solved.items()}
        solved[chosen] = root
        waiting = [(n, sp.expand(_at(side, {chosen: root}))) for n, side in waiting]
    return solved


def _easiest(sides: list[sp.Expr], unknown: list[sp.Symbol]) -> int:
    """Position of a left side with at most one unknown; else of a single term; else of any."""

    def difficulty(position: int) -> tuple[bool, int]:
        side = sides[position]
        return sum(side.has(symbol) for symbol in unknown) > 1, len(sp.Add.make_args(side))

    return min(range(len(sides)), key=difficulty)


class UnmetConditionError(InputError):
    """A condition in which nothing is left to solve for, and which is not met as it stands."""

    def __init__(self, name: str, left: sp.Expr) -> None:
        super().__init__(name, left)
        self.name, self.left = name, left

    def __str__(self) -> str:
        return (
            f"the condition '{self.name}' cannot be met: nothing is left to solve for and its left "
            f"side is {self.left}, not 1"
        )


def _must_hold(name: str, left: sp.Expr) -> None:
    if not equal(left, sp.S.One):
        raise UnmetConditionError(name, sp.simplify(left))


def _at(expression: sp.Expr, values: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    return sp.powsimp(sp.powdenest(expression.subs(values), force=True))


def solve(
    architecture: StackLayout, rule: UpdateRule | str, root_of: Root = positive_root
) -> Solution:
    """Norms of an architecture under an update rule, which may be given by its name.

    Each norm comes from its condition by ``root_of``.

    Raises
    ------
    InputError
        For an unknown rule, or if the conditions contradict each other or the ties.

    Examples
    --------
    >>> from theory.scales.architectures import encoder_decoder
    >>> from theory.scales.stacks import V_E
    >>> from theory.scales.update_rules import SGD
    >>> N = sp.Symbol("N", positive=True)
    >>> solved = solve(encoder_decoder(N, N), SGD)
    >>> sp.N((solved[V_E] * N ** sp.Rational(1, 4)).subs(N, 7), 12)
    0.669628722978
    """
    return _solved(
        architecture, update_rule_named(rule) if isinstance(rule, str) else rule, root_of
    )


@lru_cache(maxsize=1_000)
def _solved(architecture: StackLayout, rule: UpdateRule, root_of: Root) -> Solution:
    """Solve once what a command, a derivation and a claim ask for several times."""
    require_apart(architecture)
    demanded = system(architecture, rule)
    ties = {tie.symbol: tie.value for tie in architecture.ties}
    tied = [(item, item.left_side.subs(ties)) for item in demanded]
    unknowns = sorted(
        set().union(*(side.free_symbols for _, side in tied)) - set(architecture.known), key=str
    )
    exact = ((item.name, side) for item, side in tied if item.exact)
    try:
        found = eliminate(exact, unknowns, root_of)
    except UnmetConditionError as unmet:
        if unmet.name not in {stack.name for stack in architecture.stacks}:
            raise
        # A stack's gain is the change of f in units of the learning rate.
        raise InputError(f"{unmet}; with the learning rate divided by {unmet.left} it is") from None
    slots = set(unknowns).union(*(item.left_side.free_symbols for item in demanded))
    scales = {
        slot: _at(sp.sympify(ties.get(slot, slot)), found)
        for slot in sorted(slots - set(architecture.known), key=str)
    }

    def named(expression: sp.Expr) -> sp.Expr:
        return with_names_of_the_user(expression, architecture)

    return Solution(
        architecture,
        rule,
        {slot: named(value) for slot, value in scales.items()},
        tuple(symbol for symbol in unknowns if symbol not in found),
        tuple(
            (
                replace(
                    item,
                    left_side=with_names_of_the_user(item.left_side, architecture, marked=True),
                ),
                named(sp.simplify(_at(side, found))),
            )
            for item, side in tied
        ),
    )


def depth_law(scale: sp.Expr, depth: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
    """Constant c and power p of a scale that is exactly c · depth^p.

    Raises
    ------
    InputError
        If the scale is not a pure power of that depth.

    Examples
    --------
    >>> N = sp.Symbol("N", positive=True)
    >>> depth_law((9 * N) ** sp.Rational(-1, 2), N)
    (1/3, -1/2)
    """
    power = order(scale, depth).power
    constant = sp.simplify(scale * depth**-power)
    if constant.has(depth):
        raise InputError(f"{scale} is no constant times a power of {depth}")
    return constant, power
