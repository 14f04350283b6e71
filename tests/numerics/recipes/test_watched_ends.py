"""What one forward shows of a model's ends, on models whose numbers are known."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.recipes.ends import first, setting_for, watch_ends
from numerics.structure.trace import trace_structure

D = 8
IDS = torch.tensor([[0, 1, 2], [3, 1, 0]])


class Embedded(nn.Module):
    """Rows 1, 2, 3, … of a table, summed with what a test adds, then read by a head."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.run = run
        self.tokens, self.places = nn.Embedding(5, D), nn.Embedding(4, D)
        self.other = nn.Embedding(5, D)
        self.head = nn.Linear(D, 5, bias=False)
        self.dropped = nn.Dropout(0.5)
        with torch.no_grad():
            self.tokens.weight.copy_(torch.arange(1.0, 6)[:, None].expand(5, D))
            self.places.weight.copy_(2 * torch.arange(1.0, 5)[:, None].expand(4, D))

    def forward(self, ids: Tensor) -> object:
        return self.run(self, ids)


def position(m: Embedded, ids: Tensor) -> Tensor:
    return m.places(torch.arange(ids.shape[1]))


TOKENS = float((1 + IDS.double()).square().mean())
PLACES = 4 * (1 + 4 + 9) / 3


@pytest.mark.parametrize(
    ("run", "tokens", "places"),
    [
        (lambda m, ids: m.tokens(ids) + position(m, ids), 1, 1),
        (lambda m, ids: position(m, ids) + m.tokens(ids), 1, 1),
        (lambda m, ids: 3 * m.tokens(ids) + position(m, ids) / 4, 3, 1 / 4),
        (lambda m, ids: (m.tokens(ids) * 3.0 + 2 * position(m, ids)) / 2, 1.5, 1),
        (lambda m, ids: m.dropped(m.tokens(ids) + position(m, ids)), 1, 1),
        (lambda m, ids: m.tokens(ids).add_(position(m, ids)).mul_(torch.tensor(0.5)), 0.5, 0.5),
        (lambda m, ids: m.tokens.weight[ids] + m.places.weight[torch.arange(3)], 1, 1),
        (lambda m, ids: F.embedding(ids, weight=m.tokens.weight) + position(m, ids), 1, 1),
        (lambda m, ids: m.tokens(ids).double().float() + position(m, ids).clone(), 1, 1),
    ],
)
def test_shares_and_multipliers_of_the_inputs(run: Any, tokens: float, places: float) -> None:
    model = Embedded(lambda m, ids: m.head(F.relu(run(m, ids))))
    ends = watch_ends(model.train(), (IDS,))
    assert model.training
    assert model.dropped.training
    (stream,) = ends.inputs
    found = {one.name: one for one in stream}
    assert set(found) == {"tokens.weight", "places.weight"}
    squares = {"tokens.weight": TOKENS * tokens**2, "places.weight": PLACES * places**2}
    wanted = {"tokens.weight": tokens, "places.weight": places}
    for name, one in found.items():
        assert one.multiplier == pytest.approx(wanted[name])
        assert one.mean_square == pytest.approx(squares[name])
        assert one.share == pytest.approx(squares[name] / sum(squares.values()))
    largest = max(
        tokens * (1 + int(IDS[row, at])) + places * 2 * (1 + at)
        for row in range(2)
        for at in range(3)
    )
    assert ends.norms == (pytest.approx(largest * D**0.5),)
    summed = tokens * (1 + IDS) + places * 2 * (1 + torch.arange(3))
    assert ends.read == {
        "head.weight": pytest.approx(float(summed.double().square().mean() ** 0.5))
    }
    assert ends.output is not None
    assert ends.output.shape == (2, 3, 5)
    assert ends.head_width is None


def test_a_constant_is_an_input_of_multiplier_1_and_a_function_of_tokens_is_none() -> None:
    model = Embedded(lambda m, ids: F.relu(m.tokens(ids) * 2 + torch.full((3, D), 0.5)))
    ((tokens, constant),) = watch_ends(model, (IDS,)).inputs
    assert (tokens.multiplier, constant.multiplier) == (2, 1)
    assert constant.name == "a constant such as sinusoids"
    assert constant.mean_square == pytest.approx(0.25)
    mixed = Embedded(lambda m, ids: F.relu(m.tokens(ids) + torch.relu(m.head.weight)[:3]))
    ((alone,),) = watch_ends(mixed, (IDS,)).inputs
    assert alone.name == "tokens.weight"
    by_tensor = Embedded(lambda m, ids: F.relu(m.tokens(ids) * torch.ones(D)))
    ((alone,),) = watch_ends(by_tensor, (IDS,)).inputs
    assert alone.multiplier == 1
    nothing = Embedded(lambda m, ids: m.tokens(ids) * 0)
    assert len(watch_ends(nothing, (IDS,)).inputs) == 1


def test_two_streams_are_two_and_a_sum_holds_its_parts() -> None:
    def run(m: Embedded, ids: Tensor) -> Tensor:
        x = m.tokens(ids)
        y = F.relu(x) + F.relu(x + position(m, ids))
        return y + F.relu(m.other(ids))

    streams = watch_ends(Embedded(run), (IDS,)).inputs
    names = [{one.name for one in stream} for stream in streams]
    assert names == [{"tokens.weight", "places.weight"}, {"other.weight"}]


