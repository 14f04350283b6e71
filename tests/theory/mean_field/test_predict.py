"""The mean-field prediction against hand calculation, brute force and quadrature."""

import math
import random
from dataclasses import replace
from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.derivations.number import Number
from theory.errors import InputError
from theory.mean_field.attention_moments import Fluctuations, attention_moments
from theory.mean_field.norm_moments import gaussian, jacobian_gain, normalised
from theory.mean_field.predict import EVERYTHING, Assumptions, EmbeddedTokens, Network, predict
from theory.mean_field.residual_block import BlockKind, MeanFieldBlock, NetworkSetting, NormPlace
from theory.mean_field.rules import derivation
from theory.mean_field.signal_propagation import forward
from theory.moments.relu_kernel import kappa_0, kappa_1, relu_pairs
from theory.moments.softmax_moments import exact, moments, uniform
from theory.moments.token_gram import (
    averaged,
    centred_gram,
    centred_second_moment,
    diagonal,
    exchangeable,
    inner,
    pulled_back,
    sinusoids,
    total,
    trace,
    visible,
)


def flat(n, variance, spread):
    """Attention that ignores its logits."""
    del variance, spread
    return uniform(n)


INFINITE = Assumptions(softmax=flat, finite_width=False)
D, HIDDEN = 64, 128


def random_gram(size, seed):
    generator = random.Random(seed)
    rows = [[Fraction(generator.randint(-9, 9)) for _ in range(3)] for _ in range(size)]
    return tuple(tuple(sum(a * b for a, b in zip(x, y, strict=True)) for y in rows) for x in rows)


def average_matrix(seen, keys):
    return [[Fraction(int(k < n), n) for k in range(keys)] for n in seen]


@pytest.mark.parametrize(("queries", "keys", "causal"), [(5, 5, True), (4, 6, False)])
def test_averages_and_their_transposes_are_matrix_products(queries, keys, causal):
    seen = visible(queries, keys, causal=causal)
    a = sp.Matrix(average_matrix(seen, keys))
    read, cotangents = random_gram(keys, 1), random_gram(queries, 2)
    assert sp.Matrix(averaged(read, seen)) == a * sp.Matrix(read) * a.T
    assert sp.Matrix(pulled_back(cotangents, seen, keys)) == a.T * sp.Matrix(cotangents) * a
    transposed = pulled_back(tuple(zip(*cotangents, strict=True)), seen, keys)
    assert sp.Matrix(transposed) == a.T * sp.Matrix(cotangents).T * a
    assert averaged(read, seen) != averaged(read, seen[::-1]) or not causal


def test_what_tells_tokens_apart_ignores_what_they_share():
    gram = random_gram(5, 3)
    shifted = tuple(tuple(entry + 7 for entry in row) for row in gram)
    assert centred_second_moment(gram) == centred_second_moment(shifted)
    assert centred_second_moment(exchangeable(4, 3, 1))[2:] == (2, 2, 2)


def test_contrast_is_the_sum_of_centred_identities():
    seen, keys = (1, 2, 3), 3
    weights = random_gram(3, 4)
    expected = sp.zeros(keys, keys)
    for i, n_i in enumerate(seen):
        for j, n_j in enumerate(seen):
            n = min(n_i, n_j)
            for k in range(n if n > 1 else 0):
                for m in range(n):
                    share = Fraction(1, n) if k == m else -Fraction(1, n * (n - 1))
                    expected[k, m] += weights[i][j] * share
    found = sp.Matrix(centred_gram(weights, seen, keys))
    assert (found - expected).applyfunc(sp.nsimplify).norm() < 1e-12
    assert abs(total(centred_gram(weights, seen, keys))) < 1e-12


def test_energy_of_a_gradient_is_a_squared_norm():
    x, delta = sp.Matrix(3, 2, range(6)), sp.Matrix(3, 2, [1, -1, 2, 0, 3, 5])
    gram_x, gram_delta = ((m * m.T).tolist() for m in (x, delta))
    gradient = x.T * delta
    assert inner(gram_x, gram_delta) == sum(entry**2 for entry in gradient)


