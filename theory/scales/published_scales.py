"""The published scales of Fixup, DeepNorm, DT-Fixup and ReZero from their conditions.

Every scheme is data (``presets.py``), every number comes out of the one solver (``scales.py``); a
derivation here states the scheme's condition, its solution, and what had to be added. Notation as
in ``presets.py``: L blocks, N and M layers, α on shortcuts, β or a on matrices.
"""

from collections.abc import Callable

import sympy as sp

from theory.derivations.derivation import (
    Derivation,
    Step,
    at_step,
    equation,
    identity,
    rounded_step,
)
from theory.derivations.orders import order_step
from theory.scales import conditions, presets
from theory.scales.architecture import StackLayout
from theory.scales.presets import ALPHA_D, ALPHA_E, MU, A, T
from theory.scales.solver import solve
from theory.scales.stacks import V_D, V_E
from theory.scales.update_rules import SGD, stack_gain

N, M, L = sp.symbols("N M L", positive=True)
_m = sp.Symbol("m", integer=True, positive=True)
_v, _w, _alpha, _beta = sp.symbols("v w alpha beta", positive=True)
MATRICES = (2, 3, 4, 5, 6)
"""Numbers of matrices per branch at which Fixup's formulas are checked."""


def _tied_left_side(architecture: StackLayout, name: str) -> sp.Expr:
    """A condition's left side with the ties made."""
    ties = {tie.symbol: tie.value for tie in architecture.ties}
    demanded = conditions.system(architecture, SGD)
    return next(item.left_side for item in demanded if item.name == name).subs(ties)


def _by_matrices(
    because: str,
    left: sp.Expr,
    right: sp.Expr,
    false: sp.Expr,
    check: Callable[[int, sp.Expr], bool],
) -> Step:
    """A formula in m, checked at each number of matrices."""

    def every(statement: sp.Basic) -> bool:
        return all(check(count, statement.args[1].subs(_m, count)) for count in MATRICES)

    scope = "for m = 2 to 6, every L"
    return Step(because, equation(left, right), every, equation(left, false), scope)


def fixup() -> Derivation:
    """Derive Fixup's factor for a branch of m matrices.

    L a^(2(m − 1)) = 1, hence a = L^(-1/(2m − 2)).
    """

    def is_gain(count: int, claimed: sp.Expr) -> bool:
        return identity(equation(_tied_left_side(presets.fixup(L, count), "residual"), claimed))

    def is_scale(count: int, claimed: sp.Expr) -> bool:
        return identity(equation(solve(presets.fixup(L, count), SGD)[A], claimed))

    solved = solve(presets.r_fixup(N, M), SGD)
    blocks = 2 * N + 3 * M

    def is_r_fixup(statement: sp.Basic) -> bool:
        slot, claimed = statement.args
        return identity(equation(solved[slot], claimed))

    return Derivation(
        "fixup.scale",
        "Fixup's scale from its condition",
        (
            _by_matrices(
                "m matrices, the last zero: only its own derivative is left (m = 2…6)",
                sp.Symbol("gain"),
                L * A ** (2 * (_m - 1)),
                L * A ** (2 * _m),
                is_gain,
            ),
            _by_matrices(
                "the gain set to 1 (m = 2…6)",
                A,
                L ** (-1 / (2 * _m - 2)),
                L ** (-1 / (2 * _m)),
                is_scale,
            ),
            *(
                Step(
                    f"R-Fixup's {what}, with L = 2 N + 3 M in either condition",
                    equation(slot, blocks**power),
                    is_r_fixup,
                    equation(slot, blocks ** (power - sp.Rational(1, 4))),
                    "the solver's answer, for every N and M",
                )
                for what, slot, power in (
                    ("attention, m = 4: q, k, v", A, sp.Rational(-1, 6)),
                    ("MLP, m = 2: the first matrix", presets.B, sp.Rational(-1, 2)),
                )
            ),
        ),
    )


def _deepnorm_condition(name: str, typed: sp.Expr, because: str) -> Step:
    architecture = presets.deepnorm(N, M)
    own = architecture.stack(name)
    left = (
        stack_gain(own, SGD).subs(presets.M, 1)
        if name == "decoder"
        else conditions.system(architecture, SGD)[0].left_side.subs(presets.M, 1)
    )
    return Step(because, equation(left, typed), identity, equation(left, 2 * typed))


def _solves(name: str, symbol: sp.Symbol, closed: sp.Expr, power: sp.Rational) -> Step:
    solved = solve(presets.deepnorm(N, M), SGD)

    def check(statement: sp.Basic) -> bool:
        slot, claimed = statement.args
        ratio = sp.powsimp(sp.powdenest(solved[slot] / claimed, force=True), force=True)
        return identity(equation(ratio, sp.S.One))

    return Step(
        f"{name}, from the conditions and the balance 2 α² β² = 1",
        equation(symbol, closed),
        check,
        equation(symbol, closed * M**power),
        "the solver's answer, for every N and M",
    )


def _rounds(exact: sp.Expr, printed: str) -> Step:
    return rounded_step(f"which is printed as {printed}", exact, printed)


