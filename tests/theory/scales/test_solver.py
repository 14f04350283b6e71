import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from theory.errors import InputError
from theory.scales import conditions, stacks
from theory.scales.architectures import encoder_decoder, layout_named, single
from theory.scales.depth_powers import unscaled_positions
from theory.scales.presets import preset_named
from theory.scales.solver import depth_law, eliminate, positive_root, solve
from theory.scales.stacks import V_D, V_E, W_D, W_E, M, X, Y
from theory.scales.tfixup_constants import constant, printed_left_side
from theory.scales.update_rules import SGD, SIGN, stack_gain, update_rule_named

N = sp.Symbol("N", positive=True)


def exactly(scale, expected):
    return sp.simplify(scale - expected) == 0


def test_the_two_constants_of_the_paper():
    solved = solve(encoder_decoder(N, N), SGD)
    constant_, power = depth_law(solved[V_E], N)
    assert exactly(solved[V_D], (9 * N) ** sp.Rational(-1, 4))
    assert exactly(constant_**2, (sp.sqrt(22) - 2) / 6)
    assert power == sp.Rational(-1, 4)
    assert abs(float(constant()) - 0.669628722978) < 1e-12
    assert float(printed_left_side()) == pytest.approx(1.00156, abs=5e-6)


def test_ties_and_further_conditions_are_listed_as_assumed():
    paper, code = (
        solve(encoder_decoder(N, N, input_depth=depth), SGD).assumed
        for depth in ("decoder", "encoder")
    )
    for words in (paper, code):
        assert any(word.startswith("w_e = v_e") for word in words)
    assert any("(paper)" in word for word in paper)
    assert any("official code" in word for word in code)
    assert solve(single("encoder", N, ties=False), SGD).assumed == ()


def test_the_sign_rule_squares_every_scale():
    paper, squared = (solve(encoder_decoder(N, N), rule) for rule in (SGD, SIGN))
    for slot in (V_E, V_D, X, Y, M, W_E, W_D):
        assert exactly(squared[slot], paper[slot] ** 2)
    assert float(depth_law(squared[V_E], N)[0]) == pytest.approx(0.448403, abs=5e-7)
    assert paper.unmet(N) == ()
    ((condition, power),) = squared.unmet(N)
    assert (condition.name, power) == ("memory", -1)


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 1000), st.integers(1, 1000), st.sampled_from(["encoder", "decoder"]))
def test_a_numerical_solver_finds_the_same_scales(n_e, n_d, input_depth):
    architecture = encoder_decoder(sp.Integer(n_e), sp.Integer(n_d), input_depth=input_depth)
    solved = solve(architecture, SGD)
    gain = stack_gain(stacks.encoder(sp.Integer(n_e)), SGD).subs(X, float(solved[X]))
    unknown = sp.Symbol("s", positive=True)
    equation = sp.lambdify(unknown, gain.subs({V_E: unknown, W_E: unknown}) - 1)
    assert brentq(equation, 1e-9, 10, xtol=1e-14) == pytest.approx(float(solved[V_E]), rel=1e-9)
    assert float(solved[V_D]) == pytest.approx((9 * n_d) ** -0.25)
    assert float(solved[X]) == pytest.approx(
        (9 * (n_e if input_depth == "encoder" else n_d)) ** -0.25
    )


def test_unequal_depths_tie_the_input_as_asked():
    code = solve(encoder_decoder(sp.Integer(12), sp.Integer(6), input_depth="encoder"), SGD)
    paper = solve(encoder_decoder(sp.Integer(12), sp.Integer(6)), SGD)
    assert float(code[X]) == pytest.approx(108**-0.25)
    assert float(paper[X]) == pytest.approx(54**-0.25)
    assert float(code[V_E]) == pytest.approx(0.669628722978 * 12**-0.25)
    assert [paper.left_side(name) for name in ("encoder", "decoder")] == [1, 1]
    assert paper.left_side("memory") == sp.Rational(1, 9)


def test_one_stack_alone_with_all_norms_tied():
    for name, slot in (("encoder", V_E), ("decoder", V_D)):
        constant_, power = depth_law(solve(single(name, N), SGD)[slot], N)
        assert float(constant_) == pytest.approx(6**-0.25)
        assert float(constant_) == pytest.approx(0.638943, abs=5e-7)
        assert power == sp.Rational(-1, 4)


