"""Cases D11 and F6: what `check` says of sizes inside the forward."""

import math

import pytest
import torch
from torch import Tensor, nn

from numerics.own_model.check.check import check
from numerics.own_model.check.report import _sizes
from numerics.own_model.check.result import Check
from tests.numerics.own_model.check.models import Model, gpt2_, tfixup_, tokens

D, HEADS = 32, 4


class Attention(nn.Module):
    """Attention whose scores are divided by the layer's number, if it is asked for."""

    def __init__(self, layer: int, divided: bool) -> None:
        super().__init__()
        self.divisor = layer if divided else 1
        self.qkv, self.out = nn.Linear(D, 3 * D, bias=False), nn.Linear(D, D, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (y.unflatten(-1, (HEADS, -1)).transpose(1, 2) for y in self.qkv(x).chunk(3, -1))
        scores = q @ k.transpose(-1, -2) / math.sqrt(D // HEADS) / self.divisor
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class Stack(nn.Module):
    """Pre-LN attention alone."""

    def __init__(self, layers: int, divided: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(64, D)
        self.layers = nn.ModuleList(Attention(n, divided) for n in range(1, layers + 1))
        self.norms = nn.ModuleList(nn.LayerNorm(D) for _ in range(layers))
        self.head = nn.Linear(D, 64)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + layer(norm(x))
        return self.head(x)


def stack(divided: bool) -> Check:
    return check(lambda n: (Stack(n, divided), tokens()), (4, 8, 12), ("sgd",), seeds=1)


def test_case_d11_scores_divided_by_the_layers_number() -> None:
    found = stack(True)
    assert len(found.scores_by_layer) == 12
    flat = [std * layer for layer, std in enumerate(found.scores_by_layer, 1)]
    assert max(flat) / min(flat) < 2
    assert found.scores_by_layer[0] / found.scores_by_layer[-1] == pytest.approx(12, rel=0.4)
    assert any("scores' std by layer at 12" in line for line in _sizes(found))
    even = stack(False)
    assert max(even.scores_by_layer) / min(even.scores_by_layer) < 2
    assert not any("by layer at" in line for line in _sizes(even))


def test_case_f6_which_operation_leaves_half_precision() -> None:
    def large(n: int) -> tuple[nn.Module, Tensor]:
        model = gpt2_(Model(n))
        with torch.no_grad():
            model.blocks[n - 1].mlp.w1.weight.mul_(1e6)  # type: ignore[union-attr, operator]
        return model, tokens()

    bad = check(large, (2, 3, 4), ("sgd",), seeds=1, dtype="float16")
    assert bad.overflows
    assert "leaves float16 (65504) from 2 on" in bad.ranges
    largest = max(bad.optimizers[0].groups, key=lambda group: group.share)
    assert largest.name == "w_out"  # the tensor that the large numbers meet

    def small(n: int) -> tuple[nn.Module, Tensor]:
        return tfixup_(Model(n, "none")), tokens()

    good = check(small, (2, 3, 4), ("sgd",), seeds=1, dtype="float16")
    assert not good.overflows
    assert "of float16's largest number" in good.ranges
