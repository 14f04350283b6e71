"""How far the output moves under a small change of parameters: Admin's Theorem 2, its corollaries.

W* = W + δ with δ independent of W. Layer i computes x̂_i = √(1 − β²) x̂_{i−1} + β â_i with β =
β_{i,i}. Let D_i be the mean square of x̂_i − x̂_i* per coordinate. δ changes â_i at fixed input;
let C be the mean square of this change. The changed input also changes â_i; let κ D_{i−1} be that
mean square. To first order in δ

    D_i = (1 + (κ − 1) β²) D_{i−1} + β² C.                                            (1)

A ReLU branch has κ = 1, so D_N = C Σ β_{i,i}². This is O(log N) for Pre-LN and O(N) for Post-LN.
The effects of the layers on the output may be aligned, as those of a gradient step. Then (Σ
β_{i,i})² replaces Σ β_{i,i}², and it is Θ(N) for Pre-LN.
"""

import sympy as sp

from theory.derivations.derivation import (
    Derivation,
    StatementCheck,
    Step,
    covers,
    dominated,
    equation,
    identity,
    mean_step,
)
from theory.layer_norm.layer_dependency import N, limit_step, log_bound_step, theta_step, v
from theory.moments.sign_averages import sign_average, sign_averaged_relu

_D, _C, _kappa, _weight = sp.symbols("D C kappa beta", positive=True)
_signs = sp.symbols("epsilon_1:5", real=True)
_own = sp.symbols("beta_1:5", positive=True)
_i, _terms = sp.symbols("i n", integer=True, positive=True)
_y = sp.Symbol("y", positive=True)
_s, _t = sp.symbols("s t", nonnegative=True)
DEPTH = len(_own)


def next_change(before: sp.Expr, weight: sp.Expr, kappa: sp.Expr | int = 1) -> sp.Expr:
    """Change of the output behind one more layer, equation (1)."""
    return (1 + (kappa - 1) * weight**2) * before + weight**2 * _C


def _averaged(statement: sp.Basic) -> bool:
    """Compare the mean of the left side over independent signs with the right side."""
    left = sign_average(statement.args[0], *_signs)
    return sp.simplify(left - statement.args[1]) == 0


def _mean(because: str, inner: sp.Expr, value: sp.Expr, false: sp.Expr) -> Step:
    """A step: E[``inner``] = ``value`` over independent signs ε; E[``false``] is another value."""
    mean = sp.Function("E")

    def check(statement: sp.Basic) -> bool:
        return _averaged(sp.Eq(statement.args[0].args[0], statement.args[1], evaluate=False))

    return Step(
        because,
        equation(mean(inner), value),
        check,
        equation(mean(false), value),
        "over all signs ε, exactly",
    )


def _mean_square() -> Step:
    """Derive (1) for one layer: the shortcut, the branch's Jacobian, and δ's own effect."""
    kept, through, own = (
        sp.sqrt((1 - _weight**2) * _D),
        _weight * sp.sqrt(_kappa * _D) * _signs[0],
        _weight * sp.sqrt(_C) * _signs[1],
    )
    together = kept + through + own
    return _mean(
        "one layer in mean square: Jacobian and δ's effect have zero mean and are independent",
        together**2,
        next_change(_D, _weight, _kappa),
        together.subs(_signs[1], _signs[0]) ** 2,
    )


@covers("over all signs of three small branches, exactly")
def _relu_keeps(statement: sp.Basic) -> bool:
    """Compare κ with (E‖J u‖²/‖u‖²)/(E‖f(x)‖²/‖x‖²) of small ReLU branches, over all signs."""
    cases = (((1, 3), (2, 1), 1), ((1, 3), (1, -2), 2), ((1, 2, 4), (3, 0, 1), 1))
    for x, u, hidden in cases:
        found = sign_averaged_relu(x, u, hidden)
        kappa = (found.forward / sum(a * a for a in u)) / (found.output / sum(a * a for a in x))
        if kappa != statement.args[1]:
            return False
    return True