def test_parallel_blocks_change_nothing_and_another_memory_does():
    one = solve(encoder_decoder(N, N, parallel=True), SGD)
    two = solve(encoder_decoder(N, N, memories=2), SGD)
    assert exactly(one[V_D], (9 * N) ** sp.Rational(-1, 4))
    assert exactly(two[V_D], (12 * N) ** sp.Rational(-1, 4))
    assert [c.name for c, _ in two.conditions if not c.exact] == ["memory", "memory m2"]


@pytest.mark.parametrize("rule", ["sgd", "sign", "lamb"])
def test_a_gated_mlp_is_solved_and_its_condition_met(rule):
    solved = solve(
        encoder_decoder(sp.Integer(6), sp.Integer(9), mlp="gated"), update_rule_named(rule)
    )
    for condition, value in solved.conditions:
        if condition.exact:
            assert float(value) == pytest.approx(1, abs=1e-12)
    symbolic = solve(single("encoder", N, mlp="gated"), SGD)[V_E]
    # N(3u⁴ + 7u⁸) = 1
    assert symbolic.subs(N, 1).evalf() == pytest.approx(((-3 + 37**0.5) / 14) ** 0.25)


def test_without_ties_the_solution_is_a_family():
    solved = solve(single("encoder", N, ties=False), SGD)
    assert [str(symbol) for symbol in solved.free] == ["v_e", "w_e"]
    at = {V_E: sp.Rational(1, 3), W_E: sp.Rational(1, 2), N: sp.Integer(2)}
    x = solved[X].subs(at)
    left = stack_gain(stacks.encoder(N), SGD).subs({X: x}).subs(at)
    assert sp.simplify(left) == 1


def test_a_scale_off_by_a_quarter_power_does_not_solve_the_condition():
    chosen = conditions.decoder_choice((9 * N) ** sp.Rational(-1, 2))
    assert sp.simplify(stack_gain(stacks.decoder(N), SGD).subs(chosen) - 1) != 0


def test_contradictory_conditions_name_the_one_that_cannot_be_met():
    u = sp.Symbol("u", positive=True)
    assert eliminate([("one", 2 * u), ("same", 4 * u**2)], (u,)) == {u: sp.Rational(1, 2)}
    with pytest.raises(InputError, match=r"condition 'other' cannot be met: .* is 2, not 1$"):
        eliminate([("one", 2 * u), ("other", 4 * u)], (u,))
    with pytest.raises(InputError, match=r"'first' cannot be met: .* no positive solution: .* 3/2"):
        eliminate([("first", u + sp.Rational(3, 2))], (u,))


def test_single_terms_in_several_unknowns_are_eliminated():
    a, b = sp.symbols("a b", positive=True)
    found = eliminate([("p", 3 * a * b), ("q", a / b)], (a, b))
    assert found[a] == found[b] == 1 / sp.sqrt(3)
    assert eliminate([("p", 3 * a * b)], (a, b)) == {b: 1 / (3 * a)}
    assert eliminate([], (a, b)) == {}


@settings(deadline=None, max_examples=25)
@given(
    st.dictionaries(st.integers(1, 6), st.integers(1, 9), min_size=1, max_size=3),
    st.integers(0, 9).map(lambda n: sp.Rational(n, 10)),
)
def test_the_positive_root_is_the_one_bisection_finds(terms, constant):
    u = sp.Symbol("u", positive=True)
    left = sum((c * u**k for k, c in terms.items()), constant)
    root = float(positive_root(left, u))
    assert brentq(sp.lambdify(u, left - 1), 0, 10, xtol=1e-15) == pytest.approx(root, rel=1e-9)


def test_roots_of_negative_powers_and_of_symbols_that_scale_away():
    u = sp.Symbol("u", positive=True)
    assert positive_root(9 / u**2, u) == 3
    assert exactly(positive_root(2 / u + 3 / u**2, u), 3)
    scaled = positive_root(N * u + N**3 * u**3, u)
    assert float((scaled * N).subs(N, 5)) == pytest.approx(0.6823278038280193)
    with pytest.raises(InputError, match=r"powers \[1, 3\] need numbers for \['N'\]"):
        positive_root(N * u + u**3, u)


