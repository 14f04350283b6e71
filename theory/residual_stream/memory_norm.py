"""Does the encoder's output keep the size of its input? Eq. 7 of T-Fixup takes it for granted.

The decoder's scale is derived with ‖m‖ = ‖y‖, although nothing sets the memory m = f_e(x). With
independent zero-mean weights of Xavier's variances times s², s⁴ = a²/N and a = (√22 − 2)/6, the
mean square of a token grows per encoder layer by two factors:

- self-attention, uniform over t independent tokens: 1 + s⁴/t, and at most 1 + s⁴ for any tokens;
- MLP with ReLU: 1 + ½ d_ff d σ₁² σ₂² = 1 + κ s⁴, κ = 2 d d_ff/(d + d_ff)² ≤ ½.

So E‖m‖²/‖x‖² → exp((1/t + κ) a²), which is at most exp(3a²/2) = 1.352 at every N ≥ 1 and width: in
mean square ‖m‖ = Θ(‖x‖). If each block is read as the scalar 1 ± v w, the limit is exp(2a²) =
1.495. With all signs alike, which the same norms allow, the memory grows like exp(2a√N − a²).
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
from theory.errors import require_positive
from theory.scales.conditions import printed
from theory.scales.stacks import N_D, N_E, V_E, W_E, X

N = sp.Symbol("N", positive=True)
d, d_ff, t = sp.symbols("d d_ff t", positive=True)
"""Widths of the stream and of the MLP, tokens that attention averages over."""
s = sp.Symbol("s", positive=True)
"""The encoder's scale: a factor on every v, output and MLP matrix."""
_first, _second = sp.symbols("sigma_1 sigma_2", positive=True)
_c = sp.Symbol("c", nonnegative=True)
_square, _mean = sp.symbols("S ybar", real=True)
A2 = sp.expand(((sp.sqrt(22) - 2) / 6) ** 2)
"""The constant a² = s⁴ N = (13 − 2√22)/18 = 0.201065."""
KAPPA = 2 * d * d_ff / (d + d_ff) ** 2
"""The MLP's relative growth κ at s = 1."""


def mlp_growth(scale: sp.Expr = s) -> sp.Expr:
    """Growth of the mean square in one MLP block: 1 + ½ d_ff d σ₁² σ₂².

    σ₁² = σ₂² = 2 s²/(d + d_ff).

    Examples
    --------
    >>> mlp_growth(sp.Integer(1)).subs({d: 64, d_ff: 128})
    13/9
    """
    variance = 2 * scale**2 / (d + d_ff)
    return 1 + d_ff * d * variance**2 / 2


def memory_growth(model_width: int, mlp_width: int, tokens: int) -> sp.Expr:
    """Growth of the encoder's stream as N → ∞, for t independent tokens: exp((1/t + κ) a²).

    Parameters
    ----------
    model_width, mlp_width, tokens
        d, d_ff and t, at least 1 each.

    Raises
    ------
    InputError
        If one of them is no integer of at least 1.

    Examples
    --------
    >>> sp.N(memory_growth(64, 128, 16), 5)
    1.1073
    >>> sp.N(sp.sqrt(memory_growth(512, 1024, 16)), 5)  # ‖m‖/‖x‖ depends on d_ff/d alone
    1.0523
    """
    require_positive(model_width=model_width, mlp_width=mlp_width, tokens=tokens)
    kappa = KAPPA.subs({d: model_width, d_ff: mlp_width})
    return sp.exp((sp.Rational(1, tokens) + kappa) * A2)


def _signed(count: int) -> product:
    return product((1, -1), repeat=count)


@covers("over all signs at d = 2, d_ff = 1, 2, exactly")
def _mlp_in_mean_square(statement: sp.Basic) -> bool:
    """Average ‖y + ReLU(y W₁) W₂‖² over all signs of W₁ (2 × k) and W₂ (k × 2), k = 1, 2."""
    y = (sp.Rational(2), sp.Rational(-1, 3))
    one, two = sp.Rational(1, 2), sp.Rational(3, 5)
    norm = sum(entry**2 for entry in y)
    for width in (1, 2):
        total, draws = sp.Integer(0), 0
        for w1 in _signed(2 * width):
            hidden = [one * max(0, y[0] * w1[2 * k] + y[1] * w1[2 * k + 1]) for k in range(width)]
            for w2 in _signed(2 * width):
                out = [
                    y[i] + two * sum(hidden[k] * w2[2 * k + i] for k in range(width))
                    for i in (0, 1)
                ]
                total += sum(entry**2 for entry in out)
                draws += 1
        claimed = statement.args[1].subs({d: 2, d_ff: width, _first: one, _second: two})
        if total / draws / norm != claimed:
            return False
    return True


