"""Conditions on a stack's norms: Equations 6, 7 and 8 of T-Fixup are one case.

The function moves by Θ(η) per step when each stack's summed gain, and the decoder's sensitivity to
the memory, is Θ(1). `system` writes that down for any architecture and update rule. With the SGD
rule and the paper's count of blocks it is

    Eq. 6   L_e (v_e² x² + w_e² x² + v_e² w_e²) = Θ(1)
    Eq. 7   L_d (v_d² w_d² + v_d² y² + w_d² y² + v_d² w_d² + v_d² m² + w_d² m²) = Θ(1)
    Eq. 8   L_d v_d² w_d² = Θ(1)
"""

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from theory.derivations.derivation import Step, at_step, equation, identity
from theory.scales import stacks
from theory.scales.architecture import StackLayout
from theory.scales.stacks import N_D, N_E, V_D, V_E, W_D, W_E, M, X, Y
from theory.scales.update_rules import SGD, UpdateRule, branch_gain, sensitivity, stack_gain


@dataclass(frozen=True)
class Condition:
    """A left side that must be Θ(1) as the depth grows."""

    name: str
    left_side: sp.Expr
    because: str
    exact: bool = True
    """Whether the solver sets it to 1, which fixes a constant; otherwise only Θ(1) is asked."""


def system(architecture: StackLayout, rule: UpdateRule) -> tuple[Condition, ...]:
    """All conditions on an architecture's norms under ``rule``, ties not yet made.

    Examples
    --------
    >>> from theory.scales.architectures import encoder_decoder
    >>> [condition.name for condition in system(encoder_decoder(), SGD)]
    ['encoder', 'decoder', 'memory']
    """
    own = tuple(
        Condition(
            stack.name,
            _passage(architecture, stack, rule) * stack_gain(stack, rule),
            f"the {stack.name}'s parameters move the output by Θ(η)",
        )
        for stack in architecture.stacks
    )
    added = tuple(
        Condition(further.name, further.left_side(rule), further.because)
        for further in architecture.further
    )
    return (*own, *added, *_memories(architecture))


def _passage(architecture: StackLayout, stack: stacks.Stack, rule: UpdateRule) -> sp.Expr:
    """What a change of ``stack`` meets on its way to the output, where that is composed."""
    whole = sp.S.One
    for memory in architecture.memories:
        if memory.composed and memory.producer == stack.name:
            reader = architecture.stack(memory.reader)
            size = sensitivity(reader, memory.symbol, coherent=memory.coherent)
            passes = sp.Integer(rule.power if memory.passes is None else memory.passes)
            whole *= size ** (passes if memory.coherent else passes / 2)
    return whole


def _memories(architecture: StackLayout) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            "memory" if memory.symbol == M else f"memory {memory.symbol}",
            sensitivity(architecture.stack(memory.reader), memory.symbol),
            "the output's squared derivative with respect to the memory is Θ(1)",
            exact=False,
        )
        for memory in architecture.memories
        if not memory.composed
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
    encoder, decoder = stacks.encoder(), stacks.printed_decoder()
    return {
        6: lambda: stack_gain(encoder, SGD),
        7: lambda: stack_gain(decoder, SGD),
        8: lambda: sensitivity(decoder, M),
    }[number]()


def summed(number: int) -> sp.Expr:
    """Eq. 6, 7 or 8 before it is collected: one summand for each kind of block and what it reads.

    Eq. 8 is the sum over blocks of (∂G/∂m)², the derivative not yet taken.
    """
    if number == 8:
        change = sp.Derivative(V_D * W_D * M, M)
        return sp.Mul(3 * N_D, change**2, evaluate=False)
    stack = stacks.encoder() if number == 6 else stacks.printed_decoder()
    return block_sum(stack)


def block_sum(stack: stacks.Stack) -> sp.Expr:
    """The sum of count × gain over a stack's branches, which is not collected."""
    return sp.Add(
        *(
            sp.Mul(count, branch_gain(branch, SGD), evaluate=False)
            for block, count in stack.blocks
            for branch in block.branches
        ),
        evaluate=False,
    )


def step(number: int) -> Step:
    """The equation as printed is what the stack's description gives."""
    source = {
        6: "N_e self-attention and N_e MLP blocks, each with Theorem 3.1's three terms",
        7: "L_d = 3 N_d blocks, each counted as reading both y and m: two gains of three terms",
        8: "the decoder's sensitivity to the memory, (∂G/∂m)² of G = v_d w_d m over 3 N_d blocks",
    }[number]
    whole, typed = summed(number), printed(number)
    without_one = typed - sp.Add.make_args(sp.expand(typed))[0] / 2
    return Step(
        f"Eq. {number}: {source}",
        equation(whole, typed),
        _is_printed(number),
        equation(whole, without_one),
    )


def _is_printed(number: int) -> Callable[[sp.Basic], bool]:
    """Both sides are equal, and the left one is what the stack's description gives."""

    def check(statement: sp.Basic) -> bool:
        described = sp.expand(statement.args[0].doit() - from_stacks(number)) == 0
        return described and identity(statement)

    return check


def decoder_choice(scale: sp.Expr) -> dict[sp.Symbol, sp.Expr]:
    """T-Fixup's choice for the decoder, one scale for all norms: v_d = w_d = y = m = ``scale``."""
    return {V_D: scale, W_D: scale, Y: scale, M: scale}


def value_step(name: str, left_side: sp.Expr, value: sp.Rational | sp.Integer) -> Step:
    """The left side takes ``value`` at T-Fixup's u = (9 N_d)^(-1/4), at every depth."""
    u = sp.Symbol("u", positive=True)
    tied = left_side.subs(decoder_choice(u))
    scale = (9 * N_D) ** sp.Rational(-1, 4)
    return at_step(
        f"{name}, with v_d = w_d = y = m = u", equation(tied, value), {u: scale}, {u: scale**2}
    )


def evaluation_steps() -> tuple[Step, ...]:
    """Evaluate the left sides at T-Fixup's scales.

    Eq. 7 is 2 as printed and 1 over the blocks that exist; Eq. 8 is 1/3 as printed.
    """
    counted = stack_gain(stacks.decoder(), SGD)
    return (
        value_step("Eq. 7 as printed", printed(7), sp.Integer(2)),
        value_step("Eq. 7 over the blocks that exist", counted, sp.Integer(1)),
        value_step("Eq. 8 as printed", printed(8), sp.Rational(1, 3)),
    )