def test_roots_with_irrational_coefficients_have_thirty_digits():
    u = sp.Symbol("u", positive=True)
    for factor in (1, sp.sqrt(2) / 100, 100 * sp.sqrt(3)):
        left = factor * u + sp.sqrt(5) * u**3
        root = positive_root(left, u)
        assert abs(sp.N(left.subs(u, root) - 1, 40)) < 1e-27
    scaled = positive_root(sp.sqrt(2) * N * u + N**3 * u**3, u)
    value = (scaled * N).subs(N, 5)
    assert abs(sp.N(sp.sqrt(2) * value + value**3 - 1, 40)) < 1e-27
    assert (scaled * N).has(N) is False


def test_a_constant_term_leaves_less_to_reach():
    u = sp.Symbol("u", positive=True)
    assert positive_root(u**2 + sp.Rational(3, 4), u) == sp.Rational(1, 2)
    quadratic = positive_root(u + u**2 + sp.Rational(1, 4), u)
    assert exactly(quadratic, sp.Rational(1, 2))
    with pytest.raises(InputError, match=r"at least 1$"):
        positive_root(u + 1, u)


def test_a_demand_that_holds_already_does_not_stop_the_others():
    a, b = sp.symbols("a b", positive=True)
    found = eliminate([("held", sp.S.One), ("first", 2 * a), ("second", a * b)], (a, b))
    assert found == {a: sp.Rational(1, 2), b: 2}


def test_solutions_carry_their_rule_and_their_names():
    solved = solve(encoder_decoder(N, N), SIGN)
    assert solved.rule is SIGN
    assert solved.architecture.name == "encoder-decoder"
    assert solved.free == ()
    assert set(solved.scales) == {V_E, W_E, X, V_D, W_D, Y, M}
    assert N not in solved.scales
    assert [condition.name for condition, _ in solved.conditions][-1] == "memory"


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (lambda u: u**4 - u**2, "coefficients must be positive, that of u\\*\\*2 is -1"),
        (lambda u: u**4 + 1, "no positive solution: it is at least 1"),
        (lambda u: u + 1 / u, "powers of both signs"),
        (lambda u: sp.exp(u), "no power of u"),
        (lambda u: sp.Integer(3) + 0 * u, "does not contain u"),
    ],
)
def test_conditions_without_a_unique_root_are_refused(left, message):
    u = sp.Symbol("u", positive=True)
    with pytest.raises(InputError, match=message):
        positive_root(left(u), u)


def test_bad_names_offer_the_nearest():
    with pytest.raises(InputError, match="did you mean 'sgd'"):
        update_rule_named("sdg")
    with pytest.raises(InputError, match="got 'both'"):
        encoder_decoder(input_depth="both")
    with pytest.raises(InputError, match="did you mean 'encoder-only'"):
        layout_named("encoder-onyl", N, N)
    with pytest.raises(InputError, match="did you mean 'gated'"):
        single("encoder", N, mlp="gate")
    with pytest.raises(InputError, match="did you mean 'deepnorm'"):
        preset_named("deepnrom")


def test_depths_and_counts_are_checked():
    with pytest.raises(InputError, match="integer of at least 1, got 0"):
        single("encoder", sp.Integer(0))
    with pytest.raises(InputError, match="got 5/2"):
        encoder_decoder(N, sp.Rational(5, 2))
    with pytest.raises(InputError, match="got -3"):
        encoder_decoder(sp.Integer(-3), N)
    with pytest.raises(InputError, match="memories must be between 1 and 8, got 0"):
        encoder_decoder(N, N, memories=0)
    with pytest.raises(InputError, match="only an encoder-decoder reads memories, got 2"):
        layout_named("decoder-only", N, N, memories=2)


def test_depth_laws_are_pure_powers():
    assert depth_law(3 * N ** sp.Rational(-1, 6), N) == (3, sp.Rational(-1, 6))
    with pytest.raises(InputError, match="no constant times a power of N"):
        depth_law(1 / (N + 1), N)


@pytest.mark.parametrize(("depth", "left_side"), [(6, 3.20), (30, 5.92), (200, 13.70)])
def test_unscaled_positions_break_equation_6_by_the_published_amount(depth, left_side):
    assert float(unscaled_positions(sp.Integer(depth))) == pytest.approx(left_side, abs=5e-3)
