"""The path from Eq. 5 to T-Fixup's two constants (§3.2, Appendix C reconstructed), step by step.

Appendix C's own text was not at hand: what follows is a reconstruction from §3.2's conditions.

u = (9N)^(-1/4) from the decoder's condition; then, with x = u, Eq. 6 is a quadratic in
t = s² √N, 2 (2t/3 + t²) = 1, whose one positive root is (√22 − 2)/6, and
s = √((√22 − 2)/6) N^(-1/4) = 0.669628722978… N^(-1/4). The paper prints 0.67.
"""

import sympy as sp

from theory.attention import scalar as attention
from theory.attention import theorem31
from theory.derivations.derivation import (
    Derivation,
    Step,
    at_step,
    dominated,
    equation,
    identity,
    rounded_step,
    section,
)
from theory.scales import conditions, stacks
from theory.scales.architectures import encoder_decoder
from theory.scales.solver import depth_law, solve
from theory.scales.stacks import N_D, N_E, V_E, W_E, X
from theory.scales.update_rules import SGD

N = sp.Symbol("N", positive=True)
_u, _s, _t = sp.symbols("u s t", positive=True)
DIGITS = "0.669628722978"
"""The constant to twelve digits, as a reader will compare it."""


def constant() -> sp.Expr:
    """The constant of the encoder's scale as the solver finds it, √((√22 − 2)/6).

    Examples
    --------
    >>> sp.simplify(constant() ** 2 - (sp.sqrt(22) - 2) / 6)
    0
    """
    return depth_law(solve(encoder_decoder(N, N), SGD)[V_E], N)[0]


def decoder_steps() -> tuple[Step, ...]:
    """The decoder's condition with all norms tied, and (9N)^(-1/4)."""
    blocks = conditions.block_sum(stacks.decoder(N))
    total = 9 * N * _u**4
    scale = (9 * N) ** sp.Rational(-1, 4)
    tied = conditions.decoder_choice(_u)
    return (
        at_step(
            "the blocks that exist: N self-attention, N encoder-attention, N MLP, 3 blocks × 3 "
            "terms = 9",
            equation(blocks, total),
            tied,
            conditions.decoder_choice(2 * _u),
        ),
        at_step(
            "the condition asks for Θ(1); the constant is fixed by setting the left side to 1, "
            "which has one positive solution, as it increases in u",
            equation(total, sp.S.One),
            {_u: scale},
            {_u: scale**2},
        ),
    )


def encoder_steps() -> tuple[Step, ...]:
    """Solve Eq. 6 for the encoder's scale, with v_e = w_e = s and x = (9N)^(-1/4)."""
    x = (9 * N) ** sp.Rational(-1, 4)
    eq6 = conditions.printed(6).subs({N_E: N, V_E: _s, W_E: _s})
    at_x = eq6.subs(X, x)
    quadratic = 2 * (2 * _t / 3 + _t**2)
    root = (sp.sqrt(22) - 2) / 6
    scale = sp.sqrt(root) * N ** sp.Rational(-1, 4)
    return (
        at_step(
            "Eq. 6 with v_e = w_e = s and x = (9N)^(-1/4) depends on N only through t = s² √N",
            equation(at_x, quadratic),
            {_s: sp.sqrt(_t) * N ** sp.Rational(-1, 4)},
            {_s: sp.sqrt(_t) * N ** sp.Rational(-1, 2)},
        ),
        Step(
            "the left side increases in t, so it meets 1 once",
            sp.Le(0, sp.diff(quadratic, _t), evaluate=False),
            dominated,
            sp.Le(0, sp.diff(-quadratic, _t), evaluate=False),
        ),
        at_step(
            "here too the constant is fixed by setting the left side to 1",
            equation(quadratic, sp.S.One),
            {_t: root},
            {_t: (sp.sqrt(22) + 2) / 6},
        ),
        Step(
            "this root is the positive one",
            sp.Lt(0, root, evaluate=False),
            lambda statement: bool(statement.args[0] < statement.args[1]),
            sp.Lt(0, -(sp.sqrt(22) + 2) / 6, evaluate=False),
        ),
        at_step("hence the encoder's scale", equation(at_x, sp.S.One), {_s: scale}, {_s: scale**2}),
        Step(
            "the solver returns the same constant from the stack's description",
            equation(constant(), sp.sqrt(root)),
            identity,
            equation(constant(), root),
        ),
        rounded_step("in digits; the paper prints 0.67", sp.sqrt(root), DIGITS),
    )


def derivation() -> Derivation:
    """Derive both constants of T-Fixup from the definition of attention.

    Eq. 5 → gradient → update gain → Theorem 3.1's terms → Eqs. 6–8 → constants.
    """
    return Derivation(
        "tfixup.encoder-scale",
        "From Eq. 5 to the encoder's scale 0.669628722978 N^(-1/4) (Appendix C reconstructed)",
        (
            *section("The update gain K of attention", *attention.steps()),
            *section("Theorem 3.1: K from below", *theorem31.lower_bound()),
            *section("Theorem 3.1: K from above", *theorem31.upper_bound()),
            *section("Eqs. 6 to 8: the gains of all blocks", *map(conditions.step, (6, 7, 8))),
            *section("The decoder's constant", *decoder_steps()),
            *section("The encoder's constant", *encoder_steps()),
        ),
    )


def printed_left_side() -> sp.Expr:
    """Eq. 6's left side at the printed 0.67 and N_e = N_d.

    Examples
    --------
    >>> sp.N(printed_left_side(), 6)
    1.00156
    """
    rounded = sp.Rational(67, 100) * N_E ** sp.Rational(-1, 4)
    x = (9 * N_E) ** sp.Rational(-1, 4)
    eq6 = conditions.printed(6).subs({N_D: N_E, V_E: rounded, W_E: rounded, X: x})
    return sp.simplify(eq6)
