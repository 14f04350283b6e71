"""Depth as the number of additions, cross-checked with a factory and with repeated modules."""

import pytest
import torch
from torch import Tensor, nn

from numerics.structure.depth import depth_law
from numerics.structure.trace import trace_structure
from tests.models.handwritten import cross_attention, gated, nano_gpt, state_space
from tests.models.handwritten.nano_gpt import Block
from theory.errors import InputError


@pytest.mark.parametrize(
    ("make", "slope"), [(nano_gpt.make, 2), (state_space.make, 1), (cross_attention.make, 3)]
)
def test_additions_follow_the_argument(make, slope: int) -> None:
    law, structures = depth_law(make, (1, 2, 4))
    assert law.linear
    assert (law.slope, law.offset) == (slope, 0)
    assert law.additions == tuple(structure.depth for structure in structures)
    assert law.reasons == ()


def test_a_factory_that_ignores_its_argument_is_told() -> None:
    law, _ = depth_law(lambda _: nano_gpt.make(2), (2, 4))
    assert not law.linear
    assert "does not follow the argument" in law.reasons[0]


def test_additions_that_are_not_linear_are_told() -> None:
    law, _ = depth_law(lambda n: nano_gpt.make(n * n), (1, 2, 3))
    assert not law.linear
    assert "not linear" in law.reasons[0]


def test_a_refusal_is_handed_on() -> None:
    law, _ = depth_law(gated.make, (1, 2))
    assert not law.linear
    assert "blocks=" in law.reasons[0]


def test_two_depths_are_needed() -> None:
    with pytest.raises(InputError, match="two depths"):
        depth_law(nano_gpt.make, (2, 2))


class Uneven(nn.Module):
    """Blocks that are alike and of which one is used without its shortcut."""

    def __init__(self, *, skip: bool) -> None:
        super().__init__()
        self.skip = skip
        self.embed = nn.Embedding(64, 32)
        self.h = nn.ModuleList(Block(32, 4) for _ in range(3))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for i, block in enumerate(self.h):
            x = block(x) if i != 1 or not self.skip else block.mlp(block.attn(x))  # type: ignore
        return x


@pytest.mark.parametrize("skip", [False, True])
def test_repeated_modules_with_unlike_additions_are_refused(skip: bool) -> None:
    torch.manual_seed(0)
    found = trace_structure(Uneven(skip=skip), torch.randint(0, 64, (2, 8)))
    assert found.understood is not skip
    assert any("alike" in reason for reason in found.reasons) is skip
