"""Fused attention against the written form: outputs, losses and gradients."""

import numpy as np
import pytest
import torch
from torch.func import jvp

from numerics.data.batches import Encoded, make_batch
from numerics.data.tokenizer import END
from numerics.models import ModelSpec, Positions
from numerics.models.attention import Attention, fuse_attention
from numerics.schemes import build
from numerics.training.objective import batch_loss


def _pair(dtype=torch.float64, *, heads=2, biases=True):
    """The same attention in both forms."""
    pair = [Attention(8, heads, biases=biases).to(dtype) for _ in range(2)]
    drawn = torch.Generator().manual_seed(0)
    for parameters in zip(*(part.parameters() for part in pair), strict=True):
        values = 0.3 * torch.randn(parameters[0].shape, generator=drawn, dtype=dtype)
        for parameter in parameters:
            parameter.data.copy_(values)
    fuse_attention(pair[1])
    return pair


def _outcome(attention, y, memory, blocked, cotangent):
    """Output and every gradient."""
    inputs = [x.clone().requires_grad_() for x in (y, memory) if x is not None]
    found = attention(*inputs, *([None] if memory is None else []), blocked)
    return [found, *torch.autograd.grad(found, [*inputs, *attention.parameters()], cotangent)]


def _case(case, dtype=torch.float64):
    """Inputs of a self- or cross-attention with its mask, and a cotangent."""
    drawn = torch.Generator().manual_seed(1)
    y, memory, cotangent = (
        torch.randn(3, tokens, 8, generator=drawn, dtype=dtype) for tokens in (5, 7, 5)
    )
    lengths = torch.tensor([7, 4, 1])
    padding = (torch.arange(7) >= lengths[:, None])[:, None, None, :]
    match case:
        case "plain":
            return y, None, None, cotangent
        case "causal":
            return y, None, torch.ones(5, 5, dtype=torch.bool).triu(1), cotangent
        case "padding":
            return y, None, padding[..., :5], cotangent
    return y, memory, padding, cotangent


@pytest.mark.parametrize("case", ["plain", "causal", "padding", "cross"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("heads", [1, 4])
def test_both_forms_agree_to_rounding(case, dtype, heads):
    written, fused = (
        _outcome(part, *_case(case, dtype)) for part in _pair(dtype, heads=heads, biases=heads == 4)
    )
    torch.testing.assert_close(fused, written)


@pytest.mark.parametrize("case", ["causal", "padding", "cross"])
def test_the_comparison_notices_an_inverted_mask(case):
    written, fused = _pair()
    y, memory, blocked, _ = _case(case)
    assert blocked is not None
    assert not torch.allclose(fused(y, memory, ~blocked), written(y, memory, blocked))


def test_a_query_that_may_see_nothing_is_zero_and_hurts_no_other():
    written, fused = _pair(biases=False)
    y, _, _, cotangent = _case("plain")
    blocked = torch.zeros(5, 5, dtype=torch.bool)
    blocked[2] = True
    found = _outcome(fused, y, None, blocked, cotangent)
    assert found[0][:, 2].abs().max() == 0
    assert all(part.isfinite().all() for part in found)
    assert written(y, None, blocked)[:, 2].isnan().all()


def test_only_the_written_form_has_a_forward_mode_derivative():
    written, fused = _pair()
    y = _case("plain")[0]
    assert jvp(written, (y,), (y,))[1].isfinite().all()
    with pytest.raises((NotImplementedError, RuntimeError)):
        jvp(fused, (y,), (y,))


@pytest.mark.parametrize("scheme", ["tfixup", "post-ln"])
def test_training_loss_and_gradients_agree_to_rounding(scheme):
    spec = ModelSpec(2, 2, d_model=8, d_ff=12, heads=2, positions=Positions.SINUSOIDAL)
    order = np.random.default_rng(0)
    sides = [[np.append(order.integers(4, 1000, n), END) for n in (2, 5, 9)] for _ in range(2)]
    batch = make_batch(Encoded(*sides), np.array([2, 0, 1]))

    def outcome(*, fused):
        model = build(scheme, spec, torch.Generator().manual_seed(0)).double()
        if fused:
            fuse_attention(model)
        loss = batch_loss(model, batch, 0.1)
        return [loss, *torch.autograd.grad(loss, list(model.parameters()))]

    written, fused = outcome(fused=False), outcome(fused=True)
    torch.testing.assert_close(fused, written)
    assert any(not torch.equal(one, other) for one, other in zip(fused, written, strict=True))