def _iterated(kappa: sp.Expr | int, weights: tuple[sp.Expr, ...]) -> sp.Expr:
    change: sp.Expr = sp.S.Zero
    for weight in weights:
        change = next_change(change, weight, kappa)
    return sp.expand(change)


@covers("for every β_1, …, β_4")
def _after_four(statement: sp.Basic) -> bool:
    """Compare a formula for D_4 with the recursion from D_0 = 0."""
    return sp.expand(_iterated(1, _own) - statement.args[1]) == 0


def _after_some(statement: sp.Basic) -> bool:
    """Compare a formula in N with the recursion at constant β and free κ, N = 1…5."""
    return all(
        sp.expand(
            sp.cancel(statement.args[1].subs(N, depth)) - _iterated(_kappa, (_weight,) * depth)
        )
        == 0
        for depth in range(1, 6)
    )


def _own_effect() -> tuple[Step, ...]:
    """Derive C for a branch of two matrices whose entries change by a share s of their size."""
    first, second, share = sp.symbols("w_1 w_2 s", positive=True)
    independent = (first + share * first * _signs[0]) * (second + share * second * _signs[1])
    aligned = (first + share * first) * (second + share * second)
    exact = first**2 * second**2 * (2 * share**2 + share**4)
    return (
        _mean(
            "δ independent of W, of share s: the same constant C = 2s² + s⁴ at every layer",
            (independent - first * second) ** 2,
            exact,
            (aligned - first * second) ** 2,
        ),
    )


def _alignment() -> Step:
    """Derive the sum of N effects of one common sign, where the theorem has independent ones."""
    one, each = (
        sum(weight * _signs[0] for weight in _own),
        sum(weight * sign for weight, sign in zip(_own, _signs, strict=True)),
    )
    return _mean(
        "independence cannot be dropped: effects aligned at the output give (Σ β_{i,i})²",
        one**2,
        sum(_own) ** 2,
        each**2,
    )


def theorem() -> Derivation:
    """Derive the theorem: D_N = C Σ β_{i,i}² for small independent δ."""
    change = sp.Symbol("D_4", positive=True)
    drift = ((1 + (_kappa - 1) * _weight**2) ** N - 1) / (_kappa - 1)
    return Derivation(
        "admin.thm2",
        "The output's change is C Σ β²",
        (
            _mean_square(),
            Step(
                "κ of ReLU branches, over all signs of their weights: the Jacobian loses nothing",
                equation(sp.Symbol("kappa"), sp.S.One),
                _relu_keeps,
                equation(sp.Symbol("kappa"), sp.S.Half),
            ),
            *_own_effect(),
            Step(
                "the recursion from D_0 = 0, four layers, each with its own β",
                equation(change, _C * sum(weight**2 for weight in _own)),
                _after_four,
                equation(change, _C * sum(_own)),
                "for every β_1, …, β_4",
            ),
            Step(
                "κ = 1 cannot be dropped: at constant β (N = 1…5) the change is exponential in N",
                equation(sp.Symbol("D_N"), _C * drift),
                _after_some,
                equation(sp.Symbol("D_N"), _C * N * _weight**2),
            ),
            _alignment(),
        ),
    )


def _below_unit_integral(power: sp.Rational) -> StatementCheck:
    """Compare ∫ y^(−power) over an interval of length 1 with a constant, point by point."""

    def check(statement: sp.Basic) -> bool:
        (_, lower, upper) = statement.args[0].limits[0]
        point = lower + (upper - lower) / (1 + _s)
        both = [side ** (1 / power) for side in (statement.args[0].function, statement.args[1])]
        ordered = sp.Le(both[0].subs(_y, point), both[1], evaluate=False)
        return upper - lower == 1 and dominated(ordered.subs(_i, 1 + _t))

    return check


