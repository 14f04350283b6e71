"""How far the blocks of a residual stack may be aligned before the stream grows with depth.

In y ← (I + W) y over L blocks, W has strength a = (3L)^(-1/2) and *mean coherence* ρ in [−1, 1]: W
= ρ a I + √(1 − ρ²) a R, where E‖R y‖² = ‖y‖², and R has mean 0 and is independent between blocks.
Then

    E‖y_L‖² / ‖y_0‖² = (1 + 2ρa + a²)^L = (1 + u)^L,    L u = 2r/√3 + 1/3,    r = ρ√L.    (1)

For every L this lies between exp(L u / (1 + u)) and exp(L u). So it is Θ(1) if and only if ρ =
O(L^(-1/2)). ρ = 1 is the coherent growth of ``skip_path.py``, and ρ = 0 the incoherent one. A
single draw of width d grows by less than the mean: log‖y_L‖² has mean (1 − 2/d)/3 in deep stacks.
"""

from itertools import product

import sympy as sp

from theory.derivations.derivation import (
    Derivation,
    Step,
    at_step,
    covers,
    dominated,
    equation,
    rounded_step,
)
from theory.derivations.orders import order_step
from theory.residual_stream.skip_path import L

rho = sp.Symbol("rho", real=True)
"""The mean coherence ρ, with E⟨y, W y⟩ = ρ a ‖y‖²."""
r = sp.Symbol("r", real=True)
"""The mean coherence scaled by depth, r = ρ√L."""
d = sp.Symbol("d", positive=True)
_a = sp.Symbol("a", positive=True)
_u = sp.Symbol("u", real=True)
_BLOCK = 1 + 2 * rho * _a + _a**2
_VECTOR = (sp.Rational(2), sp.Rational(-3))
_POINTS = tuple(sp.Rational(*pair) for pair in ((0, 1), (3, 5), (-4, 5), (1, 1), (-1, 1)))
"""Coherences ρ with a rational √(1 − ρ²)."""


def growth(coherence: sp.Expr = rho, blocks: sp.Expr = L) -> sp.Expr:
    """Growth of the mean square over L blocks, equation (1).

    (1 + 2ρ (3L)^(-1/2) + 1/(3L))^L.

    Parameters
    ----------
    coherence
        ρ, between −1 and 1.
    blocks
        L, the number of residual blocks.

    Examples
    --------
    >>> from sympy import Integer, N, sqrt
    >>> N(growth(Integer(1), Integer(600)) ** 0.5, 3), N(growth(Integer(0), Integer(600)), 3)
    (1.18e+6, 1.40)
    """
    a = (3 * blocks) ** sp.Rational(-1, 2)
    return (1 + 2 * coherence * a + a**2) ** blocks


def typical(width: sp.Expr = d) -> sp.Expr:
    """Typical growth of a deep incoherent stack: exp((1 − 2/d)/6).

    It is the geometric mean of ‖y_L‖/‖y_0‖ over draws.

    Examples
    --------
    >>> sp.N(typical(sp.Integer(64)), 4)
    1.175
    """
    return sp.exp((1 - 2 / width) / 6)


def _block_in_mean_square(statement: sp.Basic) -> bool:
    """Check E‖(I + W) y‖²/‖y‖² over the 16 matrices R = ±1 signs/√2, at fixed y."""
    for coherence in _POINTS:
        for strength in (sp.Rational(1, 2), sp.Rational(2, 7)):
            found = sp.Integer(0)
            for signs in product((1, -1), repeat=4):
                # Entries ±(1/√2): squares are exact, and odd terms cancel over the signs.
                noise = strength * sp.sqrt(1 - coherence**2) / sp.sqrt(2)
                along = 1 + coherence * strength
                first = along * _VECTOR[0] + noise * (signs[0] * _VECTOR[0] + signs[1] * _VECTOR[1])
                last = along * _VECTOR[1] + noise * (signs[2] * _VECTOR[0] + signs[3] * _VECTOR[1])
                found += sp.expand(first**2 + last**2)
            mean = found / 16 / sum(entry**2 for entry in _VECTOR)
            claimed = statement.args[1].subs({rho: coherence, _a: strength})
            if sp.expand(mean - claimed) != 0:
                return False
    return True


