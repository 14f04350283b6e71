import pytest
import sympy as sp

from theory.errors import InputError
from theory.scales import stacks
from theory.scales.architectures import encoder_decoder
from theory.scales.learning_rates import change_power
from theory.scales.solver import solve
from theory.scales.stacks import V_D, V_E, W_D, W_E, Block, M, NormPolynomial, Stack, X, Y
from theory.scales.tfixup_constants import N
from theory.scales.update_rules import (
    RULES,
    SGD,
    SIGN,
    adam_noise,
    block_gain,
    branch_gain,
    momentum,
    momentum_noise,
    sensitivity,
    stack_gain,
    update_rule_named,
)

D, THETA = sp.symbols("D theta", positive=True)


@pytest.mark.parametrize(
    ("name", "change", "power"),
    [
        ("sgd", D**2, 2),
        ("momentum", 10 * D**2, 2),
        ("sign", D, 1),
        ("adam", D, 1),
        ("adam-noise", D / sp.sqrt(19), 1),
        ("lion", D, 1),
        ("lars", D * THETA, 1),
        ("lamb", D * THETA, 1),
        ("momentum-noise", 10 * D**2 / sp.sqrt(19), 2),
        ("adafactor", D * THETA, 1),
        ("muon", D, 1),
        ("muon-match-rms-adamw", D, 1),
        ("muon-spectral", D, 1),
    ],
)
def test_each_rule_by_name(name, change, power):
    rule = update_rule_named(name)
    assert sp.simplify(rule.change(D, THETA) - change) == 0
    assert (rule.name, rule.power) == (name, power)


def test_no_rule_is_left_out():
    assert len(RULES) == 14


@pytest.mark.parametrize("build", [momentum, momentum_noise, adam_noise])
@pytest.mark.parametrize("decay", [1, -sp.Rational(1, 10), 2])
def test_decays_outside_their_range_are_refused(build, decay):
    with pytest.raises(InputError, match=r"must lie in \[0, 1\), got"):
        build(sp.sympify(decay))


def test_without_decay_momentum_is_sgd_and_adams_noise_is_whole():
    assert momentum(sp.S.Zero).change(D, THETA) == D**2
    assert momentum_noise(sp.S.Zero).change(D, THETA) == D**2
    assert adam_noise(sp.S.Zero).change(D, THETA) == D


def test_a_gain_is_the_sum_over_what_is_trained():
    whole = NormPolynomial(V_E * W_E * X, (V_E, W_E, X), (X,))
    weights = NormPolynomial(V_E * W_E * X, (V_E, W_E), (X,))
    assert branch_gain(whole, SIGN) - branch_gain(weights, SIGN) == V_E * W_E
    assert branch_gain(weights, SGD, sp.Integer(2)) == (W_E**2 * X**2 + V_E**2 * X**2) / 4
    assert block_gain(Block("both", (whole, weights)), SIGN) == branch_gain(
        whole, SIGN
    ) + branch_gain(weights, SIGN)
    stack = Stack("two", ((Block("one", (whole,)), N), (Block("other", (weights,)), 3 * N)))
    expected = N * branch_gain(whole, SGD) + 3 * N * branch_gain(weights, SGD)
    assert sp.expand(stack_gain(stack, SGD) - expected) == 0
    assert stack.count == 4 * N


def test_sensitivity_counts_only_the_readers():
    decoder = stacks.decoder(N)
    assert sensitivity(decoder, M) == N * V_D**2 * W_D**2
    assert sensitivity(decoder, M, coherent=True) == N * V_D * W_D
    assert sensitivity(decoder, Y) == 2 * N * V_D**2 * W_D**2
    assert sensitivity(decoder, X) == 0
    halved = Stack("halved", decoder.blocks, sp.Integer(2))
    assert sensitivity(halved, M) == N * V_D**2 * W_D**2 / 4


def test_gated_and_parallel_blocks():
    gate = sp.Symbol("g", positive=True)
    (gated,) = stacks.gated_mlp(gate, V_E, W_E, X).branches
    ones = dict.fromkeys((gate, V_E, W_E, X), sp.S.One)
    # Three matrices with derivative 1 each, and the input that enters twice: 3 + 2².
    assert branch_gain(gated, SGD).subs(ones) == 7
    own, mlp = stacks.attention("a", V_E, W_E, X), stacks.mlp(V_E, W_E, X)
    both = stacks.side_by_side("both", own, mlp)
    assert block_gain(both, SGD) == block_gain(own, SGD) + block_gain(mlp, SGD)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: NormPolynomial(V_E * W_E, (V_E, X)), "slots must occur in its output v_e.w_e: x"),
        (
            lambda: NormPolynomial(V_E * W_E, (V_E,), (Y,)),
            "slots must occur in its output v_e.w_e: y",
        ),
        (lambda: NormPolynomial(V_E - W_E, (V_E,)), "sum of positive terms, got v_e - w_e"),
    ],
)
def test_a_branch_must_be_a_positive_polynomial_in_its_slots(build, message):
    with pytest.raises(InputError, match=message):
        build()


@pytest.mark.parametrize(
    ("name", "power"),
    [
        ("sgd", 0),
        ("momentum", 0),
        ("adam-noise", sp.Rational(1, 2)),
        ("sign", sp.Rational(1, 2)),
        ("muon", sp.Rational(1, 2)),
        ("lars", sp.Rational(1, 4)),
    ],
)
def test_powers_of_the_change_at_the_papers_scales(name, power):
    assert change_power(solve(encoder_decoder(N, N), SGD), RULES[name]) == power


@pytest.mark.parametrize("name", RULES)
def test_the_change_is_depth_independent_at_a_rules_own_scales(name):
    assert change_power(solve(encoder_decoder(N, N), RULES[name]), RULES[name]) == 0