def _integral_step(because: str, power: sp.Rational) -> Step:
    """A step: ∫_i^{i+1} y^(−p) dy ≤ i^(−p); over an interval to the left of i it is larger."""

    def over(lower: sp.Expr) -> sp.Integral:
        return sp.Integral(_y**-power, (_y, lower, lower + 1))

    return Step(
        because,
        sp.Le(over(_i), _i**-power, evaluate=False),
        _below_unit_integral(power),
        sp.Le(over(_i - sp.S.Half), _i**-power, evaluate=False),
    )


def pre_ln() -> Derivation:
    """Derive Pre-LN's corollary: Σ 1/i is Θ(log N); aligned changes would give Θ(N)."""
    root = sp.Integral(_y**-sp.S.Half, (_y, 1, N)).doit() + 1
    return Derivation(
        "admin.cor-pre",
        "Pre-LN: the sum of 1/i",
        (
            _integral_step(
                "Σ_{i≤N} 1/i is at least ∫_1^{N+1} dy/y = log(N + 1)",
                sp.Rational(1),
            ),
            Step(
                "and log N + γ up to what vanishes with depth",
                equation(
                    sp.Limit(sp.harmonic(_terms) - sp.log(_terms), _terms, sp.oo), sp.EulerGamma
                ),
                lambda statement: statement.args[0].doit() == statement.args[1],
                equation(
                    sp.Limit(sp.harmonic(_terms) - 2 * sp.log(_terms), _terms, sp.oo), sp.EulerGamma
                ),
            ),
            theta_step("so D_N = C Σ 1/i = O(log N)", 1 + sp.log(N), sp.log(N), sp.S.One),
            log_bound_step(),
            limit_step(
                "unequal variances telescope: Σ β² ≤ log(1 + Σ v_i/Var[x_0]), ~ log N if bounded",
                sp.log(1 + N * v) / sp.log(N),
                1,
                sp.log(1 + N**2 * v) / sp.log(N),
            ),
            _integral_step(
                "aligned changes: Σ_{i≤N} i^(−1/2) is at least ∫_1^{N+1} dy/√y = 2√(N + 1) − 2",
                sp.Rational(1, 2),
            ),
            theta_step(
                "then D_N = C (Σ i^(−1/2))² grows at least as N, not as log N",
                root**2,
                N,
                sp.log(N),
            ),
        ),
    )


def _below_four(statement: sp.Basic) -> bool:
    """Decide an inequality in the correlation c of two unit vectors, −1 ≤ c ≤ 1."""
    c = sp.Symbol("c", real=True)
    return dominated(statement.subs(c, (_s - 1) / (_s + 1)))


def post_ln() -> Derivation:
    """Derive Post-LN's corollary: N equal terms.

    Both outputs are normalised, so the change is at most 4 whatever N is.
    """
    first, second, c = (
        sp.Symbol("x", real=True),
        sp.Symbol("x*", real=True),
        sp.Symbol("c", real=True),
    )

    def normalised(statement: sp.Basic) -> bool:
        left = sp.expand(statement.args[0])
        moments = {first**2: 1, second**2: 1, first * second: c}
        return sp.expand(left.subs(moments, simultaneous=True) - statement.args[1]) == 0

    return Derivation(
        "admin.cor-post",
        "Post-LN: N equal terms",
        (
            Step(
                "β_{i,i}² = v/(1 + v) at every layer",
                equation(sp.Sum(v / (1 + v), (_i, 1, _terms)), _terms * v / (1 + v)),
                identity,
                equation(sp.Sum(v / (1 + v), (_i, 1, _terms)), _terms * v),
            ),
            theta_step("so D_N = Θ(N) while δ is small", N * v / (1 + v), N, sp.log(N)),
            mean_step(
                "normalised outputs of correlation c: the difference in mean square",
                (first - second) ** 2,
                2 - 2 * c,
                normalised,
                2 + 2 * c,
                "by E x² = E x*² = 1, E x x* = c",
            ),
            Step(
                "so it is at most 4 (2 if uncorrelated): linear growth ends by N = 4 (1 + v)/(v C)",
                sp.Le(2 - 2 * c, 4, evaluate=False),
                _below_four,
                sp.Le(2 - 2 * c, 2, evaluate=False),
            ),
        ),
    )