def _product_in_mean_square(statement: sp.Basic) -> bool:
    """Check the mean square of 1 to 4 factors 1 + a (ρ ± √(1 − ρ²)) by enumeration."""
    for coherence, blocks in product(_POINTS[:3], range(1, 5)):
        strength, spread = sp.Rational(1, 3), sp.sqrt(1 - coherence**2)
        total = sp.Integer(0)
        for signs in product((1, -1), repeat=blocks):
            total += sp.Mul(*((1 + strength * (coherence + e * spread)) ** 2 for e in signs))
        at = {rho: coherence, _a: strength, L: blocks}
        if sp.expand(total / 2**blocks - statement.args[1].subs(at)) != 0:
            return False
    return True


def _exponent(coherence: sp.Expr) -> sp.Expr:
    """The exponent L u at a = (3L)^(-1/2)."""
    return sp.expand(L * (_BLOCK - 1).subs({_a: (3 * L) ** sp.Rational(-1, 2), rho: coherence}))


def _increases_from_zero(statement: sp.Basic) -> bool:
    """Decide lhs ≤ rhs for u > −1: both are 0 at 0, and rhs − lhs has a slope of u's sign."""
    base = sp.Symbol("b", positive=True)
    gap = statement.args[1] - statement.args[0]
    ratio = sp.cancel(sp.together(sp.diff(gap, _u)) / _u).subs(_u, base - 1)
    return gap.subs(_u, 0) == 0 and dominated(sp.Le(0, sp.cancel(ratio), evaluate=False))


def _smallest_base(statement: sp.Basic) -> bool:
    """Decide lhs ≤ 1 + 2ρa + a² for every ρ ≥ −1 and L ≥ 1.

    ρ is written as −1 + t, and a is at most 1/√3.
    """
    t, slack = sp.symbols("t s", nonnegative=True)
    gap = (statement.args[1] - statement.args[0]).subs(rho, -1 + t)
    # (1 − a)² decreases up to a = 1, so its least value on a ≤ 1/√3 is at 1/√3.
    at_most = gap.subs(_a, 1 / (sp.sqrt(3) * (1 + slack)))
    numerator, denominator = sp.fraction(sp.together(at_most))
    terms = sp.Poly(sp.expand(numerator), t, slack).coeffs()
    return all(bool(c >= 0) for c in terms) and dominated(sp.Le(0, denominator, evaluate=False))


def _limit(statement: sp.Basic) -> bool:
    left = statement.args[0]
    # L = 1/(3 a²) turns a limit at infinity into an expansion at a = 0.
    inner = left.args[0].subs(L, 1 / (3 * _a**2))
    found = sp.limit(sp.expand_log(sp.log(inner), force=True), _a, 0, "+")
    return sp.simplify(found - sp.log(statement.args[1])) == 0


@covers("to first order in 1/L, for every d")
def _typical_log(statement: sp.Basic) -> bool:
    """Compare E log(1 + 2z + z² + p) to first order in 1/L with a formula.

    z has variance a²/d, and p has mean a² − a²/d.
    """
    z, p, scale = sp.symbols("z p e")
    logarithm = sp.log(1 + 2 * scale * z + scale**2 * (z**2 + p))
    second = sp.diff(logarithm, scale, 2).subs(scale, 0) / 2
    variance = 1 / (3 * L * d)
    mean = sp.expand(second).subs(z**2, variance).subs(p, 1 / (3 * L) - variance)
    return sp.simplify(L * mean - statement.args[1]) == 0


def block_steps() -> tuple[Step, ...]:
    """Derive the mean square behind one block and behind L blocks, equation (1)."""
    mean = sp.Function("E")
    return (
        Step(
            "one block in mean square: W = ρ a I + √(1 − ρ²) a R (all 2 × 2 signs R, exact)",
            equation(mean(sp.Symbol("block")), _BLOCK),
            _block_in_mean_square,
            equation(mean(sp.Symbol("block")), 1 + rho * _a + _a**2),
        ),
        Step(
            "L independent blocks multiply (L = 1…4, all signs, exact)",
            equation(mean(sp.Symbol("stack")), _BLOCK**L),
            _product_in_mean_square,
            equation(mean(sp.Symbol("stack")), (1 + (rho * _a) ** 2 + _a**2) ** L),
        ),
        at_step(
            "with a = (3L)^(-1/2) and r = ρ√L the exponent L u depends on r alone",
            equation(L * (_BLOCK - 1), 2 * r / sp.sqrt(3) + sp.Rational(1, 3)),
            {_a: (3 * L) ** sp.Rational(-1, 2), rho: r / sp.sqrt(L)},
            {_a: (3 * L) ** sp.Rational(-1, 2), rho: r / L},
        ),
    )


