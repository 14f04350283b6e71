"""What stands for −∞ in a mask is no size of the model, in whatever way it is written."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from numerics.own_model.measurement.function import module_function
from numerics.own_model.measurement.probe import ForwardSizes, probe

D = 8
LATER = torch.ones(5, 5, dtype=torch.bool).triu(1)


class Attention(nn.Module):
    """One head whose mask is written by the caller."""

    def __init__(self, hide: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.qkv = nn.Linear(D, 3 * D)
        self.hide = hide

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.hide(q @ k.transpose(-1, -2) / math.sqrt(D)).softmax(-1) @ v


def sizes(hide: Callable[[Tensor], Tensor]) -> ForwardSizes:
    torch.manual_seed(1)
    return probe(module_function(Attention(hide), torch.randn(2, 5, D)))


@pytest.mark.parametrize(
    "hide",
    [
        lambda s: s.masked_fill(LATER, -1e9),
        lambda s: s + LATER * -1e4,
        lambda s: torch.where(LATER, -1e30, s),
        lambda s: s + torch.zeros(5, 5).masked_fill(LATER, torch.finfo(torch.float32).min),
    ],
)
def test_masks_are_no_sizes(hide: Callable[[Tensor], Tensor]) -> None:
    found, infinite = sizes(hide), sizes(lambda s: s.masked_fill(LATER, -math.inf))
    assert found.scores == pytest.approx(infinite.scores)
    assert found.largest == pytest.approx(infinite.largest)
    assert not found.overflowing


def test_a_real_size_is_still_seen() -> None:
    found = sizes(lambda s: (s * 1e9).masked_fill(LATER, -1e4) * 1e-9)
    assert found.largest > 1e8
    assert found.overflowing[0] == "mul"
