"""Conditions on a stack's norms: Equations 6, 7 and 8 of T-Fixup are one case.

The function moves by Θ(η) per step when each stack's summed gain, and the decoder's sensitivity to
the memory, is Θ(1). With the SGD rule and the paper's count of blocks that is

    Eq. 6   L_e (v_e² x² + w_e² x² + v_e² w_e²) = Θ(1)
    Eq. 7   L_d (v_d² w_d² + v_d² y² + w_d² y² + v_d² w_d² + v_d² m² + w_d² m²) = Θ(1)
    Eq. 8   L_d v_d² w_d² = Θ(1)
"""

from dataclasses import dataclass

import sympy as sp

from theory import stacks
from theory.derivation import Step, equation, identity
from theory.stacks import N_D, N_E, V_D, V_E, W_D, W_E, M, X, Y
from theory.update_rules import SGD, UpdateRule, sensitivity, stack_gain


@dataclass(frozen=True)
class Condition:
    """A left side that must be Θ(1) as the depth grows."""

    name: str
    left_side: sp.Expr


def conditions(
    encoder: stacks.Stack, decoder: stacks.Stack, rule: UpdateRule
) -> tuple[Condition, Condition, Condition]:
    """Encoder, decoder and memory conditions of an encoder-decoder."""
    return (
        Condition("encoder", stack_gain(encoder, rule)),
        Condition("decoder", stack_gain(decoder, rule)),
        Condition("memory", sensitivity(decoder, M, rule)),
    )


def printed(number: int) -> sp.Expr:
    """Left side of Eq. 6, 7 or 8, typed from the paper."""
    blocks_e, blocks_d = 2 * N_E, 3 * N_D
    own = V_D**2 * W_D**2 + V_D**2 * Y**2 + W_D**2 * Y**2
    cross = V_D**2 * W_D**2 + V_D**2 * M**2 + W_D**2 * M**2
    return {
        6: blocks_e * (V_E**2 * X**2 + W_E**2 * X**2 + V_E**2 * W_E**2),
        7: blocks_d * (own + cross),
        8: blocks_d * V_D**2 * W_D**2,
    }[number]


def from_stacks(number: int) -> sp.Expr:
    """The same left side, from the stack's description by summing block gains."""
    system = conditions(stacks.encoder(), stacks.printed_decoder(), SGD)
    return system[number - 6].left_side


def step(number: int) -> Step:
    """The equation as printed is what the stack's description gives."""
    source = {
        6: "N_e self-attention and N_e MLP blocks, each with Theorem 3.1's three terms",
        7: "L_d = 3 N_d blocks, each counted as reading both y and m",
        8: "the decoder's sensitivity to the memory",
    }[number]
    summed, typed = from_stacks(number), printed(number)
    without_one = typed - sp.Add.make_args(sp.expand(typed))[0] / 2
    return Step(
        f"Eq. {number}: {source}",
        equation(summed, typed),
        identity,
        equation(summed, without_one),
    )


def decoder_choice(scale: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
    """v_d = w_d = y = m = ``scale``."""
    return {V_D: scale, W_D: scale, Y: scale, M: scale}


def value_step(name: str, left_side: sp.Expr, value: sp.Rational | sp.Integer) -> Step:
    """The left side takes ``value`` at T-Fixup's u = (9 N_d)^(-1/4), at every depth."""
    u = sp.Symbol("u", positive=True)
    tied = left_side.subs(decoder_choice(u))

    def at_choice(statement: sp.Basic) -> bool:
        return identity(statement.subs(u, (9 * N_D) ** sp.Rational(-1, 4)))

    return Step(
        f"{name}, with v_d = w_d = y = m = u, at u = (9 N_d)^(-1/4)",
        equation(tied, value),
        at_choice,
        equation(tied.subs(u, u**2), value),
    )


def evaluation_steps() -> tuple[Step, ...]:
    """Eq. 7 is 2 as printed, 1 over the blocks that exist; Eq. 8 is 1/3 as printed."""
    counted = stack_gain(stacks.decoder(), SGD)
    return (
        value_step("Eq. 7 as printed", printed(7), sp.Integer(2)),
        value_step("Eq. 7 over the blocks that exist", counted, sp.Integer(1)),
        value_step("Eq. 8 as printed", printed(8), sp.Rational(1, 3)),
    )
