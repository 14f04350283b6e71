import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.errors import InputError
from theory.layer_norm.amplification import (
    admin_code,
    admin_log,
    admin_paper,
    aligned_amplification,
    amplification,
    dependency,
    own_weights,
    post_ln,
    pre_ln,
)
from theory.layer_norm.output_change import next_change
from theory.moments.sign_averages import sign_average, sign_averaged_relu

variances = st.lists(st.fractions("1/9", 9, max_denominator=9), min_size=1, max_size=6)
WIRINGS = [post_ln, pre_ln, admin_paper, admin_code]


def stream_weights(branches, source, shortcuts):
    """β_{N,j}² from the streams: coefficients of the branches, squared, over their sum."""
    squares = [Fraction(source)]
    for variance, shortcut in zip(branches, shortcuts, strict=True):
        total = sum(squares)
        squares = [shortcut * square / total for square in squares] + [Fraction(variance)]
    return [square / sum(squares) for square in squares]


@given(variances)
def test_post_ln_weights_are_those_of_the_normalised_stream(branches):
    found = dependency(post_ln(branches), branches)[-1]
    assert list(found) == stream_weights(branches, 1, [1] * len(branches))


@given(variances, st.fractions("1/9", 9, max_denominator=9))
def test_pre_ln_weights_are_shares_of_the_summed_variance(branches, source):
    found = dependency(pre_ln(branches, source), branches)
    for row, weights in enumerate(found):
        shares = [Fraction(source), *branches[:row]]
        assert list(weights) == [share / sum(shares) for share in shares]


@given(variances)
def test_admins_profile_gives_post_ln_the_weights_of_pre_ln(branches):
    assert dependency(admin_code(branches), branches) == dependency(pre_ln(branches), branches)
    printed = dependency(admin_paper(branches), branches)[-1]
    assert list(printed) == [0, *(Fraction(b) / sum(branches) for b in branches)]


@given(variances, st.sampled_from(WIRINGS))
def test_each_row_of_squares_sums_to_one(branches, wiring):
    rows = dependency(wiring(branches), branches)
    assert [len(row) for row in rows] == list(range(1, len(branches) + 2))
    assert all(sum(row) == 1 for row in rows)
    assert tuple(row[-1] for row in rows[1:]) == own_weights(wiring(branches), branches)


def test_the_first_shortcut_separates_the_printed_from_the_coded_profile():
    assert admin_paper([2, 3]) == (0, 2)
    assert admin_code([2, 3]) == (1, 3)
    assert pre_ln([2, 3], 5) == (5, 7)
    assert post_ln([2, 3]) == (1, 1)


@pytest.mark.parametrize("depth", [1, 10, 200])
def test_sums_against_harmonic_numbers(depth):
    ones = [1] * depth
    harmonic = float(mpmath.harmonic(depth))
    assert float(amplification(admin_paper(ones), ones)) == pytest.approx(harmonic)
    assert float(amplification(pre_ln(ones), ones)) == pytest.approx(harmonic - 1 + 1 / (depth + 1))
    assert amplification(post_ln(ones), ones) == sp.Rational(depth, 2)
    halves = [sp.Rational(1, 2)] * depth
    exact = mpmath.digamma(depth + 3) - mpmath.digamma(3)
    assert float(amplification(admin_code(halves), halves)) == pytest.approx(float(exact))
    assert amplification(post_ln(halves), halves) == sp.Rational(depth, 3)


@given(variances)
def test_any_profile_is_bounded_by_a_logarithm(branches):
    total = float(amplification(admin_code(branches), branches))
    assert total <= math.log(1 + sum(branches)) + 1e-12
    assert total <= float(aligned_amplification(admin_code(branches), branches)) + 1e-12


def test_aligned_changes_take_the_logarithm_away():
    ones = [1] * 400
    aligned = float(aligned_amplification(admin_paper(ones), ones))
    exact = sum(i**-0.5 for i in range(1, 401)) ** 2
    assert aligned == pytest.approx(exact)
    assert aligned > 200 * float(amplification(admin_paper(ones), ones))
    assert aligned_amplification(post_ln([1] * 10), [1] * 10) == 50


@pytest.mark.parametrize(("n", "omega"), [(12, 2.0170), (36, 3.0408), (200, 6.0746), (600, 9.6399)])
def test_the_constant_without_a_profile(n, omega):
    shortcut = admin_log(n)
    assert math.sqrt(shortcut) == pytest.approx(omega, abs=5e-5)
    total = n / (1 + float(shortcut))
    assert total == pytest.approx(n * math.log(n + 1) / (n + 1))
    free = sp.Symbol("n", positive=True)
    assert float(admin_log(free).subs(free, n)) == pytest.approx(float(shortcut))
    with pytest.raises(InputError, match=r"^sublayers must be an integer of at least 1, got 0$"):
        admin_log(0)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_variances_are_positive_and_there_is_one(wiring):
    with pytest.raises(InputError, match=r"^a branch's variance must be positive, got 0$"):
        wiring([1, 0])
    with pytest.raises(InputError, match=r"^there must be at least one branch, got none$"):
        wiring([])


