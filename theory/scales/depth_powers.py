"""What T-Fixup's conditions become under Adam's first step, and with unscaled positions.

Both are statements about the order in N of a condition's left side when a scheme's norms are
inserted: Θ(1) is the goal, anything that grows is an update that grows with depth.
"""

from functools import partial

import sympy as sp

from theory.derivations.derivation import Derivation, Step, equation, identity, rounded_step
from theory.derivations.orders import order_step
from theory.scales import conditions
from theory.scales.architectures import encoder_decoder
from theory.scales.solver import Solution, solve
from theory.scales.stacks import N_D, N_E, V_D, V_E, W_E, X
from theory.scales.tfixup_constants import N
from theory.scales.update_rules import SGD, SIGN, UpdateRule

_power_step = partial(order_step, n=N)


def left_side(name: str, solved: Solution, rule: UpdateRule) -> sp.Expr:
    """A condition's left side under ``rule`` at norms that were solved for, maybe under another."""
    return sp.simplify(_condition(name, solved, rule).subs(solved.scales))


def _condition(name: str, solved: Solution, rule: UpdateRule) -> sp.Expr:
    """A condition's left side in the norms."""
    demanded = conditions.system(solved.architecture, rule)
    return next(condition for condition in demanded if condition.name == name).left_side


def adam_with_paper_scales() -> Derivation:
    """T-Fixup's scales under the sign update: both conditions grow as N^(1/2)."""
    paper = solve(encoder_decoder(N, N), SGD)
    half = sp.Rational(1, 2)
    return Derivation(
        "tfixup.adam",
        "T-Fixup's scales under Adam's first step",
        tuple(
            _power_step(
                f"{name}: Σ |∂G/∂θ_i| over its blocks, at T-Fixup's scales",
                left_side(name, paper, SIGN),
                half,
            )
            for name in ("encoder", "decoder")
        ),
    )


def adam_with_squared_scales(claim: str = "tfixup.adam") -> Derivation:
    """The solver under the sign rule returns squared scales, and they make the change Θ(1)."""
    paper, squared = (solve(encoder_decoder(N, N), rule) for rule in (SGD, SIGN))
    return Derivation(
        claim,
        "Squared scales under Adam's first step",
        (
            Step(
                "the decoder's scale under the sign rule is the square of T-Fixup's",
                equation(squared[V_D], sp.Pow(paper[V_D], 2, evaluate=False)),
                identity,
                equation(squared[V_D], paper[V_D]),
            ),
            Step(
                "and so is the encoder's",
                equation(squared[V_E], sp.Pow(paper[V_E], 2, evaluate=False)),
                identity,
                equation(squared[V_E], paper[V_E]),
            ),
            *(
                order_step(
                    f"the {name}'s change",
                    _condition(name, squared, SIGN),
                    sp.S.Zero,
                    N,
                    at_values=squared.scales,
                )
                for name in ("encoder", "decoder")
            ),
        ),
    )


def encoder_share(solved: Solution, rule: UpdateRule) -> sp.Expr:
    """How far the encoder's parameters move the output: their own gain × the way through m.

    The encoder's parameters move m coherently, by the rule's gain; but the decoder's Jacobian
    ∂f/∂m was not chosen by the step, so it acts in mean square whatever the rule: its size is the
    root of Eq. 8's left side, and for SGD, whose gradient has passed it once, that side itself.
    """
    own, passage = (left_side(name, solved, rule) for name in ("encoder", "memory"))
    return sp.simplify(own * passage ** sp.Rational(rule.power, 2))


def adam_encoder_share() -> Derivation:
    """With squared scales the encoder's share of Adam's first step shrinks as N^(-1/2)."""
    paper, squared = (solve(encoder_decoder(N, N), rule) for rule in (SGD, SIGN))
    return Derivation(
        "ours.adam-parts",
        "The encoder's share under squared scales",
        (
            _power_step(
                "T-Fixup's scales, SGD: the encoder's share of the output's change",
                encoder_share(paper, SGD),
                sp.S.Zero,
            ),
            _power_step(
                "T-Fixup's scales, sign update", encoder_share(paper, SIGN), sp.Rational(1, 2)
            ),
            _power_step(
                "squared scales, sign update: it shrinks",
                encoder_share(squared, SIGN),
                -sp.Rational(1, 2),
            ),
        ),
    )


def unscaled_positions(layers: sp.Expr = N) -> sp.Expr:
    """Eq. 6's left side when sinusoids of RMS 1/√2 join a token part of RMS (9N)^(-1/4).

    Examples
    --------
    >>> [round(float(unscaled_positions(sp.Integer(depth))), 2) for depth in (6, 30, 200)]
    [3.2, 5.92, 13.7]
    """
    encoder = sp.Rational(67, 100) * layers ** sp.Rational(-1, 4)
    x = sp.sqrt((9 * layers) ** sp.Rational(-1, 2) + sp.Rational(1, 2))
    eq6 = conditions.printed(6).subs({N_E: layers, N_D: layers})
    return sp.expand(eq6.subs({V_E: encoder, W_E: encoder, X: x}))


def _value_at(depth: int, printed: str) -> Step:
    return rounded_step(
        f"Eq. 6's left side at N = {depth}", unscaled_positions(sp.Integer(depth)), printed
    )


def positions() -> Derivation:
    """Unscaled sinusoids make Eq. 6's left side grow as N^(1/2)."""
    return Derivation(
        "tfixup.positions",
        "Eq. 6 with unscaled sinusoidal positions",
        (
            _value_at(6, "3.20"),
            _value_at(30, "5.92"),
            _value_at(200, "13.70"),
            _power_step(
                "x² = (9N)^(-1/2) + 1/2 at the code's v_e = w_e = 0.67 N^(-1/4)",
                unscaled_positions(),
                sp.Rational(1, 2),
            ),
        ),
    )


def scaled_positions() -> Derivation:
    """Scaling tokens and positions together by (9N)^(-1/4) keeps Eq. 6."""
    encoder = sp.Rational(67, 100) * N ** sp.Rational(-1, 4)
    x = sp.sqrt(sp.Rational(3, 2)) * (9 * N) ** sp.Rational(-1, 4)
    eq6 = conditions.printed(6).subs({N_E: N, V_E: encoder, W_E: encoder, X: x})
    return Derivation(
        "tfixup.positions",
        "Eq. 6 with positions scaled like the tokens",
        (_power_step("both parts scaled by (9N)^(-1/4)", sp.expand(eq6), sp.S.Zero),),
    )
