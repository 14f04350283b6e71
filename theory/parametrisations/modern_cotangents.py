"""Branches that pass on more of a cotangent than they add to the stream, and what that does.

A branch of degree one, as ReLU between two matrices, has a Jacobian of its own mean square: κ = 1.
Behind a layer norm that takes ReLU's mean away, κ = π/(π − 1); of a product of two linear maps, as
a gate is near 0, κ = 2. With y_l² = c l the way from block l to the end multiplies a squared
cotangent by Π (1 + κ/k) = Θ((N/l)^κ), and the last norm by 1/y_N². SGD's sum over the last matrices
is then Σ_l N^(κ−1) l^(−κ), which for κ > 1 is Θ(N^(κ−1)) and not a logarithm.
"""

import sympy as sp
from mpmath import mp

from theory.derivations.derivation import Derivation, Step, at_step, equation, identity
from theory.derivations.orders import order_step
from theory.derivations.statements import OrderEquality
from theory.parametrisations.block_sums import BLOCK, N, sum_step

_HALF = sp.Rational(1, 2)
_X = sp.Symbol("x", real=True)
_RATIO = sp.Symbol("kappa", positive=True)
_DENSITY = sp.exp(-(_X**2) / 2) / sp.sqrt(2 * sp.pi)
CENTRED = sp.pi / (sp.pi - 1)
"""κ of ReLU behind a layer norm."""
SUB_LN = (1 + CENTRED) / 2
"""Mean of attention's 1 and the MLP's."""
GATED = sp.Rational(3, 2)
"""Mean of attention's 1 and a gate's 2."""


def _integral(because: str, power: int, value: sp.Expr) -> Step:
    """A moment of half a normal distribution, ∫_0^∞ x^power φ(x) dx."""
    integral = sp.Integral(_X**power * _DENSITY, (_X, 0, sp.oo))
    return Step(
        because, equation(integral, value), identity, equation(integral, 2 * value), "integrated"
    )


def _way() -> tuple[Step, Step]:
    """The factor from layer l to the end, Π_{k=l}^{N−1} (1 + κ/k): its recurrence and its order."""
    product = sp.gamma(N + _RATIO) / sp.gamma(N)
    following = product.subs(N, N + 1)

    def recurs(statement: sp.Basic) -> bool:
        return sp.gammasimp(statement.args[0] - statement.args[1]).simplify() == 0

    def grows(statement: sp.Basic) -> bool:
        at = {_RATIO: sp.Rational(13, 10)}
        slopes = []
        for side in statement.args[:2]:
            low, high = (_logarithm(side.subs(at), sp.Integer(10) ** digits) for digits in (6, 8))
            slopes.append((high - low) / sp.log(100).evalf(40))
        return bool(abs(slopes[0] - slopes[1]) < sp.Float("1e-4"))

    return (
        Step(
            "each block multiplies by 1 + κ/N: Γ(N + κ)/Γ(N), over its value at the first",
            equation(following / product, 1 + _RATIO / N),
            recurs,
            equation(following / product, 1 + 2 * _RATIO / N),
        ),
        Step(
            "which is of the order N^κ",
            OrderEquality(product, N**_RATIO, N),
            grows,
            OrderEquality(product, N ** (_RATIO + sp.Rational(1, 4)), N),
            "at κ = 1.3, the slope from N = 10⁶ to 10⁸ to 1e-4",
        ),
    )


def _logarithm(side: sp.Expr, depth: sp.Expr) -> sp.Expr:
    """Logarithm of a product of gammas and powers, to forty digits."""
    logs = sp.expand_log(sp.log(side), force=True)
    logs = logs.replace(lambda e: isinstance(e, sp.log) and e.has(sp.gamma), _log_gamma)
    # SymPy would write Γ of a whole number out as a factorial of millions of digits.
    return sp.Float(sp.lambdify(N, logs, "mpmath")(mp.mpf(int(depth))))


def _log_gamma(logarithm: sp.Expr) -> sp.Expr:
    (value,) = logarithm.args
    return sp.loggamma(value.args[0])


def sub_ln_centred() -> Derivation:
    """Sub-LN with ReLU: the inner layer norm makes the Jacobian larger than the output."""
    grown = SUB_LN - 1
    summand = N**grown * BLOCK**-SUB_LN
    return Derivation(
        "modern.sub-ln-update",
        "Sub-LN under SGD, with ReLU and layer norms",
        (
            _integral("ReLU's mean square, and that of its slope: a half", 2, _HALF),
            _integral("its mean, which the inner layer norm takes away", 1, 1 / sp.sqrt(2 * sp.pi)),
            Step(
                "the slope's mean square over the variance that is left: κ of an MLP",
                equation(_HALF / (_HALF - 1 / (2 * sp.pi)), CENTRED),
                identity,
                equation(_HALF / (_HALF - 1 / (2 * sp.pi)), sp.S.One),
            ),
            *_way(),
            sum_step("with κ = 1 + 1/(2(π − 1)), attention's 1 among it: a power", summand, grown),
            order_step(
                "which γ² = ln(2N) does not hold back",
                N**grown / (sp.log(2) + sp.log(N)) * sp.log(N),
                grown,
                N,
            ),
        ),
    )


def olmo2_gated() -> Derivation:
    """A gate behind a norm on the output: of degree two, its Jacobian is twice its output."""
    gate, up = sp.symbols("g u", positive=True)
    by_gate, by_up = sp.symbols("j_g j_u", nonnegative=True)
    passed = by_gate**2 * gate**2 + by_up**2 * up**2
    slopes = {by_gate: up, by_up: gate}
    return Derivation(
        "ours.olmo2-exponent",
        "OLMo 2's gate under SGD",
        (
            at_step(
                "a product moves by both its factors: twice its own square, κ = 2",
                equation(passed, 2 * gate**2 * up**2),
                slopes,
                slopes | {by_up: sp.S.Zero},
            ),
            *_way(),
            sum_step(
                "with κ = 3/2, attention's 1 among it: N^(1/2) where Pre-LN has a logarithm",
                N**_HALF * BLOCK**-GATED,
                _HALF,
            ),
        ),
    )
