import math
import random

import mpmath
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from theory.layer_norm.last_layer_gradient import (
    POST_LN,
    PRE_LN,
    B,
    L,
    gradient_bound,
    squared_norm_variance,
    typical_size,
)
from theory.moments.relu_moments import d


def numbers(expression, width, depth=1):
    return float(expression.subs({B: 1, d: width, L: depth}))


@pytest.mark.parametrize("width", [8, 64, 1024])
def test_no_active_unit_exceeds_the_threshold_with_probability_099(width):
    threshold = mpmath.sqrt(2 * mpmath.log(100 * width))
    assert 1 - mpmath.ncdf(threshold) ** width < mpmath.mpf("0.01")
    lower = mpmath.sqrt(mpmath.log(100 * width))  # the false step's threshold
    assert 1 - mpmath.ncdf(lower) ** width > mpmath.mpf("0.01")


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 100)), min_size=1, max_size=6),
    st.floats(0.01, 2),
)
def test_reverse_markov_for_discrete_variables(atoms, epsilon):
    """Any Z ≤ (1 + ε) E Z has P(Z ≥ E Z/10) ≥ 0.9/(0.9 + ε)."""
    weight = sum(w for w, _ in atoms)
    mean = sum(w * z for w, z in atoms) / weight
    largest = max(z for _, z in atoms)
    slack = max(epsilon, largest / mean - 1)
    likely = sum(w for w, z in atoms if z >= mean / 10) / weight
    assert likely >= 0.9 / (0.9 + slack) - 1e-12


def test_a_one_sided_bound_that_the_exception_carries_says_nothing():
    """Z = 0 but for probability δ: Z ≤ (1 + ε) E Z elsewhere, and P(Z ≥ E Z/10) = δ only."""
    delta, epsilon = 0.01, 0.1
    assert delta < 0.99 - delta - epsilon / (0.9 + epsilon)


def test_the_variance_of_the_hidden_norm_by_sampling():
    """d = 4, z = (1, −1, 1, −1): 4 standard errors of 8,000 draws."""
    draw, z = random.Random(0), (1, -1, 1, -1)
    squares = []
    for _ in range(8_000):
        h = [max(draw.gauss(0, 1), 0) for _ in z]  # W₁ z has unit variance
        q = math.sqrt(sum(a * a for a in h) / 4)
        squares.append(sum((a + q * draw.gauss(0, 1)) ** 2 for a in z))
    mean = sum(squares) / len(squares)
    variance = sum((s - mean) ** 2 for s in squares) / len(squares)
    fourth = sum((s - mean) ** 4 for s in squares) / len(squares)
    error = math.sqrt((fourth - variance**2) / len(squares))
    assert abs(mean - 6) < 4 * math.sqrt(variance / len(squares))
    assert abs(variance - float(squared_norm_variance(4))) < 4 * error


@pytest.mark.parametrize("norm", [POST_LN, PRE_LN])
def test_the_typical_size_lies_below_the_bound_by_a_logarithm(norm):
    ratio = sp.simplify(gradient_bound(norm) / typical_size(norm))
    assert not ratio.has(L)
    assert sp.simplify(ratio**2 - 40 * sp.log(100 * d)) == 0


def test_depth_moves_only_the_pre_ln_bound():
    assert numbers(gradient_bound(POST_LN), 64, 1) == numbers(gradient_bound(POST_LN), 64, 100)
    shallow, deep = (numbers(gradient_bound(PRE_LN), 64, depth) for depth in (10**4, 4 * 10**4))
    assert shallow / deep == pytest.approx(2, rel=1e-3)
    assert numbers(gradient_bound(PRE_LN, normalised=False), 64, 9) == numbers(
        gradient_bound(PRE_LN, normalised=False), 64, 900
    )