@covers("over all signs for t = 1, 2, 3, exactly")
def _attention_in_mean_square(statement: sp.Basic) -> bool:
    """Check the growth in attention by averaging over signs of tokens and weights.

    The average is of (x_1 + mean(x) W_v W_o)², over t tokens and 1 × 1 matrices W_v and W_o.
    """
    scale = sp.Rational(2, 3)
    for tokens in (1, 2, 3):
        total, draws = sp.Integer(0), 0
        for signs in _signed(tokens + 2):
            mean = sp.Rational(sum(signs[:tokens]), tokens)
            total += (signs[0] + mean * scale**2 * signs[-1] * signs[-2]) ** 2
            draws += 1
        if total / draws != statement.args[1].subs({t: tokens, s: scale}):
            return False
    return True


def _mean_is_below(statement: sp.Basic) -> bool:
    """Check that mean square minus square of the mean of 1 to 4 tokens is their variance."""
    for tokens in range(1, 5):
        y = sp.symbols(f"y1:{tokens + 1}", real=True)
        mean = sum(y) / tokens
        deviation = sum((entry - mean) ** 2 for entry in y) / tokens
        found = statement.args[1].subs({_square: sum(e**2 for e in y) / tokens, _mean: mean})
        if sp.expand(found - deviation) != 0:
            return False
    return True


def _after_all_layers(statement: sp.Basic) -> bool:
    """Limit of (1 + s⁴/t)^N (1 + κ s⁴)^N at s⁴ = a²/N.

    It is taken of the logarithm at u = 1/N → 0.
    """
    u = sp.Symbol("u", positive=True)
    layer = statement.args[0].args[0]
    logarithm = sp.log(layer.subs(s, (A2 * u) ** sp.Rational(1, 4))) / u
    found = sp.diff(sp.expand_log(logarithm * u, force=True), u).subs(u, 0)
    return sp.simplify(found - sp.log(statement.args[1])) == 0


def _any_width(statement: sp.Basic) -> bool:
    """Decide an inequality for all d, d_ff > 0.

    The larger width is written as the smaller plus an excess.
    """
    excess = sp.Symbol("e", nonnegative=True)
    return all(
        dominated(statement.subs(larger, smaller + excess))
        for larger, smaller in ((d, d_ff), (d_ff, d))
    )


def _at_any_depth(statement: sp.Basic) -> bool:
    """Decide N log(1 + c/N) ≤ c by log(1 + z) ≤ z.

    Both sides are equal at z = 0, and their slopes are ordered.
    """
    z = sp.Symbol("z", nonnegative=True)
    gap = ((statement.args[1] - statement.args[0]) / N).subs(_c, z * N)
    rises = dominated(sp.Le(0, sp.diff(gap, z), evaluate=False))
    return bool(gap.subs(z, 0) == 0) and rises


def _scale_step() -> Step:
    norms = {N_E: N, N_D: N, V_E: s, W_E: s, X: (9 * N) ** sp.Rational(-1, 4)}
    return at_step(
        "the encoder's scale, from Eq. 6 set to 1: s⁴ N = a² with a = (√22 − 2)/6",
        equation(printed(6).subs(norms), sp.S.One),
        {s: sp.sqrt((sp.sqrt(22) - 2) / 6) * N ** sp.Rational(-1, 4)},
        {s: sp.sqrt((sp.sqrt(22) + 2) / 6) * N ** sp.Rational(-1, 4)},
    )


