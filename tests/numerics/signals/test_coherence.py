import pytest
import torch

from numerics.models import ModelSpec
from numerics.models.attention import Attention
from numerics.models.tokens import random_batch
from numerics.schemes import build
from numerics.signals.coherence import (
    align_,
    attention_stack,
    cosine_with_identity,
    draw_stack_,
    product_coherence,
    set_coherence_,
    skip_growth,
    value_product,
)
from theory.errors import InputError
from theory.residual_stream.coherence import growth


def test_the_cosine_is_that_of_flattened_matrices():
    w = torch.randn(5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = torch.nn.functional.cosine_similarity(w.flatten(), torch.eye(5).double().flatten(), 0)
    assert cosine_with_identity(w) == pytest.approx(float(exact))


@pytest.mark.parametrize("coherence", [-0.5, 0.0, 0.3, 1.0])
def test_a_block_gets_the_coherence_and_strength_asked_for(coherence):
    (block,) = attention_stack(1, 128)
    (attention,) = (part for part in block.modules() if isinstance(part, Attention))
    set_coherence_(attention, coherence, 0.1, torch.Generator().manual_seed(1))
    product = value_product(attention)
    assert cosine_with_identity(product) == pytest.approx(coherence, abs=0.02)
    assert float(product.norm()) / 128**0.5 == pytest.approx(0.1, rel=0.02)
    y = torch.randn(1, 1, 128, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(block(y), y + y @ product.T)


@pytest.mark.parametrize("coherence", [-0.2, 0.0, 0.2])
def test_a_stack_grows_as_the_theory_s_mean_square_says(coherence):
    generator = torch.Generator().manual_seed(3)
    stack = attention_stack(24, 32)
    values = []
    for _ in range(40):
        draw_stack_(stack, coherence, generator)
        values.append(skip_growth(stack, generator))
    exact = float(growth(coherence, 24))
    assert sum(values) / 40 == pytest.approx(exact, rel=0.1)
    assert sum(values) / 40 != pytest.approx(float(growth(coherence + 0.1, 24)), rel=0.1)


def test_weights_drawn_independently_are_incoherent_and_aligned_ones_are_not():
    model = build("tfixup", ModelSpec(2, 2), torch.Generator().manual_seed(0))
    before = product_coherence(model)
    assert len(before) == 6
    assert all(abs(found.cosine) < 0.06 for found in before)
    norms = [float(value.detach().norm()) for value in model.parameters()]
    batch = random_batch(model.spec, torch.Generator().manual_seed(1))
    f = model.features(batch.source_BS, batch.target_BT).detach()
    align_(model)
    after = product_coherence(model)
    assert all(found.cosine > 0.6 for found in after)
    assert [float(v.detach().norm()) for v in model.parameters()] == pytest.approx(norms, rel=1e-4)
    product = value_product(next(p for p in model.modules() if isinstance(p, Attention)))
    torch.testing.assert_close(product, product.T, rtol=1e-3, atol=1e-4)
    moved = model.features(batch.source_BS, batch.target_BT).detach()
    assert float(moved.norm() / f.norm()) > 1.05


def test_bad_coherence_is_refused():
    attention = Attention(4, 1, biases=False)
    with pytest.raises(InputError, match=r"\[−1, 1\], got 1.5"):
        set_coherence_(attention, 1.5, 0.1, torch.Generator())
    with pytest.raises(InputError, match="negative, got -1"):
        set_coherence_(attention, 0.5, -1.0, torch.Generator())
