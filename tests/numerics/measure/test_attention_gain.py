import pytest
import sympy as sp
import torch

from numerics.evidence import matrix
from numerics.evidence.matrix import relative_move
from numerics.measure.attention_gain import (
    AttentionPoint,
    gain,
    jacobian,
    q_bar,
    random_point,
    upper_bound,
)
from numerics.models.attention import Attention
from theory.attention import matrix as matrix_attention
from theory.attention.finite_step import relative_move as exact_move
from theory.attention.matrix_theorem import bounds_at
from theory.claims import Context
from theory.errors import InputError


def _same_in_the_theory(point):
    """The point as `theory.attention.matrix`'s, its weights in rationals close to the floats."""
    part = point.split()

    def exact(tensor):
        return sp.ImmutableMatrix(tensor.tolist()).applyfunc(
            lambda x: sp.Rational(x).limit_denominator(10**12)
        )

    heads = []
    for h in range(point.heads):
        logits = (point.query @ part["q"][h]) @ (point.memory @ part["k"][h]).T
        weights = exact((logits * point.head_width**-0.5).softmax(-1))
        last = weights.cols - 1
        rows = [[*row[:last], 1 - sum(row[:last])] for row in weights.tolist()]
        q, k, v, w = (exact(part[letter][h]) for letter in "qkvw")
        heads.append(matrix_attention.Head(q, k, v, w, sp.ImmutableMatrix(rows)))
    c = sp.sqrt(sp.Rational(1, point.head_width))
    return matrix_attention.MatrixAttention(
        exact(point.memory), exact(point.query), tuple(heads), c
    )


@pytest.mark.parametrize("shape", [(2, 1, 3, 2), (2, 2, 2, 1), (4, 2, 2, 2)])
def test_gain_q_bar_and_bounds_are_the_theory_s_closed_forms(shape):
    width, heads, tokens, queries = shape
    point = random_point(width, heads, tokens, queries, torch.Generator().manual_seed(4))
    at = _same_in_the_theory(point)
    low, exact_gain, high = (float(value) for value in bounds_at(at))
    assert gain(point) == pytest.approx(exact_gain, rel=1e-8)
    assert q_bar(point) == pytest.approx(low * len(point.memory), rel=1e-8)
    assert upper_bound(point) == pytest.approx(high, rel=1e-8)


def test_the_jacobian_is_that_of_finite_differences():
    point = random_point(4, 2, 3, 2, torch.Generator().manual_seed(0))
    found = jacobian(point)
    assert found.shape == (8, 12 * 4 + 4 * 4 + 3 * 4)
    moved = point.memory.clone()
    moved[1, 2] += 1e-6
    ends = []
    for memory in (moved, point.memory):
        with torch.no_grad():
            ends.append(point.module(point.query[None], memory[None]).flatten())
    column = (ends[0] - ends[1]) / 1e-6
    torch.testing.assert_close(found[:, 64 + 4 + 2], column, rtol=1e-4, atol=1e-6)


def test_a_finite_step_is_that_of_60_digits():
    values = {"v": "1/3", "w": "-1/2", "q": "1", "k": "1/2", "y": "3/4"}
    exact = exact_move(
        (sp.S.One, sp.Rational(-1, 2), sp.Rational(1, 4)),
        {name: sp.Rational(value) for name, value in values.items()},
        sp.Rational(1, 5),
    )
    memory = torch.tensor([1.0, -0.5, 0.25], dtype=torch.float64)
    found = relative_move((1 / 3, -0.5, 1.0, 0.5), 0.75, memory, 0.2)
    assert abs(found) == pytest.approx(float(exact), rel=1e-10)


def test_heads_that_cancel_have_a_gain_and_no_q_bar():
    heads = matrix.cancelling()
    # Each head's ∂G/∂q is v w V k y with V = 1, and ‖y‖² = 2.
    assert gain(heads) == pytest.approx(4.0)
    assert q_bar(heads) == pytest.approx(0.0, abs=1e-30)


@pytest.mark.parametrize("provider", matrix.PROVIDERS, ids=lambda p: p.claims[0])
def test_evidence_is_admissible_at_another_seed(provider):
    for item in provider(Context(seed=7)):
        assert item.admissible, item.summary


def test_bad_shapes_are_refused():
    with pytest.raises(InputError, match="heads=3, width=4"):
        random_point(4, 3, 1, 1, torch.Generator())
    module = Attention(2, 1, biases=False).double()
    assert (
        AttentionPoint(module, torch.ones(1, 2).double(), torch.ones(1, 2).double()).head_width == 2
    )
