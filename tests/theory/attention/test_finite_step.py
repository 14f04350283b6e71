import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.attention import scalar_hessian as attention_hessian
from theory.attention.finite_step import derivation, largest_step, relative_move
from theory.attention.scalar_hessian import curvature

entries = st.integers(-8, 8).map(lambda n: n / 8)
nonzero = st.sampled_from([-1.0, -0.5, 0.25, 0.75, 1.0])


def output(theta, y, n):
    memory, (k, q, v, w) = theta[:n], theta[n:]
    return v * w * (torch.softmax(q * k * y * memory, 0) * memory).sum()


def hessian_at(theta, y):
    found = torch.autograd.functional.hessian(lambda t: output(t, y, len(theta) - 4), theta)
    assert isinstance(found, torch.Tensor)
    return found


@settings(deadline=None, max_examples=40)
@given(
    st.lists(entries, min_size=1, max_size=6), st.tuples(*[entries] * 4), entries, st.floats(1, 3)
)
def test_the_hessian_is_within_its_bound(memory, rest, y, reach):
    theta = reach * torch.tensor([*memory, *rest], dtype=torch.float64)
    norm = float(torch.linalg.matrix_norm(hessian_at(theta, reach * y), 2))
    assert norm <= float(curvature(sp.Float(reach)))


def test_the_bound_grows_with_what_it_bounds():
    """Memory ±R^(-3) keeps the softmax from saturating: the Hessian then grows by a power of R."""
    norms = []
    for reach in (4.0, 8.0):
        theta = torch.tensor([reach**-3, -(reach**-3), *[reach] * 4], dtype=torch.float64)
        norms.append(float(torch.linalg.matrix_norm(hessian_at(theta, reach), 2)))
    assert norms[1] / norms[0] > 2**4


@settings(deadline=None, max_examples=40)
@given(st.lists(entries, min_size=1, max_size=5), st.tuples(*[nonzero] * 4), entries, nonzero)
def test_a_step_up_to_the_bound_moves_as_claimed(memory, rest, y, slope):
    theta = torch.tensor([*memory, *rest], dtype=torch.float64, requires_grad=True)
    value = output(theta, y, len(memory))
    (gradient,) = torch.autograd.grad(value, theta)
    gain = float(gradient.square().sum())
    if gain < 1e-4:
        return
    for fraction in (1.0, 0.1):
        eta = fraction * float(largest_step(sp.S.One, sp.Float(slope)))
        moved = float(
            output(theta.detach() - eta * slope * gradient, y, len(memory)) - value.detach()
        )
        assert 0.5 - 1e-3 <= -moved / (eta * slope * gain) <= 1.5 + 1e-3


@pytest.mark.parametrize("blocks", [10**2, 10**5, 10**8])
def test_the_same_step_does_for_every_depth(blocks):
    """v = w = (3L)^(-1/4) and L^(-1/2), one step size for all of them."""
    eta = largest_step(sp.S.One, sp.S.One)
    for power in (sp.Rational(-1, 4), sp.Rational(-1, 2)):
        scale = sp.Float(sp.N(sp.Integer(blocks) ** power, 40), 40)
        values = {"v": scale, "w": -scale, "q": sp.S.One, "k": -sp.S.One, "y": sp.S.One}
        assert 0.5 <= relative_move((sp.S.One, sp.S.Half), values, eta) <= 1.5


def test_without_a_bound_on_the_query_no_step_does():
    ratios = []
    for power in (2, 4, 8):
        size = sp.Integer(10) ** power
        scale = sp.Float(size, 40) ** sp.Rational(-1, 2)
        values = {"v": scale, "w": scale, "q": size, "k": sp.S.Zero, "y": sp.S.One}
        memory = (sp.Integer(1), sp.Integer(2))
        ratios.append(float(relative_move(memory, values, sp.Rational(1, 4420))))
    assert ratios[0] > 0.5
    assert ratios[2] < 0.01


def test_second_derivatives_not_listed_vanish():
    listed = {frozenset(pair) for pair in attention_hessian.second_derivatives()}
    assert frozenset({"v"}) not in listed
    assert frozenset({"w"}) not in listed
    memory = torch.tensor([0.3, -0.7, 0.5, 0.2, 0.9, -0.4], dtype=torch.float64)
    hessian = hessian_at(memory, 0.8)
    assert float(hessian[4, 4]) == float(hessian[5, 5]) == 0
    assert all(float(hessian[i, i]) != 0 for i in range(4))


def test_each_step_holds_and_its_false_form_does_not():
    assert all(step.sound for step in derivation().check())