def test_sinusoids_have_the_gram_of_the_encoding():
    positions = [
        [f(t / 10000 ** (2 * m / 8)) for m in range(4) for f in (math.sin, math.cos)]
        for t in range(3)
    ]
    for i, row in enumerate(sinusoids(3, 8)):
        for j, entry in enumerate(row):
            dot = sum(a * b for a, b in zip(positions[i], positions[j], strict=True))
            assert entry == pytest.approx(dot / 8)


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.4, 0.95])
def test_arc_cosine_kernels_by_numerical_integration(rho):
    other = math.sqrt(1 - rho**2)

    def over_the_first(given):
        # given(m): the mean over the second Gaussian, which is N(ρ a, 1 − ρ²) = N(m, other²).
        return float(mpmath.quad(lambda a: given(a, rho * a) * mpmath.npdf(a), [0, 1, 3, 12]))

    def relu_mean(a, m):
        return a * (m * mpmath.ncdf(m / other) + other * mpmath.npdf(m / other))

    def open_share(a, m):
        return mpmath.ncdf(m / other) + 0 * a

    assert 2 * over_the_first(relu_mean) == pytest.approx(kappa_1(rho), abs=1e-9)
    assert 2 * over_the_first(open_share) == pytest.approx(kappa_0(rho), abs=1e-9)
    assert 2 * over_the_first(open_share) != pytest.approx(kappa_1(rho), abs=1e-3)


def test_relu_pairs_at_finite_width_average_two_correlations():
    gram = ((1.0, 0.3), (0.3, 1.0))
    plain, wide = relu_pairs(gram), relu_pairs(gram, inverse_width=1e-8)
    assert wide.gated[0][1] == pytest.approx(plain.gated[0][1], rel=1e-6)
    narrow = relu_pairs(exchangeable(2, 1.0, 0.0), inverse_width=1 / 64)
    assert narrow.gated[0][1] == pytest.approx(0.5 * math.asin(1 / 8) / math.pi / 8)


@pytest.mark.parametrize("variance", [0.1, 1.0, 6.0])
def test_two_keys_are_a_logistic_function(variance):
    """With two logits a_1 = 1/(1 + e^(−x)) for one Gaussian x of variance 2v."""

    def mean(function):
        def integrand(x):
            a = 1 / (1 + mpmath.exp(-mpmath.sqrt(2 * variance) * x))
            return function(a, 1 - a) * mpmath.npdf(x)

        return float(mpmath.quad(integrand, mpmath.linspace(-9, 9, 7)))

    found = exact(2, variance)
    assert found.square == pytest.approx(mean(lambda a, b: a**2 + b**2), rel=1e-8)
    response = mean(lambda a, b: a**2 + b**2 - 2 * (a**3 + b**3) + (a**2 + b**2) ** 2)
    assert found.response == pytest.approx(response, rel=1e-8)
    assert found.square != pytest.approx(0.5, rel=1e-2)


def test_softmax_moments_by_sampling():
    generator, n, variance, draws = random.Random(0), 6, 1.5, 40_000
    sums = [0.0, 0.0, 0.0]
    for _ in range(draws):
        logits = [generator.gauss(0, math.sqrt(variance)) for _ in range(n)]
        whole = sum(map(math.exp, logits))
        a = [math.exp(logit) / whole for logit in logits]
        square = sum(x**2 for x in a)
        tilt = sum(x * logit for x, logit in zip(a, logits, strict=True)) ** 2
        found = (square, tilt / variance, square - 2 * sum(x**3 for x in a) + square**2)
        sums = [total + value for total, value in zip(sums, found, strict=True)]
    expected = moments(n, variance)
    for value, name in zip(sums, ("square", "query_tilt", "response"), strict=True):
        assert value / draws == pytest.approx(getattr(expected, name), rel=0.02)


def test_the_response_falls_where_one_logit_has_all_the_weight():
    near, far = exact(8, 25.0), exact(8, 50.0)
    assert far.response == pytest.approx(near.response / math.sqrt(2), rel=0.1)
    assert moments(8, 100.0).response == pytest.approx(moments(8, 25.0).response / 2)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 16), st.floats(0.0, 20.0))
def test_interpolation_and_bounds_of_softmax_moments(n, variance):
    found = moments(n, variance)
    assert 1 / n - 1e-9 <= found.square <= 1
    assert found.response <= (1 - 1 / n) / n + found.square
    if variance > 1e-3:
        assert found.square == pytest.approx(exact(n, variance).square, rel=1e-4)
    assert moments(n, variance).square * moments(n, -variance).square == pytest.approx(1 / n**2)


def test_attention_without_logits_is_an_average():
    gram = exchangeable(4, 2.0, 0.5)
    seen = visible(4, 4, causal=True)
    found = attention_moments(gram, gram, seen, 0.0, moments, Fluctuations())
    assert found.mixed == averaged(gram, seen)
    assert diagonal(found.response) == pytest.approx([(1 - 1 / n) / n for n in seen])
    logits = attention_moments(gram, gram, seen, 1.0, moments, Fluctuations())
    assert logits.mixed[3][3] > found.mixed[3][3]


