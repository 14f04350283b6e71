"""Each matrix of a packed parameter has the role that the forward pass gives it."""

import pytest
import torch

from numerics.models import ModelSpec
from numerics.models.attention import Attention, AttentionTraits
from numerics.models.roles import matrices
from numerics.schemes import build

HEADS, WIDTH = 2, 8


def _attention(spec):
    model = build("xavier", spec, torch.Generator().manual_seed(0), dtype=torch.float64)
    return model, next(part for part in model.modules() if isinstance(part, Attention))


@pytest.mark.parametrize("key_heads", [None, 1])
@pytest.mark.parametrize(("letter", "at"), [("q", 0), ("k", 1), ("v", 2)])
def test_a_role_of_attention_moves_its_own_projection_alone(letter, at, key_heads):
    spec = ModelSpec(
        1,
        1,
        d_model=WIDTH,
        d_ff=8,
        heads=HEADS,
        vocabulary=5,
        attention=AttentionTraits(key_heads=key_heads),
    )
    model, attention = _attention(spec)
    own = next(m for m in matrices(model) if m.role == f"encoder.attention.{letter}")
    x = torch.randn(1, 3, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = [part.clone() for part in attention.heads_of(x, None)]
        own.tensor.mul_(2)
        after = attention.heads_of(x, None)
    for number, (one, other) in enumerate(zip(before, after, strict=True)):
        torch.testing.assert_close(other, 2 * one if number == at else one)
