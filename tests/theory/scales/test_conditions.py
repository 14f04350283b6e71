from dataclasses import replace

import pytest
import sympy as sp

from theory.derivations.statements import at, sides
from theory.scales import conditions, stacks
from theory.scales.architecture import Memory, StackLayout
from theory.scales.architectures import encoder_decoder, single
from theory.scales.conditions import system
from theory.scales.stacks import N_D, N_E, V_D, V_E, W_D, W_E, M, Stack, X, Y
from theory.scales.update_rules import SGD, SIGN

N = sp.Symbol("N", positive=True)
U = sp.Symbol("u", positive=True)


def by_name(architecture, rule):
    return {condition.name: condition for condition in system(architecture, rule)}


@pytest.mark.parametrize("number", [6, 7, 8])
def test_each_equation_comes_out_of_the_stack(number):
    assert sp.expand(conditions.from_stacks(number) - conditions.printed(number)) == 0


@pytest.mark.parametrize(
    ("number", "value"), [(6, 2 * 7 * 3), (7, 3 * 5 * 6), (8, 3 * 5)], ids=["eq6", "eq7", "eq8"]
)
def test_printed_left_sides_at_norms_of_one(number, value):
    ones = dict.fromkeys((V_E, W_E, X, V_D, W_D, Y, M), sp.S.One)
    assert conditions.printed(number).subs(ones | {N_E: 7, N_D: 5}) == value


@pytest.mark.parametrize("slot", [V_E, W_E, X])
def test_every_norm_of_equation_6_enters_two_terms(slot):
    terms = sp.Add.make_args(sp.expand(conditions.printed(6)))
    assert len(terms) == 3
    assert [sp.degree(term, slot) for term in terms].count(2) == 2


def test_a_stack_with_one_block_missing_gives_another_equation():
    fewer = Stack("short", stacks.encoder().blocks[:1])
    assert sp.expand(conditions.stack_gain(fewer, SGD) - conditions.printed(6)) != 0


def test_the_system_of_an_encoder_decoder():
    assert list(by_name(encoder_decoder(N_E, N_D), SGD)) == ["encoder", "decoder", "memory"]
    found = by_name(encoder_decoder(N_E, N_D, input_depth="encoder"), SGD)
    assert list(found) == ["encoder", "decoder", "source input", "memory"]
    assert [found[name].exact for name in found] == [True, True, True, False]
    assert sp.expand(found["encoder"].left_side - conditions.printed(6)) == 0
    assert sp.expand(found["source input"].left_side - 9 * N_E * X**4) == 0
    assert sp.expand(found["memory"].left_side - N_D * V_D**2 * W_D**2) == 0
    assert "official code" in found["source input"].because
    assert found["decoder"].because == "the decoder's parameters move the output by Θ(η)"
    assert "memory is Θ(1)" in found["memory"].because


def test_the_memory_acts_in_mean_square_under_any_rule():
    sgd, sign = (by_name(encoder_decoder(N_E, N_D), rule) for rule in (SGD, SIGN))
    assert sgd["memory"].left_side == sign["memory"].left_side
    assert sgd["decoder"].left_side != sign["decoder"].left_side


def test_one_stack_has_one_condition_and_several_memories_one_each():
    assert list(by_name(single("encoder", N), SGD)) == ["encoder"]
    assert list(by_name(encoder_decoder(N, N, memories=3), SGD))[-3:] == [
        "memory",
        "memory m2",
        "memory m3",
    ]


def composed(**choices):
    own = encoder_decoder(N_E, N_D)
    (memory,) = own.memories
    joined = replace(memory, composed=True, **choices)
    return by_name(replace(own, memories=(joined,), further=()), SGD)


@pytest.mark.parametrize(
    ("choices", "passage"),
    [
        ({}, N_D * V_D**2 * W_D**2),
        ({"passes": 1}, sp.sqrt(N_D) * V_D * W_D),
        ({"coherent": True}, N_D**2 * V_D**2 * W_D**2),
        ({"coherent": True, "passes": 1}, N_D * V_D * W_D),
    ],
)
def test_a_composed_memory_multiplies_its_producers_condition(choices, passage):
    found = composed(**choices)
    assert list(found) == ["encoder", "decoder"]
    ratio = found["encoder"].left_side / conditions.stack_gain(stacks.encoder(), SGD)
    assert sp.simplify(ratio - passage) == 0
    assert sp.expand(found["decoder"].left_side - conditions.stack_gain(stacks.decoder(), SGD)) == 0


def test_a_composed_memory_passes_once_where_the_step_ignores_the_gradients_size():
    own = encoder_decoder(N_E, N_D)
    joined = replace(own, memories=(Memory(M, "encoder", "decoder", composed=True),), further=())
    found = by_name(joined, SIGN)["encoder"].left_side
    ratio = found / conditions.stack_gain(stacks.encoder(), SIGN)
    assert sp.simplify(ratio - sp.sqrt(N_D) * V_D * W_D) == 0


def test_shortcuts_divide_what_a_block_contributes():
    alpha = sp.Symbol("alpha", positive=True)
    plain = stacks.encoder(N)
    scaled = StackLayout("scaled", (Stack("encoder", plain.blocks, alpha),))
    found = by_name(scaled, SGD)["encoder"].left_side
    assert sp.simplify(found * alpha**2 - conditions.stack_gain(plain, SGD)) == 0


def test_the_decoders_choice_ties_four_norms():
    assert conditions.decoder_choice(U) == {V_D: U, W_D: U, Y: U, M: U}


def test_values_at_the_choice_are_2_and_1_and_a_third():
    steps = conditions.evaluation_steps()
    assert [sides(step.statement)[1] for step in steps] == [2, 1, sp.Rational(1, 3)]
    u = sp.Symbol("u", positive=True)
    lefts = [18 * N_D * u**4, 9 * N_D * u**4, 3 * N_D * u**4]
    for step, exact in zip(steps, lefts, strict=True):
        left, right = sides(step.statement)
        assert sp.expand(left - exact) == 0
        assert step.statement.values == {u: (9 * N_D) ** sp.Rational(-1, 4)}
        assert step.check(step.statement)
        assert not step.check(step.false)
        more = sp.Eq(left, right + 1, evaluate=False)
        assert not step.check(at(more, step.statement.values))


@pytest.mark.parametrize("number", [6, 7, 8])
def test_the_step_of_an_equation_rejects_half_a_term(number):
    step = conditions.step(number)
    assert step.check(step.statement)
    assert not step.check(step.false)
    assert step.because.startswith(f"Eq. {number}: ")
    assert sp.expand(step.statement.args[1] - conditions.printed(number)) == 0
    missing = sp.expand(step.statement.args[1] - step.false.args[1])
    assert 2 * missing in sp.Add.make_args(sp.expand(conditions.printed(number)))