def test_a_gaussian_s_inverse_length():
    d = 64
    stream = gaussian(exchangeable(1, 1.0), Fluctuations(width=1 / d))
    assert jacobian_gain(stream)[0] == pytest.approx(d / (d - 3), rel=2e-3)
    assert jacobian_gain(normalised(stream)) == (1,)


def xavier(norm=NormPlace.NONE, scale=1.0, layers=1):
    square = scale**2
    flat_block: dict[str, Number] = {
        **dict.fromkeys(("q", "k"), 1 / D),
        **dict.fromkeys(("v", "out_proj"), square / D),
    }
    mlp: dict[str, Number] = dict.fromkeys(("w1", "w2"), 2 * square / (D + HIDDEN))
    encoder = (
        MeanFieldBlock("encoder.attention", BlockKind.SELF, flat_block, norm),
        MeanFieldBlock("encoder.mlp", BlockKind.MLP, mlp, norm),
    )
    decoder = (
        MeanFieldBlock("decoder.self_attention", BlockKind.SELF, flat_block, norm, causal=True),
        MeanFieldBlock("decoder.cross_attention", BlockKind.CROSS, flat_block, norm),
        MeanFieldBlock("decoder.mlp", BlockKind.MLP, mlp, norm),
    )
    return encoder * layers, decoder * layers


def network(norm=NormPlace.NONE, scale=1.0, layers=1, tokens=16, square=1.0, multiplier=8.0):
    inputs = EmbeddedTokens(tokens, square, multiplier)
    return Network(D, HIDDEN, 2, 1000, inputs, inputs, *xavier(norm, scale, layers))


def test_one_decoder_layer_by_hand():
    """One token, no encoder: attention is a product of two matrices, the MLP halves."""
    a = 0.7**2
    _, decoder = xavier(scale=0.7)
    one = EmbeddedTokens(1, 1.0)
    found = predict(Network(D, HIDDEN, 2, 10**9, one, one, (), (decoder[0], decoder[2])), INFINITE)
    mlp = 0.5 * HIDDEN * D * (2 * a / (D + HIDDEN)) ** 2
    assert found.output_square == pytest.approx((1 + a * a) * (1 + mlp))
    assert found.energies["decoder.mlp.w2"] == pytest.approx(
        0.5 * HIDDEN * D * (2 * a / (D + HIDDEN)) * (1 + a * a)
    )
    assert found.energies["decoder.self_attention.v"] == pytest.approx(D * a * (1 + mlp))
    assert found.energies["decoder.self_attention.q"] == 0
    assert found.part("embeddings") == pytest.approx((1 + a * a) * (1 + mlp))


def worked_example(layers, assumptions=EVERYTHING):
    """theory §5: 64-128-2, 16 random tokens per side, T-Fixup, embeddings not multiplied."""
    x = (9 * layers) ** -0.5
    inputs = EmbeddedTokens(16, x / D)
    a = (math.sqrt(11 / 18) - 1 / 3) / math.sqrt(layers)
    encoder = xavier(scale=math.sqrt(a), layers=layers)[0]
    decoder = xavier(scale=math.sqrt(x), layers=layers)[1]
    return predict(Network(D, HIDDEN, 2, 1000, inputs, inputs, encoder, decoder), assumptions)


def test_the_worked_example():
    found = worked_example(12)
    assert found.part("decoder") == pytest.approx(0.245, abs=0.005)
    assert found.part("encoder") == pytest.approx(0.010, abs=0.001)
    assert found.part("embeddings") == pytest.approx(1.09, abs=0.01)
    assert found.part("total") == pytest.approx(1.34, abs=0.01)
    assert math.sqrt(found.rms_ratio_square) == pytest.approx(1.042, abs=0.004)
    wrong = worked_example(12, replace(EVERYTHING, relu_share=1))
    assert wrong.part("decoder") > 0.3


def test_the_worked_example_is_flat_in_depth():
    decoders = [worked_example(layers).part("decoder") for layers in (1, 6, 50)]
    assert all(0.225 < energy < 0.26 for energy in decoders)


