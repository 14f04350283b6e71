from fractions import Fraction
from itertools import islice, product

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.errors import InputError
from theory.layer_norm.hidden_norms import (
    affine_mean_square,
    alikeness,
    layer_norm,
    mlp_mean_square,
    post_ln_norms,
    pre_ln,
    pre_ln_norms,
)


def test_an_affine_map_in_mean_square_over_signs():
    """Entries ±s have the moments that matter, and finitely many matrices: sum over them all."""
    x, h, s = (1, -2), (3, 1), Fraction(1, 2)
    total = Fraction(0)
    for a, b, c, e in product((s, -s), repeat=4):
        total += (x[0] + a * h[0] + b * h[1]) ** 2 + (x[1] + c * h[0] + e * h[1]) ** 2
    expected = affine_mean_square(sp.Matrix(x), sp.Matrix(h), sp.Rational(1, 4))
    assert sp.Rational(total.numerator, 16 * total.denominator) == expected


def test_an_mlp_of_width_one_by_quadrature():
    """d = 1: E (x + w₂ ReLU(w₁ z))² with unit Gaussians, integrated numerically."""
    z = 1.5

    def given(w1):
        h = max(w1 * z, 0)
        return mpmath.npdf(w1) * mpmath.quad(
            lambda w2: mpmath.npdf(w2) * (2 + w2 * h) ** 2, [-10, 0, 10], maxdegree=4
        )

    numeric = mpmath.quad(given, [-10, 0, 10], maxdegree=4)
    exact = mlp_mean_square(sp.Matrix([2]), sp.Matrix([sp.Rational(3, 2)]))
    assert abs(float(exact) - float(numeric)) < 1e-8


def test_the_norm_does_not_depend_on_the_layer_only_with_layer_norm():
    third = sp.Rational(1, 3)
    assert set(post_ln_norms(9, third)) == {sp.Rational(3, 2)}
    assert post_ln_norms(9, third, normalised=False)[-1] == 2**9


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.floats(0, 1), st.integers(1, 12))
def test_pre_ln_norms_lie_between_the_ends(tokens, cosine, layers):
    norms = islice(pre_ln_norms(tokens, cosine), layers)
    for layer, norm in enumerate(norms, start=1):
        assert 1 + layer / 2 - 1e-9 <= norm <= 1 + 3 * layer / 2 + 1e-9


def test_counting_layers_from_one_would_break_the_lower_end():
    """With x_1 the input, ‖x_1‖² = d < (1 + 1/2) d."""
    norms = [sp.S.One, *islice(pre_ln_norms(sp.oo, sp.S.Zero), 3)]
    assert not all(norm >= 1 + sp.Rational(layer, 2) for layer, norm in enumerate(norms, start=1))
    assert all(norm >= 1 + sp.Rational(layer, 2) for layer, norm in enumerate(norms))


def test_without_averaging_a_layer_adds_one_half():
    assert list(islice(pre_ln_norms(3, sp.S.One, averaging=False), 3)) == [
        sp.Rational(3, 2),
        2,
        sp.Rational(5, 2),
    ]


@pytest.mark.parametrize(("tokens", "cosine"), [(3, sp.Integer(2)), (5, sp.Rational(-1, 2))])
def test_impossible_cosines_are_refused(tokens, cosine):
    with pytest.raises(InputError, match="pairwise cosines"):
        next(pre_ln_norms(tokens, cosine))


@given(st.lists(st.integers(-5, 5), min_size=3, max_size=5).filter(lambda x: len(set(x)) > 1))
@settings(deadline=None, max_examples=20)
def test_a_layer_norm_has_norm_root_d_and_mean_zero(x):
    z = layer_norm(sp.Matrix(x))
    assert sp.simplify((z.T * z)[0]) == len(x)
    assert sp.simplify(sum(z)) == 0


def test_alikeness_of_explicit_vectors():
    """Three vectors of pairwise inner product 1/2 in R³: the edges of a tetrahedron."""
    root = sp.sqrt(2)
    vectors = [sp.Matrix(v) / root for v in ([1, 1, 0], [1, 0, 1], [0, 1, 1])]
    mean = sum(vectors, sp.zeros(3, 1)) / 3
    assert sp.simplify((mean.T * mean)[0] - alikeness(sp.Rational(1, 2), 3)) == 0


def test_the_lower_end_is_left_after_two_layers():
    last = pre_ln()[-1]
    assert last.check(last.statement)
    assert not last.check(last.false)
