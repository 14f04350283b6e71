"""The path from Eq. 5 to T-Fixup's two constants (§3.2, Appendix C reconstructed), step by step.

Appendix C's own text was not at hand: what follows is a reconstruction from §3.2's conditions.

u = (9N)^(-1/4) from the decoder's condition; then, with x = u, Eq. 6 is a quadratic in
t = s² √N, 2 (2t/3 + t²) = 1, whose one positive root is (√22 − 2)/6, and
s = √((√22 − 2)/6) N^(-1/4) = 0.669628722978… N^(-1/4). The paper prints 0.67.
"""

import sympy as sp

from theory.attention import scalar as attention
from theory.attention import theorem31
from theory.derivations.derivation import Derivation, Step, dominated, equation, identity
from theory.scales import conditions, stacks
from theory.scales.architectures import encoder_decoder
from theory.scales.solver import depth_law, solve
from theory.scales.stacks import N_D, N_E, V_E, W_E, X
from theory.scales.update_rules import SGD, stack_gain

N = sp.Symbol("N", positive=True)
_u, _s, _t = sp.symbols("u s t", positive=True)
DIGITS = sp.Float("0.669628722978", 12)
"""The constant to twelve digits, as a reader will compare it."""


def constant() -> sp.Expr:
    """√((√22 − 2)/6), from the solver.

    Examples
    --------
    >>> sp.simplify(constant() ** 2 - (sp.sqrt(22) - 2) / 6)
    0
    """
    return depth_law(solve(encoder_decoder(N, N), SGD)[V_E], N)[0]


def _solves(unknown: sp.Symbol, left_side: sp.Expr) -> Step:
    """``unknown`` = (9N)^(-1/4) makes the decoder's left side 1."""

    def check(statement: sp.Basic) -> bool:
        return identity(equation(left_side.subs(unknown, statement.args[1]), sp.S.One))

    return Step(
        "its only positive solution",
        equation(unknown, (9 * N) ** sp.Rational(-1, 4)),
        check,
        equation(unknown, (9 * N) ** sp.Rational(-1, 2)),
    )


def decoder_steps() -> tuple[Step, ...]:
    """The decoder's condition with all norms tied, and (9N)^(-1/4)."""
    tied = stack_gain(stacks.decoder(N), SGD).subs(conditions.decoder_choice(_u))
    return (
        Step(
            "the decoder's blocks that exist, with v_d = w_d = y = m = u",
            equation(tied, 9 * N * _u**4),
            identity,
            equation(tied, 6 * N * _u**4),
        ),
        _solves(_u, tied),
    )


def encoder_steps() -> tuple[Step, ...]:
    """Eq. 6 with v_e = w_e = s and x = (9N)^(-1/4), solved."""
    x = (9 * N) ** sp.Rational(-1, 4)
    eq6 = conditions.printed(6).subs({N_E: N, V_E: _s, W_E: _s})
    at_x = eq6.subs(X, x)
    quadratic = 2 * (2 * _t / 3 + _t**2)
    root = (sp.sqrt(22) - 2) / 6

    def scaled(statement: sp.Basic) -> bool:
        return identity(statement.subs(_s, sp.sqrt(_t) * N ** sp.Rational(-1, 4)))

    def is_root(statement: sp.Basic) -> bool:
        return statement.args[1].is_positive is True and identity(
            equation(quadratic.subs(_t, statement.args[1]), sp.S.One)
        )

    def is_scale(statement: sp.Basic) -> bool:
        return identity(equation(at_x.subs(_s, statement.args[1]), sp.S.One))

    def has_digits(statement: sp.Basic) -> bool:
        exact, rounded = statement.args
        return bool(abs(sp.N(exact, 30) - sp.Rational(str(rounded))) < sp.Rational(1, 2 * 10**12))

    return (
        Step(
            "Eq. 6 with v_e = w_e = s and x = (9N)^(-1/4) depends on N only through t = s² √N",
            equation(at_x, quadratic),
            scaled,
            equation(at_x, 2 * (_t / 3 + _t**2)),
        ),
        Step(
            "the left side increases in t, so it meets 1 once",
            sp.Le(0, sp.diff(quadratic, _t), evaluate=False),
            dominated,
            sp.Le(0, sp.diff(-quadratic, _t), evaluate=False),
        ),
        Step(
            "at the positive root of 2 (2t/3 + t²) = 1",
            equation(_t, root),
            is_root,
            equation(_t, -(sp.sqrt(22) + 2) / 6),
        ),
        Step(
            "hence the encoder's scale",
            equation(_s, sp.sqrt(root) * N ** sp.Rational(-1, 4)),
            is_scale,
            equation(_s, sp.sqrt(root) * N ** sp.Rational(-1, 2)),
        ),
        Step(
            "the solver returns the same constant from the stack's description",
            equation(constant(), sp.sqrt(root)),
            identity,
            equation(constant(), root),
        ),
        Step(
            "in digits; the paper prints 0.67",
            equation(sp.sqrt(root), DIGITS),
            has_digits,
            equation(sp.sqrt(root), sp.Float("0.67", 12)),
        ),
    )


def derivation() -> Derivation:
    """Eq. 5 → gradient → update gain → Theorem 3.1's terms → Eqs. 6–8 → both constants."""
    return Derivation(
        "tfixup.encoder-scale",
        "From Eq. 5 to the encoder's scale 0.669628722978 N^(-1/4) (Appendix C reconstructed)",
        (
            *attention.steps(),
            *theorem31.lower_bound(),
            *theorem31.upper_bound(),
            conditions.step(6),
            conditions.step(7),
            conditions.step(8),
            *decoder_steps(),
            *encoder_steps(),
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
