import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.attention import matrix as matrix_attention
from theory.attention import matrix_norms, matrix_spectrum, matrix_theorem
from theory.attention.matrix import BLOCKS, Head, MatrixAttention, gain_parts, instance, q_bar
from theory.attention.theorem31 import L
from theory.errors import InputError

shapes = st.tuples(*(st.integers(1, high) for high in (3, 2, 3, 3, 2)), st.integers(1, 40))


def tensor(matrix):
    rows = [[float(entry) for entry in row] for row in matrix.tolist()]
    return torch.tensor(rows, dtype=torch.float64)


def torch_operator(at):
    """J Jᵀ by torch's reverse mode, a fixed bias giving the weights at the point."""
    heads = [tuple(map(tensor, (h.q, h.k, h.v, h.w, h.weights))) for h in at.heads]
    query, c = tensor(at.query), float(at.c)

    def logits(memory, q, k):
        return c * query @ q @ k.T @ memory.T

    memory = tensor(at.memory)
    biases = [h[4].log() - logits(memory, h[0], h[1]) for h in heads]

    def forward(memory, *flat):
        total = torch.zeros(at.queries, at.width, dtype=torch.float64)
        for index, bias in enumerate(biases):
            q, k, v, w = flat[4 * index : 4 * index + 4]
            weights = torch.softmax(logits(memory, q, k) + bias, dim=-1)
            total = total + weights @ memory @ v @ w
        return total.flatten()

    flat = [part for h in heads for part in h[:4]]
    every = tuple(range(1 + len(flat)))
    jacobians = torch.func.jacrev(forward, argnums=every)(memory, *flat)
    return sum(j.flatten(1) @ j.flatten(1).T for j in jacobians)


@settings(deadline=None, max_examples=12)
@given(shapes)
def test_the_exact_operator_is_torchs(shape):
    at = instance(*shape)
    torch.testing.assert_close(
        tensor(matrix_attention.operator(at)), torch_operator(at), rtol=1e-9, atol=1e-9
    )


@settings(deadline=None, max_examples=40)
@given(shapes)
def test_the_gain_lies_between_its_bounds(shape):
    low, gain, high = matrix_theorem.bounds_at(instance(*shape))
    assert low <= gain <= high


@settings(deadline=None, max_examples=15)
@given(shapes)
def test_the_closed_form_is_the_trace(shape):
    at = instance(*shape)
    assert sum(gain_parts(at).values()) == matrix_attention.operator(at).trace()
    for block in BLOCKS:
        found = matrix_attention.squared(matrix_attention.jacobian(at, block))
        assert found == gain_parts(at)[block]


@settings(deadline=None, max_examples=15)
@given(shapes)
def test_one_head_bounds_every_eigenvalue_of_one_query_from_below(shape):
    width, inner, tokens, _, _, seed = shape
    at = instance(width, inner, tokens, 1, 1, seed)
    (head,) = at.heads
    x = tensor(matrix_attention.attended(at, head))
    v, w = tensor(head.v), tensor(head.w)

    def smallest(matrix):
        return float(torch.linalg.eigvalsh(matrix.T @ matrix)[0])

    bound = smallest(w) * float(x.square().sum()) + float((x @ v).square().sum())
    bound += smallest(v @ w) / tokens
    found = float(torch.linalg.eigvalsh(torch_operator(at))[0])
    assert found >= bound * (1 - 1e-9) - 1e-9


@pytest.mark.parametrize("at", [matrix_norms.misaligned(), matrix_spectrum.rank_deficient()])
def test_products_of_norms_do_not_bound_the_smallest_eigenvalue(at):
    condition = matrix_norms.printed_terms(at)
    assert sp.limit(condition * L, L, sp.oo).is_positive
    smallest = min(value.subs(L, 10**6) for value in matrix_attention.operator(at).eigenvals())
    assert smallest * 10**6 < sp.Rational(1, 10**5)


def test_heads_that_cancel_break_both_bounds_but_no_others_do():
    at = matrix_theorem.cancelling_heads()
    assert q_bar(at) == 0
    assert sp.simplify(sum(gain_parts(at).values()) - 2 / L) == 0
    alone = MatrixAttention(at.memory, at.query, at.heads[:1], at.c)
    low, gain, high = (sp.simplify(value.subs(L, 5)) for value in matrix_theorem.bounds_at(alone))
    assert 0 < low <= gain <= high


def test_weights_that_do_not_sum_to_one_are_refused():
    one = sp.ImmutableMatrix([[1]])
    half = Head(one, one, one, one, one / 2)
    with pytest.raises(InputError, match="must sum to 1 in a row, got 1/2"):
        MatrixAttention(one, one, (half,), sp.S.One)


@pytest.mark.parametrize(
    "build",
    [
        matrix_theorem.derivation,
        matrix_spectrum.printed_is_false,
        matrix_spectrum.largest_eigenvalue,
    ],
)
def test_each_step_holds_and_its_false_form_does_not(build):
    assert all(step.sound for step in build().check())
