import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from numerics.data.batches import Encoded, TextBatch, batches
from numerics.data.tokenizer import END, PADDING
from numerics.models import ModelSpec
from numerics.schemes import build
from numerics.training.objective import batch_loss, sentence_losses, token_losses


def tiny_model():
    return build("tfixup", ModelSpec(1, 1, 8, 16, 2, 20), torch.Generator().manual_seed(0))


def tiny_batches(tokens: int) -> list[TextBatch]:
    rng = np.random.default_rng(0)
    rows = [np.append(rng.integers(4, 20, size=rng.integers(1, 6)), END) for _ in range(12)]
    return list(batches(Encoded(rows, rows[::-1]), tokens))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_against_the_formula_by_hand(smoothing):
    logits = torch.tensor([[[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]], dtype=torch.float64)
    total = math.e**0 + math.e**1 + math.e**2
    log_q = [math.log(math.e**i / total) for i in range(3)]
    by_hand = -(1 - smoothing) * log_q[2] - smoothing / 3 * sum(log_q)
    found = token_losses(logits, torch.tensor([[2, 0]]), smoothing)
    torch.testing.assert_close(found, torch.tensor([[by_hand, 0.0]], dtype=torch.float64))


def test_against_torch_over_tokens_that_are_not_padding():
    model, (batch,) = tiny_model(), tiny_batches(1000)
    logits = model(batch.source_BS, batch.target_BT, batch.padding_BS)
    kept = batch.expected_BT != 0
    assert not kept.all()
    theirs = F.cross_entropy(logits[kept], batch.expected_BT[kept], label_smoothing=0.1)
    torch.testing.assert_close(batch_loss(model, batch, 0.1), theirs)
    counted = F.cross_entropy(logits.transpose(1, 2), batch.expected_BT, label_smoothing=0.1)
    assert abs((counted - theirs).item()) > 1e-3


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_gradient_against_torch(smoothing, dtype):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 11, generator=generator, dtype=torch.float64).to(dtype)
    expected = torch.randint(0, 11, (3, 5), generator=generator)
    expected[:, -1] = PADDING
    weights = torch.rand(3, 5, generator=generator)
    ours, theirs, other = (logits.clone().requires_grad_() for _ in range(3))
    losses = token_losses(ours, expected, smoothing)
    (losses * weights).sum().backward(retain_graph=True)
    for leaf, epsilon in ((theirs, smoothing), (other, smoothing + 0.05)):
        reference = F.cross_entropy(
            leaf.float().flatten(0, 1) if dtype is torch.bfloat16 else leaf.flatten(0, 1),
            expected.flatten(),
            ignore_index=PADDING,
            reduction="none",
            label_smoothing=epsilon,
        )
        (reference * weights.flatten()).sum().backward()
    assert ours.grad is not None
    assert other.grad is not None
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert not torch.allclose(ours.grad, other.grad, rtol=1e-2, atol=1e-3)
    assert not ours.grad[:, -1].any()
    with pytest.raises(RuntimeError, match="differentiated once"):
        torch.autograd.grad(losses.sum(), ours)


def test_consumed_logits_are_written_over_and_others_left():
    logits, expected = (
        torch.randn(2, 3, 7, dtype=torch.float64),
        torch.tensor([[1, 2, 0], [3, 4, 5]]),
    )
    kept, used = (logits.clone().requires_grad_() for _ in range(2))
    found = token_losses(kept, expected, 0.1)
    consumed = token_losses(used, expected, 0.1, consume=True)
    torch.testing.assert_close(consumed, found, rtol=0, atol=0)
    assert torch.equal(kept, logits)
    assert not torch.equal(used, logits)
    found.sum().backward()
    consumed.sum().backward()
    assert used.grad is not None
    assert kept.grad is not None
    assert torch.equal(used.grad, kept.grad)


def test_consuming_what_a_backward_pass_still_needs_is_an_error():
    logits = torch.randn(1, 2, 7, requires_grad=True).tanh()  # tanh differentiates by its output
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        token_losses(logits, torch.tensor([[1, 2]]), 0.0, consume=True).sum().backward()


def test_large_logits_do_not_overflow_and_infinite_ones_show():
    logits = torch.tensor([[[1e30, 0.0, -1e30], [3e4, 3e4, 0.0]]])
    found = token_losses(logits, torch.tensor([[1, 2]]), 0.0)
    torch.testing.assert_close(found, torch.tensor([[1e30, 3e4 + math.log(2)]]))
    logits[0, 0, 0] = math.inf
    assert not token_losses(logits, torch.tensor([[1, 2]]), 0.0)[0, 0].isfinite()


def test_sentence_losses_do_not_depend_on_the_batches():
    model = tiny_model()
    one, many = (sentence_losses(model, tiny_batches(tokens), 0.1) for tokens in (1000, 12))
    torch.testing.assert_close(one.loss_N, many.loss_N, rtol=1e-5, atol=1e-5)
    assert one.tokens_N.equal(many.tokens_N)


def test_validation_has_no_dropout_and_leaves_the_mode_alone():
    spec = ModelSpec(1, 1, 8, 16, 2, 20, dropout=0.5)
    model = build("tfixup", spec, torch.Generator().manual_seed(0)).train()
    one, two = (sentence_losses(model, tiny_batches(1000), 0.1).mean for _ in range(2))
    assert one == two
    assert model.training
    (batch,) = tiny_batches(1000)
    assert batch_loss(model, batch, 0.1).item() != batch_loss(model, batch, 0.1).item()