@pytest.mark.parametrize("norm", list(NormPlace))
def test_corrections_of_finite_width_vanish_with_it(norm):
    """The corrections are of order 1/d: at a thousand times the width they are gone."""

    def energy(width, assumptions):
        encoder, decoder = xavier(norm, 0.5)
        factor = D / width
        blocks = [
            tuple(
                replace(b, variances={k: s * factor for k, s in b.variances.items()}) for b in stack
            )
            for stack in (encoder, decoder)
        ]
        inputs = EmbeddedTokens(4, 1.0)
        return predict(
            Network(width, HIDDEN * width // D, 1, 1000, inputs, inputs, *blocks), assumptions
        ).part("embeddings")

    limit = energy(64_000, Assumptions(finite_width=False))
    assert energy(64_000, EVERYTHING) == pytest.approx(limit, rel=3e-5)
    assert energy(64, EVERYTHING) != pytest.approx(limit, rel=3e-4)


def test_symbols_and_numbers_agree():
    v, w1, w2 = sp.symbols("v w1 w2", positive=True)
    variances = {"q": sp.Rational(1, D), "k": sp.Rational(1, D), "v": v, "out_proj": v}
    mlp = MeanFieldBlock("decoder.mlp", BlockKind.MLP, {"w1": w1, "w2": w2})
    own = MeanFieldBlock("decoder.self_attention", BlockKind.SELF, variances, causal=True)
    inputs = EmbeddedTokens(2, sp.Integer(1))
    symbolic = predict(Network(D, HIDDEN, 2, 1000, inputs, inputs, (), (own, mlp)), INFINITE)
    values = {v: 0.01, w1: 0.02, w2: 0.03}

    def numbers(block):
        found = {k: float(sp.sympify(s).subs(values)) for k, s in block.variances.items()}
        return replace(block, variances=found)

    plain = EmbeddedTokens(2, 1.0)
    numeric = predict(
        Network(D, HIDDEN, 2, 1000, plain, plain, (), (numbers(own), numbers(mlp))), INFINITE
    )
    for key, energy in numeric.energies.items():
        assert float(sp.sympify(symbolic.energies[key]).subs(values)) == pytest.approx(energy)
    block = forward(
        mlp,
        gaussian(((sp.Integer(1),),), Fluctuations()),
        None,
        NetworkSetting(D, HIDDEN, flat, Fluctuations(), sp.Rational(1, 2)),
    )
    assert sp.simplify(block.left.gram[0][0] - 1 - w1 * w2 * D * HIDDEN / 2) == 0


def test_inputs_as_table_rows_add_up_where_tokens_repeat():
    model = network(scale=0.5)
    free, table = (predict(model, free_inputs=f).part("embeddings") for f in (True, False))
    assert table == pytest.approx(64 * free, rel=0.01)
    assert table > 64 * free


def test_branches_of_zero_pass_everything_on():
    encoder, decoder = xavier(NormPlace.PRE)
    silent = tuple(replace(b, branch=0) for b in decoder)
    inputs = EmbeddedTokens(4, 1.0)
    found = predict(Network(D, HIDDEN, 2, 1000, inputs, inputs, encoder, silent))
    assert found.part("decoder.mlp") == found.part("encoder") == 0
    assert found.part("embeddings") == pytest.approx(62 / 61, rel=1e-2)


def test_post_ln_does_not_see_a_common_factor_of_shortcut_and_branch():
    encoder, decoder = xavier(NormPlace.POST)
    scaled = [tuple(replace(b, shortcut=3, branch=3) for b in s) for s in (encoder, decoder)]
    inputs = EmbeddedTokens(4, 1.0)
    plain, same = (
        predict(Network(D, HIDDEN, 2, 1000, inputs, inputs, *blocks))
        for blocks in ((encoder, decoder), scaled)
    )
    assert dict(same.energies) == pytest.approx(dict(plain.energies))
    other = [tuple(replace(b, shortcut=3) for b in s) for s in (encoder, decoder)]
    assert predict(Network(D, HIDDEN, 2, 1000, inputs, inputs, *other)).part(
        "decoder.mlp"
    ) != pytest.approx(plain.part("decoder.mlp"), rel=0.1)


def test_rules_hold_and_their_alterations_do_not():
    for item in derivation().check():
        assert item.sound, item.step.because


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 1.0), "source_tokens must be an integer of at least 1, got 0")],
)
def test_bad_inputs(arguments, message):
    inputs = EmbeddedTokens(*arguments)
    with pytest.raises(InputError, match=message):
        Network(D, HIDDEN, 2, 1000, inputs, inputs, *xavier())
    with pytest.raises(InputError, match="at least one decoder block"):
        Network(D, HIDDEN, 2, 1000, EmbeddedTokens(1, 1.0), EmbeddedTokens(1, 1.0), (), ())


def test_traces_are_sums_of_diagonals():
    assert trace(exchangeable(3, 2, 1)) == 6
    assert total(exchangeable(3, 2, 1)) == 12