def deepnorm() -> Derivation:
    """Derive DeepNorm's constants from its conditions.

    α_e = 3^(-3/16) (N⁴M)^(1/16), β_e = 3^(3/16)/√2 (N⁴M)^(-1/16), α_d = (3M)^(1/4) and β_d =
    (12M)^(-1/4).
    """
    quarter = sp.Rational(1, 4)
    sixteenth = (N**4 * M) ** sp.Rational(1, 16)
    alpha_e, beta_e = 3 ** sp.Rational(-3, 16), 3 ** sp.Rational(3, 16) / sp.sqrt(2)
    v_e, w_e, v_d, w_d = V_E, presets.W_E, V_D, presets.W_D
    decoder = 3 * M * (v_d**2 + w_d**2) / ALPHA_D**2
    encoder = (M * v_d * w_d / ALPHA_D) * 2 * N * (v_e**2 + w_e**2) / ALPHA_E**2
    family = solve(presets.deepnorm(N, M, balanced=False), SGD)
    single = solve(presets.deepnorm_single(N), SGD)

    def leaves_free(statement: sp.Basic) -> bool:
        return len(family.free) == statement.args[1]

    def is_single(statement: sp.Basic) -> bool:
        slot, claimed = statement.args
        return identity(equation(single[slot], claimed))

    return Derivation(
        "deepnorm.scale",
        "DeepNorm's constants from its conditions",
        (
            _deepnorm_condition("decoder", decoder, "the decoder's gain, inputs normalised"),
            _deepnorm_condition(
                "encoder",
                encoder,
                "the encoder's gain times the decoder's worst-case sensitivity, counted once",
            ),
            Step(
                "both leave a family: this many norms stay free",
                equation(sp.Symbol("free"), sp.Integer(2)),
                leaves_free,
                equation(sp.Symbol("free"), sp.Integer(0)),
                "from the solver",
            ),
            _solves("α_d", ALPHA_D, (3 * M) ** quarter, quarter),
            _solves("β_d", V_D, (12 * M) ** -quarter, quarter),
            _solves("α_e", ALPHA_E, alpha_e * sixteenth, quarter),
            _rounds(alpha_e, "0.81"),
            _solves("β_e", V_E, beta_e / sixteenth, quarter),
            _rounds(beta_e, "0.87"),
            *(
                Step(
                    f"a single stack's {name}",
                    equation(slot, closed),
                    is_single,
                    equation(slot, closed * N**quarter),
                    "the solver's answer, for every N",
                )
                for name, slot, closed in (
                    ("α", ALPHA_E, (2 * N) ** quarter),
                    ("β", V_E, (8 * N) ** -quarter),
                )
            ),
        ),
    )


def dt_fixup() -> Derivation:
    """Derive DT-Fixup's scale from relation-aware attention: N t² (4μ² + 2μ + 2) = 1."""
    architecture = presets.dt_fixup(N)
    left = _tied_left_side(architecture, "encoder")
    typed = N * T**2 * (4 * MU**2 + 2 * MU + 2)
    solved = solve(architecture, SGD)

    def is_scale(statement: sp.Basic) -> bool:
        return identity(equation(solved[T], statement.args[1]))

    return Derivation(
        "dtfixup.scale",
        "DT-Fixup's scale from relation-aware attention",
        (
            Step(
                "G = w (v μ + r) gives t²(μ² + (μ + 1)² + 1), the MLP 2 t² μ²; μ is not trained",
                equation(left, typed),
                identity,
                equation(left, N * T**2 * (4 * MU**2 + 2)),
            ),
            Step(
                "set to 1",
                equation(T, (N * (4 * MU**2 + 2 * MU + 2)) ** sp.Rational(-1, 2)),
                is_scale,
                equation(T, (N * (4 * MU**2 + 2 * MU + 2)) ** sp.Rational(-1, 4)),
                "the solver's answer, for every N and μ",
            ),
            order_step("at fixed μ its power of the depth", solved[T], sp.Rational(-1, 2), N),
        ),
    )


def rezero() -> Derivation:
    """With α = 0 every α_l moves the output: the gain is L, whatever the matrices."""
    left, start = _rezero_gain()
    return Derivation(
        "ours.rezero-update",
        "ReZero's first step",
        (
            at_step(
                "α = 0 and v = w = x = 1: only ∂G/∂α = v w x is left of each of L blocks",
                equation(left, L),
                start,
                start | {presets.ALPHA: sp.S.One},
            ),
            order_step("so one SGD step moves the output by η times", left, 1, L, start),
        ),
    )


def _rezero_gain() -> tuple[sp.Expr, dict[sp.Symbol, sp.Expr]]:
    """The sum of the blocks' gains, and the values at which ReZero starts."""
    architecture = presets.rezero(L)
    start = {tie.symbol: sp.sympify(tie.value) for tie in architecture.ties}
    return stack_gain(architecture.stacks[0], SGD), start


def rezero_isometry() -> Derivation:
    """With α = 0 the Jacobian of any number of blocks is the identity.

    A block x + α f(x) has the Jacobian I + α F. The first step shows one entry of (I + α F) J for
    the Jacobian J of the blocks below; every entry is alike. By induction over blocks J stays I.
    """
    above, beside, below, under, slope = sp.symbols("F_11 F_12 J_11 J_21 f")
    entry = (1 + presets.ALPHA * above) * below + presets.ALPHA * beside * under
    still, moved = {presets.ALPHA: sp.S.Zero}, {presets.ALPHA: sp.S.One}
    return Derivation(
        "rezero.isometry",
        "ReZero's Jacobian at initialisation",
        (
            at_step(
                "each entry of (I + α F) J is that of J when α = 0, whatever F",
                equation(entry, below),
                still,
                moved,
            ),
            at_step(
                "L blocks that each keep a direction, with slope f, have the singular value 1",
                equation((1 + presets.ALPHA * slope) ** L, sp.S.One),
                still,
                moved,
            ),
        ),
    )


def rezero_rate() -> Derivation:
    """A learning rate ∝ 1/L makes the first step Θ(1)."""
    left, start = _rezero_gain()
    return Derivation(
        "ours.rezero-update",
        "ReZero with a learning rate that falls with the depth",
        (order_step("η ∝ 1/L", sp.expand(left) / L, 0, L, start),),
    )
