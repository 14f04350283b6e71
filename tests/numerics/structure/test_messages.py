"""What is said of a structure that is not understood, of a user's error, and of depth laws."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.structure.depth import depth_law
from numerics.structure.trace import trace_structure
from numerics.structure.user_factory import user_error
from tests.models.handwritten import nano_gpt

D = 16
IDS = torch.randint(0, 40, (2, 6), generator=torch.Generator().manual_seed(0))


class Parts(nn.Module):
    """A table and matrices, and a forward that a test gives."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.run = run
        self.tokens = nn.Embedding(40, D)
        self.up = nn.ModuleList(nn.Linear(D, 3 * D) for _ in range(6))
        self.down = nn.ModuleList(nn.Linear(3 * D, D) for _ in range(6))
        self.square = nn.ModuleList(nn.Linear(D, D) for _ in range(8))

    def forward(self, ids: Tensor) -> Tensor:
        return self.run(self, self.tokens(ids))

    def mlp(self, x: Tensor, at: int) -> Tensor:
        return self.down[at](F.relu(self.up[at](x)))

    def attention(self, x: Tensor, at: int) -> Tensor:
        q, k, v = (self.square[at + i](x) for i in range(3))
        return self.square[at + 3]((q @ k.mT / 4).softmax(-1) @ v)


def plain(m: Parts, x: Tensor) -> Tensor:
    return m.square[0](F.relu(m.square[1](x)))


def highway(m: Parts, x: Tensor) -> Tensor:
    gate = torch.sigmoid(m.square[0](x))
    return gate * x + (1 - gate) * m.mlp(x, 0)


def outside(m: Parts, x: Tensor) -> Tensor:
    x = m.attention(m.attention(x, 0), 4)
    x = m.attention(m.attention(x, 0), 4)
    return x + m.mlp(x, 0)


def between(m: Parts, x: Tensor) -> Tensor:
    x = x + m.mlp(x, 0)
    for at in range(5):
        x = m.square[at](x)
    return x + m.mlp(x, 1)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (plain, "no addition x + F(x) was found: the residual may be gated or mixed; pass blocks="),
        (highway, "no addition x + F(x) was found, and gates (σ or tanh) were seen: the residual"),
        (outside, "4 attentions lie in no residual branch; pass blocks="),
        (
            between,
            "more products are on the stream itself (5) than in residual branches (4): the "
            "residual may be gated",
        ),
    ],
)
def test_reasons_say_what_was_seen_and_what_to_pass(run: Any, reason: str) -> None:
    found = trace_structure(Parts(run), IDS)
    assert not found.understood
    assert found.reasons[0].startswith(reason)


def test_one_position_is_not_enough_to_see_attention() -> None:
    found = trace_structure(Parts(lambda m, x: x + m.mlp(x, 0)), IDS[:, :1])
    assert not found.understood
    assert found.reasons[0].startswith(
        "the stream has a single position (its shape is (2, 1, 16)), at which attention cannot be "
        "told from a product: pass a batch with more positions"
    )
    assert trace_structure(Parts(lambda m, x: x + m.mlp(x, 0)), IDS[:, :2]).understood


def test_a_product_or_two_on_the_stream_is_no_reason() -> None:
    def run(m: Parts, x: Tensor) -> Tensor:
        x = m.square[0](x + m.mlp(x, 0))
        return x + m.mlp(x, 1)

    found = trace_structure(Parts(run), IDS)
    assert (found.understood, found.depth) == (True, 2)


def test_a_depth_law_by_its_numbers() -> None:
    law, structures = depth_law(lambda n: nano_gpt.make(n + 1), (4, 2, 2))
    assert (law.depths, law.additions) == ((2, 4), (6, 10))
    assert (law.slope, law.offset, law.linear) == (2.0, 2.0, True)
    assert [structure.depth for structure in structures] == [6, 10]
    law, _ = depth_law(lambda n: nano_gpt.make(4 - n), (1, 2, 3))
    assert (law.slope, law.linear) == (-2.0, False)
    assert law.reasons == (
        "the number of residual additions is not linear in the argument: 6 at 1, 4 at 2, 2 at 3",
    )
    law, _ = depth_law(lambda n: nano_gpt.make(1 + n // 2), (2, 4))
    assert (law.slope, law.linear) == (1.0, True)
    law, _ = depth_law(lambda n: nano_gpt.make(1 + n // 4), (4, 8))
    assert (law.slope, law.linear) == (0.5, False)
    law, _ = depth_law(lambda _: nano_gpt.make(2), (2, 4))
    assert law.reasons == (
        "the number of residual additions does not follow the argument: 4 at 2 and at 4",
    )


def test_a_depth_law_of_a_part_of_the_output() -> None:
    class Twice(nn.Module):
        def __init__(self, layers: int) -> None:
            super().__init__()
            self.first, self.second = Parts(None), nano_gpt.NanoGPT(layers)

        def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
            x = self.first.tokens(ids)
            return x + self.first.mlp(x, 0), self.second(ids)

    law, _ = depth_law(lambda n: (Twice(n), IDS), (1, 2), output=lambda made: made[1])  # type: ignore[index]
    assert (law.additions, law.offset) == ((2, 4), 0)
    both, _ = depth_law(lambda n: (Twice(n), IDS), (1, 2))
    assert (both.additions, both.offset) == ((3, 5), 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no message"),
        ("two\n  lines", "two lines"),
        ("x" * 300, "x" * 300),
        ("x" * 301, "x" * 297 + "..."),
    ],
)
def test_a_users_error_in_one_line(text: str, told: str) -> None:
    try:
        raise KeyError(text) if not text else ValueError(text)
    except (KeyError, ValueError) as raised:
        found = user_error("the factory", raised)
        kind = type(raised).__name__
    told = "''" if not text else told  # a KeyError shows its key
    line = str(found)
    assert line.startswith(f"the factory raised {kind}: {told} at test_messages.py:")
    assert line.endswith(" (--traceback shows it)")
    assert "\n" not in line
    assert str(user_error("it", ValueError())) == (
        "it raised ValueError: no message (--traceback shows it)"
    )