def test_bad_shortcuts_and_sources_are_refused():
    with pytest.raises(InputError, match=r"^the input's variance must not be negative, got -1$"):
        pre_ln([1], -1)
    with pytest.raises(InputError, match=r"^there must be one ω² a branch, got 1 for 2 branches$"):
        own_weights([1], [1, 1])
    with pytest.raises(InputError, match=r"^ω² must not be negative, got -2$"):
        own_weights([1, -2], [1, 1])
    with pytest.raises(InputError, match=r"^a branch's variance must be positive, got -3$"):
        own_weights([1, 1], [1, -3])


def test_one_layer_of_the_recursion():
    before, change, kappa = sp.Symbol("D", positive=True), sp.Symbol("C", positive=True), 3
    half = sp.sqrt(sp.Rational(1, 2))
    assert sp.expand(next_change(before, half) - before - change / 2) == 0
    assert sp.expand(next_change(before, half, kappa) - 2 * before - change / 2) == 0


def relu_stack(depth, width, seed):
    """Weights of ``depth`` ReLU branches of output variance 1 for inputs of variance 1."""
    rng = np.random.default_rng(seed)
    scale = (2 / width) ** 0.5, (1 / width) ** 0.5
    return [
        (rng.normal(0, scale[0], (width, width)), rng.normal(0, scale[1], (width, width)))
        for _ in range(depth)
    ]


def normalise(x):
    return (x - x.mean(0)) / x.std(0)


def run(weights, x, *, post_ln_wiring):
    for first, second in weights:
        if post_ln_wiring:
            x = normalise(x + second @ np.maximum(first @ x, 0))
        else:
            x = x + second @ np.maximum(first @ normalise(x), 0)
    return normalise(x)


def relative_change(seed, *, post_ln_wiring, depth=8, width=256, share=1e-3):
    """Measured change ÷ C Σ β², C = 2 share², for parameter changes of that share, random signs."""
    rng = np.random.default_rng([1, seed])
    weights = relu_stack(depth, width, seed)
    changed = [
        tuple(w * (1 + share * rng.choice([-1, 1], w.shape)) for w in pair) for pair in weights
    ]
    x = rng.normal(size=(width, 8))
    before = run(weights, x, post_ln_wiring=post_ln_wiring)
    after = run(changed, x, post_ln_wiring=post_ln_wiring)
    ones = [1] * depth
    shortcuts = (post_ln if post_ln_wiring else pre_ln)(ones)
    predicted = float(amplification(shortcuts, ones)) * 2 * share**2
    return np.mean((after - before) ** 2) / predicted


@pytest.mark.parametrize("post_ln_wiring", [True, False])
def test_random_stacks_change_by_the_predicted_amount(post_ln_wiring):
    found = [relative_change(seed, post_ln_wiring=post_ln_wiring) for seed in range(6)]
    assert np.mean(found) == pytest.approx(1, abs=0.1)


def test_gradients_keep_their_variance_through_a_post_ln_stack_of_relu_blocks():
    depth, width = 20, 512
    weights = relu_stack(depth, width, 2)
    rng = np.random.default_rng(3)
    x = normalise(rng.normal(size=(width, 16)))
    passes = []
    for first, second in weights:
        hidden = first @ x
        stream = x + second @ np.maximum(hidden, 0)
        passes.append((hidden > 0, stream))
        x = normalise(stream)
    gradient = rng.normal(size=x.shape)
    start = np.mean(gradient**2)
    for (first, second), (active, stream) in zip(reversed(weights), reversed(passes), strict=True):
        y = normalise(stream)
        projected = gradient - gradient.mean(0) - y * (y * gradient).mean(0)
        gradient = projected / stream.std(0)
        gradient = gradient + first.T @ (active * (second.T @ gradient))
    assert np.mean(gradient**2) == pytest.approx(start, rel=0.25)
    assert np.mean(gradient**2) > 100 * start * (1 / 2) ** depth


@settings(deadline=None, max_examples=10)
@given(
    st.tuples(st.sampled_from([1, 3]), st.sampled_from([4, 8])),
    st.tuples(*[st.integers(-3, 3)] * 2),
)
def test_relu_moments_are_half_the_linear_ones(x, u):
    found = sign_averaged_relu(x, u, 2)
    squared_x, squared_u = (sum(a * a for a in vector) for vector in (x, u))
    assert found.output == 2 * squared_x
    assert found.backward == found.forward == 2 * squared_u
    assert found.crossed == 0


def test_averages_over_signs():
    a, b, first, second = sp.symbols("a b e1 e2")
    assert sign_average((a * first + b * second) ** 2, first, second) == a**2 + b**2
    assert sign_average((a * first + b * first) ** 2, first) == sp.expand((a + b) ** 2)
    assert sign_average(first, first) == 0
