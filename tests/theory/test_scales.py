import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from theory import conditions, stacks
from theory.depth_powers import unscaled_positions
from theory.encoder_scale import constant, printed_left_side
from theory.errors import InputError
from theory.scales import depth_constant, left_sides, positive_root, solve
from theory.stacks import V_E, W_E, X
from theory.update_rules import SGD, SIGN, rule_named, stack_gain

N = sp.Symbol("N", positive=True)


def test_the_two_constants_of_the_paper():
    solved = solve(SGD, N, N)
    assert sp.simplify(solved.decoder - (9 * N) ** sp.Rational(-1, 4)) == 0
    assert sp.simplify(depth_constant(solved.encoder, N, SGD) ** 2 - (sp.sqrt(22) - 2) / 6) == 0
    assert abs(float(constant()) - 0.669628722978) < 1e-12
    assert float(printed_left_side()) == pytest.approx(1.00156, abs=5e-6)


def test_the_sign_rule_squares_every_scale():
    paper, squared = solve(SGD, N, N), solve(SIGN, N, N)
    for name in ("encoder", "decoder", "source", "target"):
        assert sp.simplify(getattr(squared, name) - getattr(paper, name) ** 2) == 0
    assert float(depth_constant(squared.encoder, N, SIGN)) == pytest.approx(0.448403, abs=5e-7)
    assert rule_named("adam") is SIGN


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 1000), st.integers(1, 1000), st.sampled_from(["encoder", "decoder"]))
def test_a_numerical_solver_finds_the_same_scales(n_e, n_d, input_depth):
    solved = solve(SGD, sp.Integer(n_e), sp.Integer(n_d), input_depth=input_depth)
    gain = stack_gain(stacks.encoder(sp.Integer(n_e)), SGD).subs(X, float(solved.source))
    unknown = sp.Symbol("s", positive=True)
    equation = sp.lambdify(unknown, gain.subs({V_E: unknown, W_E: unknown}) - 1)
    assert brentq(equation, 1e-9, 10, xtol=1e-14) == pytest.approx(float(solved.encoder), rel=1e-9)
    assert float(solved.decoder) == pytest.approx((9 * n_d) ** -0.25)


def test_unequal_depths_tie_the_input_as_asked():
    code = solve(SGD, sp.Integer(12), sp.Integer(6))
    paper = solve(SGD, sp.Integer(12), sp.Integer(6), input_depth="decoder")
    assert float(code.source) == pytest.approx(108**-0.25)
    assert float(paper.source) == pytest.approx(54**-0.25)
    assert float(code.encoder) == pytest.approx(0.669628722978 * 12**-0.25)
    assert left_sides(paper) == {"encoder": 1, "decoder": 1}


def test_a_scale_off_by_a_quarter_power_does_not_solve_the_condition():
    chosen = conditions.decoder_choice((9 * N) ** sp.Rational(-1, 2))
    assert sp.simplify(stack_gain(stacks.decoder(N), SGD).subs(chosen) - 1) != 0


@pytest.mark.parametrize("number", [6, 7, 8])
def test_each_equation_comes_out_of_the_stack(number):
    assert sp.expand(conditions.from_stacks(number) - conditions.printed(number)) == 0


def test_a_stack_with_one_block_missing_gives_another_equation():
    fewer = stacks.Stack("short", stacks.encoder().blocks[:1])
    assert sp.expand(stack_gain(fewer, SGD) - conditions.printed(6)) != 0


def test_conditions_without_a_unique_root_are_refused():
    u = sp.Symbol("u", positive=True)
    with pytest.raises(InputError, match="positive coefficients"):
        positive_root(u**4 - u**2, u, 2)
    with pytest.raises(InputError, match="positive coefficients"):
        positive_root(u**4 + 1, u, 2)


def test_bad_names_offer_the_nearest():
    with pytest.raises(InputError, match="did you mean 'sgd'"):
        rule_named("sdg")
    with pytest.raises(InputError, match="got 'both'"):
        solve(SGD, input_depth="both")


@pytest.mark.parametrize(("depth", "left_side"), [(6, 3.20), (30, 5.92), (200, 13.70)])
def test_unscaled_positions_break_equation_6_by_the_published_amount(depth, left_side):
    assert float(unscaled_positions(sp.Integer(depth))) == pytest.approx(left_side, abs=5e-3)