@pytest.mark.parametrize(
    ("scores", "width"),
    [
        (lambda q, k: q @ k.transpose(-1, -2), 4),
        (lambda q, k: torch.matmul(q, k.mT), 4),
        (lambda q, k: torch.bmm(q.flatten(0, 1), k.flatten(0, 1).mT), 4),
        (lambda q, k: torch.einsum("bhqd,bhkd->bhqk", q, k), 4),
        (lambda q, k: F.scaled_dot_product_attention(q, k, k), 4),
        (lambda q, k: torch.baddbmm(torch.zeros(4, 3, 3), q.flatten(0, 1), k.flatten(0, 1).mT), 4),
        (lambda q, k: q * k, None),
        (lambda q, k: q @ k[0, 0].T, None),
        (lambda q, k: q[0, 0] @ k.mT, None),
    ],
)
def test_the_width_of_a_head_is_what_scores_contract(scores: Any, width: int | None) -> None:
    def run(m: Embedded, ids: Tensor) -> Tensor:
        heads = m.tokens(ids).unflatten(-1, (2, 4)).transpose(1, 2)
        return scores(heads + 0.0, heads * 1.5)

    assert watch_ends(Embedded(run), (IDS,)).head_width == width


def test_a_product_with_a_parameter_is_no_score() -> None:
    bank = nn.Parameter(torch.ones(2, D, 6))
    model = Embedded(lambda m, ids: m.tokens(ids) @ m.bank)
    model.bank = bank
    assert watch_ends(model, (IDS,)).head_width is None
    itself = Embedded(lambda m, ids: torch.bmm(m.bank, m.tokens(ids).new_ones(2, 6, 3)))
    itself.bank = bank
    assert watch_ends(itself, (IDS,)).head_width is None


FLOAT, WHOLE = torch.ones(2), torch.ones(2, dtype=torch.long)


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (FLOAT, FLOAT),
        (WHOLE, None),
        ((WHOLE, FLOAT), FLOAT),
        ([[WHOLE], (FLOAT, torch.zeros(1))], FLOAT),
        ({"loss": torch.zeros(()), "logits": FLOAT}, FLOAT),
        ({"loss": torch.zeros(()), "last_hidden_state": FLOAT}, FLOAT),
        ({"logits": FLOAT, "last_hidden_state": torch.zeros(1)}, FLOAT),
        ({"count": WHOLE, "hidden": FLOAT}, FLOAT),
        ({"logits": None, "hidden": FLOAT}, FLOAT),
        ("text", None),
        (None, None),
        ((), None),
    ],
)
def test_the_first_floating_tensor_of_an_output(output: object, found: Tensor | None) -> None:
    assert first(output) is found


class Tiny(nn.Module):
    """One MLP on embedded tokens with scaled positions, and logits scaled down."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(11, D), nn.Embedding(4, D)
        self.up, self.down = nn.Linear(D, 24), nn.Linear(24, D)
        self.head = nn.Linear(D, 11, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + 0.25 * self.places(torch.arange(ids.shape[1]))
        x = x + self.down(torch.relu(self.up(x)))
        return self.head(F.layer_norm(x, (D,)) * 0.125)


def test_sizes_of_a_model_with_what_its_ends_show() -> None:
    torch.manual_seed(0)
    model = Tiny()
    structure = trace_structure(model, (IDS,))
    setting = setting_for(structure, model, watch_ends(model, (IDS,)))
    assert (setting.d_model, setting.d_ff, setting.vocabulary) == (D, 24, 11)
    assert setting.position_multiplier == 0.25
    assert setting.head_input == pytest.approx(0.125, rel=1e-3)
    assert setting.head_width is None
    (stack,) = setting.stacks.values()
    assert (stack.name, stack.layers, stack.additions) == ("stream", 1, 1)


def test_a_matrix_that_is_given_by_keyword_is_no_head_that_was_read() -> None:
    model = Embedded(lambda m, ids: F.linear(F.relu(m.tokens(ids)), weight=m.head.weight))
    ends = watch_ends(model, (IDS,))
    assert ends.read == {}
    assert ends.output is not None
    assert [one.name for one in ends.inputs[0]] == ["tokens.weight"]


def test_multipliers_of_positions_and_the_last_head() -> None:
    class Heads(Tiny):
        def forward(self, ids: Tensor) -> Tensor:
            once = F.linear(F.layer_norm(self.tokens(ids), (D,)) * 3, self.head.weight)
            return super().forward(ids) + 0 * once

    torch.manual_seed(0)
    model = Heads()
    structure = trace_structure(Tiny(), (IDS,))
    ends = watch_ends(model, (IDS,))
    assert setting_for(structure, model, ends).head_input == pytest.approx(0.125, rel=1e-3)
    none = setting_for(structure, Tiny(), watch_ends(nn.Identity(), (torch.ones(1),)))
    assert (none.head_input, none.position_multiplier, none.head_width) == (None, 1.0, None)