def growth_steps() -> tuple[Step, ...]:
    """Derive the growth of the mean square in one attention block and in one MLP block."""
    mean = sp.Function("E")
    mlp, attention = mean(sp.Symbol("MLP")), mean(sp.Symbol("attention"))
    half = sp.Rational(1, 2) * d_ff * d * _first**2 * _second**2
    shared = 2 * s**2 / (d + d_ff)

    return (
        Step(
            "an MLP block: ReLU keeps half of the second moment (all signs, d = 2, exact)",
            equation(mlp, 1 + half),
            _mlp_in_mean_square,
            equation(mlp, 1 + 2 * half),
        ),
        at_step(
            "at Xavier's variance 2/(d + d_ff) times s²",
            equation(1 + half, 1 + KAPPA * s**4),
            {_first: sp.sqrt(shared), _second: sp.sqrt(shared)},
            {_first: sp.sqrt(shared), _second: shared},
        ),
        Step(
            "self-attention over t independent tokens, uniform weights (all signs, exact)",
            equation(attention, 1 + s**4 / t),
            _attention_in_mean_square,
            equation(attention, 1 + s**4),
        ),
        Step(
            "over any tokens at most 1 + s⁴: mean ‖y_j‖² − ‖mean y_j‖² = mean ‖y_j − mean‖² ≥ 0",
            equation(sp.Symbol("deviation"), _square - _mean**2),
            _mean_is_below,
            equation(sp.Symbol("deviation"), _square - 2 * _mean**2),
            "for 1 to 4 tokens, every y",
        ),
    )


def bounded() -> Derivation:
    """Derive ‖m‖ = Θ(‖x‖) in mean square over independent weights, with the constants."""
    layer = (1 + s**4 / t) * (1 + KAPPA * s**4)
    scalar = (1 + s**4) ** 2

    def limit(base: sp.Expr) -> sp.Expr:
        return sp.Limit(base**N, N, sp.oo)

    return Derivation(
        "tfixup.memory",
        "The memory's mean square under T-Fixup's scales",
        (
            _scale_step(),
            *growth_steps(),
            Step(
                "N layers: the limit of E‖m‖²/‖x‖²",
                equation(limit(layer), sp.exp((1 / t + KAPPA) * A2)),
                lambda statement: _after_all_layers(_unpowered(statement)),
                equation(limit(layer), sp.exp((1 / t + KAPPA) * A2 / 2)),
            ),
            Step(
                "κ ≤ ½ for every width, equal at d_ff = d",
                sp.Le(KAPPA, sp.Rational(1, 2), evaluate=False),
                _any_width,
                sp.Le(KAPPA, sp.Rational(1, 3), evaluate=False),
            ),
            Step(
                "N log(1 + c/N) ≤ c: the limit is an upper bound at every depth, 1 the lower one",
                sp.Le(N * sp.log(1 + _c / N), _c, evaluate=False),
                _at_any_depth,
                sp.Le(N * sp.log(1 + _c / N), _c / 2, evaluate=False),
            ),
            Step(
                "the scalar reading, two blocks 1 ± v w a layer",
                equation(limit(scalar), sp.exp((13 - 2 * sp.sqrt(22)) / 9)),
                lambda statement: _after_all_layers(_unpowered(statement)),
                equation(limit(scalar), sp.exp((13 - 2 * sp.sqrt(22)) / 18)),
            ),
        ),
    )


def _unpowered(statement: sp.Basic) -> sp.Basic:
    """Decide lim b^N = c as b = c, for a check that takes the power itself."""
    power = statement.args[0].args[0]
    return equation(sp.Tuple(power.base ** (power.exp / N)), statement.args[1])


def unbounded() -> Derivation:
    """Show that with the same norms and all signs alike, ‖m‖ outgrows every multiple of ‖x‖."""
    u = sp.Symbol("u", positive=True)
    root = (sp.sqrt(22) - 2) / 6
    logarithm = 2 * N * sp.log(1 + s**2)

    def gap_closes(statement: sp.Basic) -> bool:
        # s² = a/√N with N = 1/u²: a limit at infinity becomes an expansion at 0.
        inserted = statement.args[0].args[0].subs(s, sp.sqrt(root / sp.sqrt(N))).subs(N, 1 / u**2)
        return sp.limit(inserted, u, 0, "+") == statement.args[1]

    def remainder(claimed: sp.Expr) -> sp.Basic:
        return equation(sp.Limit(logarithm - claimed, N, sp.oo), sp.S.Zero)

    at_200 = (1 + root / sp.sqrt(200)) ** 400
    return Derivation(
        "tfixup.memory",
        "The memory when every block adds along the stream",
        (
            _scale_step(),
            Step(
                "2N blocks of factor 1 + v w = 1 + s²: log(‖m‖/‖x‖) = 2a√N − a² + o(1) → ∞",
                remainder(2 * root * sp.sqrt(N) - root**2),
                gap_closes,
                remainder(2 * root * sp.sqrt(N)),
            ),
            rounded_step("at N = 200 a factor of 2.65 · 10⁵", at_200 / 10**5, "2.65"),
        ),
    )
