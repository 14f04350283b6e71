"""The constants of every scheme that the solver solves, at depth 1, as roots of polynomials.

A scale is a constant times a power of the depths, so its value at depth 1 is the constant. Two
facts are certified of each constant:

- It is the one positive root of a rational polynomial, between two decimals of 15 digits.
- With the balls between those decimals put into the scheme's own conditions, each left side
  contains 1 and nothing further from 1 than 10⁻⁹.

The second does not use the closed form that the solver found.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sympy as sp
from flint import arb, ctx

from proofs.enclosure import BITS, Enclosure, around, ball, enclose
from theory.scales import presets
from theory.scales.architecture import StackLayout
from theory.scales.architectures import encoder_decoder, single
from theory.scales.conditions import system
from theory.scales.solver import solve
from theory.scales.update_rules import SGD, SIGN, UpdateRule

ONE = sp.S.One
_t = sp.Symbol("t", positive=True)
_POWERS = (1, 2, 4, 6, 8, 16)
NEAR = "1e-9"


@dataclass(frozen=True)
class SchemeCase:
    """An architecture at depth 1, and the update rule whose conditions it meets."""

    name: str
    architecture: StackLayout
    rule: UpdateRule = SGD


def schemes() -> tuple[SchemeCase, ...]:
    """Every scheme whose constants are enclosed."""
    both = encoder_decoder(ONE, ONE)
    return (
        SchemeCase("tfixup", both),
        SchemeCase("tfixup, steps by the sign", both, SIGN),
        SchemeCase("tfixup, encoder only", single("encoder", ONE)),
        SchemeCase("tfixup, gated MLP", encoder_decoder(ONE, ONE, mlp="gated")),
        SchemeCase("r-fixup", presets.r_fixup(ONE, ONE)),
        SchemeCase("deepnorm", presets.deepnorm(ONE, ONE)),
        SchemeCase("deepnorm, single stack", presets.deepnorm_single(ONE)),
        SchemeCase("dt-fixup, μ = 1", presets.dt_fixup(ONE, ONE)),
    )


@dataclass(frozen=True)
class Constants:
    """A scheme's constants with their certificates."""

    scheme: str
    roots: Mapping[str, Enclosure]
    conditions: Mapping[str, str]
    """Left side of each condition at the enclosures, as a ball."""
    conditions_hold: bool

    @property
    def proved(self) -> bool:
        """Whether every root is certified and every condition contains 1 closely."""
        return self.conditions_hold and all(root.proved for root in self.roots.values())


def polynomial_of(value: sp.Expr) -> sp.Poly:
    """A rational polynomial with positive leading coefficient that vanishes at ``value``.

    Examples
    --------
    >>> polynomial_of(sp.Rational(2) ** sp.Rational(-1, 4))
    Poly(2*t**4 - 1, t, domain='ZZ')
    """
    if isinstance(value, sp.polys.rootoftools.ComplexRootOf):
        return sp.Poly(value.poly.as_expr().subs(value.poly.gen, _t), _t)
    for power in _POWERS:
        number = sp.nsimplify(sp.powdenest(sp.expand(value**power), force=True))
        if number.is_Rational:
            return sp.Poly(number.q * _t**power - number.p, _t)
    return sp.Poly(sp.minimal_polynomial(value, _t), _t)


def solved_by(scheme: SchemeCase) -> Mapping[sp.Symbol, sp.Expr]:
    """The norm of every slot at depth 1, from the theory's solver."""
    return solve(scheme.architecture, scheme.rule).scales


def constants(
    scheme: SchemeCase, solved: Mapping[sp.Symbol, sp.Expr], shift: sp.Rational = sp.S.One
) -> Constants:
    """Certify a scheme's constants; ``shift`` multiplies them, for the altered statements."""
    values = {slot: value * shift for slot, value in solved.items()}
    roots = {
        str(slot): enclose(polynomial_of(solved[slot]), *around(value))
        for slot, value in values.items()
        # A root without radicals is a float of 30 digits: its conditions alone are certified.
        if value not in (0, 1) and not value.has(sp.Float)
    }
    sides = dict(_left_sides(scheme, values))
    near = all(bool(abs(side - 1) < arb(NEAR)) for side in sides.values())
    return Constants(scheme.name, roots, {name: str(side) for name, side in sides.items()}, near)


def _left_sides(
    scheme: SchemeCase, values: Mapping[sp.Symbol, sp.Expr]
) -> Iterator[tuple[str, arb]]:
    """Left side of each exact condition at the enclosures of the slots."""
    precision = ctx.prec
    ctx.prec = BITS
    try:
        balls = {slot: _enclosed(value) for slot, value in values.items()}
        for condition in system(scheme.architecture, scheme.rule):
            if condition.exact:
                yield condition.name, evaluate(condition.left_side, balls)
    finally:
        ctx.prec = precision


def _enclosed(value: sp.Expr) -> arb:
    if value.is_Rational:
        return ball(value)
    low, high = around(value)
    return arb(low).union(arb(high))


def evaluate(expression: sp.Expr, balls: Mapping[sp.Symbol, arb]) -> arb:
    """Evaluate an expression of sums, products and integer powers over balls."""
    if expression.is_Symbol:
        return balls[expression]
    if expression.is_Rational:
        return ball(expression)
    parts = [evaluate(part, balls) for part in expression.args if not expression.is_Pow]
    if expression.is_Add:
        return sum(parts, arb(0))
    if expression.is_Mul:
        whole = arb(1)
        for part in parts:
            whole *= part
        return whole
    if expression.is_Pow and expression.exp.is_Integer:
        return evaluate(expression.base, balls) ** int(expression.exp)
    raise ValueError(f"no ball arithmetic for {expression}")
