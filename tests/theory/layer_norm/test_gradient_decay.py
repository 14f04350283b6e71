from itertools import pairwise

import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.errors import InputError
from theory.layer_norm.gradient_profile import gradient_profile
from theory.layer_norm.hidden_norms import alikeness
from theory.layer_norm.post_ln_jacobians import averaged_mean_square, masked_mean_square

WIDTH, LAYERS = 128, 6
counts = st.integers(1, 64)
cosines = st.floats(0, 1)


def layer_norm(x):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], eps=0.0)


def energies(tokens, seed):
    """Σ_i ‖∂L/∂x_{l,i}‖² of every layer and ‖∂L/∂W₂‖²/d, by autograd, L a random functional."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    streams, matrices = [layer_norm(normal(tokens, WIDTH)).requires_grad_()], []
    for _ in range(LAYERS):
        value, first, second = (normal(WIDTH, WIDTH) / WIDTH**0.5 for _ in range(3))
        matrices.append(second.requires_grad_())
        mixed = layer_norm(streams[-1] + streams[-1].mean(0) @ value)
        streams.append(layer_norm(mixed + torch.relu(mixed @ first) @ second))
    loss = (streams[-1] * normal(tokens, WIDTH)).sum()
    found = torch.stack([g.square().sum() for g in torch.autograd.grad(loss, streams + matrices)])
    own, weights = found[: LAYERS + 1], found[LAYERS + 1 :]
    return own[:-1] / own[-1], weights / WIDTH / own[-1]


@pytest.mark.parametrize("tokens", [1, 4, 16])
def test_the_profile_predicts_gradients_of_a_real_stack(tokens):
    """Mean over 40 draws, whose spread and 1/d corrections are within 20 %; (2/3)^6 is 0.09."""
    draws = [energies(tokens, seed) for seed in range(40)]
    own, weights = (torch.stack(x).mean(0) for x in zip(*draws, strict=True))
    profile = gradient_profile(LAYERS, tokens)
    predicted = torch.tensor([layer.stream for layer in profile], dtype=torch.float64)
    second = torch.tensor([layer.second_matrix for layer in profile], dtype=torch.float64)
    torch.testing.assert_close(own, predicted, rtol=0.2, atol=0.0)
    torch.testing.assert_close(weights, second, rtol=0.2, atol=0.0)
    assert own[0] > 4 * (2 / 3) ** LAYERS


def test_one_token_keeps_its_gradient():
    assert [layer.stream for layer in gradient_profile(50, 1)] == pytest.approx([1.0] * 50)


@settings(deadline=None)
@given(counts, cosines, cosines, st.integers(1, 60))
def test_the_energy_stays_within_bounds_that_know_no_depth(tokens, cosine, gradient_cosine, layers):
    energy = gradient_profile(layers, tokens, cosine, gradient_cosine)[0].stream
    assert 0.98 * alikeness(gradient_cosine, tokens) <= energy
    assert energy <= 1.0000001 / alikeness(cosine, tokens)


@settings(deadline=None)
@given(counts, cosines, cosines)
def test_tokens_become_alike_forward_and_gradients_backward(tokens, cosine, gradient_cosine):
    profile = gradient_profile(60, tokens, cosine, gradient_cosine)
    assert all(a.tokens <= b.tokens + 1e-12 for a, b in pairwise(profile))
    assert profile[30].gradients == pytest.approx(1, abs=1e-3)
    assert profile[-1].tokens == pytest.approx(1, abs=1e-4)


def test_a_deep_stack_forgets_the_number_of_tokens_last():
    """At c = 1: (1 + (t − 1)/2^K)/t, K layers below the output."""
    profile = gradient_profile(60, 8)
    for below in range(1, 10):
        expected = (1 + 7 / 2**below) / 8
        assert profile[60 - below].stream == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [((0, 1), "layers"), ((1, 0), "tokens"), ((1, 3, -0.9), "cosine"), ((1, 3, 0, 2), "gradient")],
)
def test_impossible_profiles_are_refused(arguments, match):
    with pytest.raises(InputError, match=match):
        gradient_profile(*arguments)


def test_the_gate_halves_what_the_mlp_sends_back():
    g = sp.Matrix([2, 1])
    assert masked_mean_square(g) == sp.Rational(3, 2) * 5
    assert masked_mean_square(g, gated=False) == 2 * 5


def test_opposite_gradients_get_nothing_through_attention():
    assert averaged_mean_square(sp.Matrix([[1, -1], [2, -2]])) == 10
    assert averaged_mean_square(sp.Matrix([[1, 1], [2, 2]])) == 20