def threshold_steps() -> tuple[Step, ...]:
    """Derive exp(L u/(1 + u)) ≤ (1 + u)^L ≤ exp(L u), hence Θ(1) if and only if r is bounded.

    1 + u is bounded from below.
    """
    least = (1 - 1 / sp.sqrt(3)) ** 2
    return (
        Step(
            "log(1 + u) ≤ u, so the growth is at most exp(L u): bounded if r is, → 0 if r → −∞",
            sp.Le(sp.log(1 + _u), _u, evaluate=False),
            _increases_from_zero,
            sp.Le(2 * sp.log(1 + _u), _u, evaluate=False),
        ),
        Step(
            "log(1 + u) ≥ u/(1 + u), so it is at least exp(L u/(1 + u)): unbounded if r → ∞",
            sp.Le(_u / (1 + _u), sp.log(1 + _u), evaluate=False),
            _increases_from_zero,
            sp.Le(2 * _u / (1 + _u), sp.log(1 + _u), evaluate=False),
        ),
        Step(
            "1 + u ≥ (1 − 1/√3)² for all L ≥ 1 and ρ ≥ −1, so bounded r bounds it away from 0",
            sp.Le(least, _BLOCK, evaluate=False),
            _smallest_base,
            sp.Le(2 * least, _BLOCK, evaluate=False),
        ),
        Step(
            "at the threshold ρ = r L^(-1/2) the growth tends to exp(2r/√3 + 1/3)",
            equation(
                sp.Limit(growth(r / sp.sqrt(L)), L, sp.oo), sp.exp(2 * r / sp.sqrt(3) + sp.S(1) / 3)
            ),
            _limit,
            equation(sp.Limit(growth(r / sp.sqrt(L)), L, sp.oo), sp.exp(2 * r / sp.sqrt(3))),
        ),
        *(
            order_step(
                f"the exponent L u at ρ = L^(-{power})",
                _exponent(L**-power),
                max(sp.S.Half - power, sp.S.Zero),
                L,
            )
            for power in (sp.S.Zero, sp.Rational(1, 4), sp.S.Half, sp.Rational(3, 4))
        ),
    )


def figure_steps() -> tuple[Step, ...]:
    """Derive the growth of 600 blocks, the decoder's 3N at N = 200."""
    blocks = sp.Integer(600)
    return (
        rounded_step(
            "600 aligned blocks: ‖y_L‖/‖y_0‖ = (1 + 1800^(-1/2))^600, in millions",
            sp.sqrt(growth(sp.S.One, blocks)) / 10**6,
            "1.1765",
        ),
        rounded_step(
            "600 independent blocks: the root of the mean square, (1 + 1/1800)^300",
            sp.Pow(1 + sp.Rational(1, 1800), 300, evaluate=False),
            "1.1813",
        ),
        Step(
            "a draw's log‖y_L‖² has mean (1 − 2/d)/3: to second order log adds −2z², E z² = a²/d",
            equation(sp.Symbol("E_log"), (1 - 2 / d) / 3),
            _typical_log,
            equation(sp.Symbol("E_log"), sp.Rational(1, 3)),
        ),
        rounded_step(
            "so a typical draw of width 64 grows by exp((1 − 2/64)/6)",
            typical(sp.Integer(64)),
            "1.1752",
        ),
    )


def derivation() -> Derivation:
    """Derive that growth is Θ(1) if and only if the mean coherence is O(L^(-1/2))."""
    return Derivation(
        "ours.coherence",
        "The coherence that a residual stack tolerates",
        (*block_steps(), *threshold_steps(), *figure_steps()),
    )
