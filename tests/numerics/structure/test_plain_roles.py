"""Roles of what no product reads: tables, positions, biases, multipliers, members of a sequence."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.structure.trace import trace_structure
from numerics.structure.types import Structure

D, T = 8, 5
IDS = torch.tensor([[1, 4, 2, 9, 3], [5, 5, 0, 7, 6]])


class Net(nn.Module):
    """Tables, vectors and matrices, and a forward that a test gives."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.run = run
        self.tokens, self.other = nn.Embedding(10, D), nn.Embedding(10, D)
        self.table = nn.Parameter(torch.randn(7, D))
        self.token = nn.Parameter(torch.randn(1, 1, D))
        self.vector, self.gates = nn.Parameter(torch.randn(D)), nn.Parameter(torch.rand(3) + 1)
        self.scales = nn.Parameter(torch.rand(3, D) + 1)
        self.scores = nn.Parameter(torch.randn(T, T))
        self.by_distance = nn.Parameter(torch.randn(2 * T - 1))
        self.up, self.down = nn.Linear(D, 24), nn.Linear(24, D)
        self.square = nn.ModuleList(nn.Linear(D, D, bias=False) for _ in range(4))

    def forward(self, ids: Tensor) -> Tensor:
        return self.run(self, ids)

    def mlp(self, x: Tensor) -> Tensor:
        return x + self.down(F.relu(self.up(x)))

    def attention(self, x: Tensor, bias: Tensor | float = 0.0) -> Tensor:
        q, k, v = (self.square[i](x) for i in range(3))
        return x + self.square[3]((q @ k.mT / 3 + bias).softmax(-1) @ v)


def found(run: Any) -> Structure:
    return trace_structure(Net(run), IDS)


def roles(structure: Structure, name: str) -> set[tuple[str, int | None, Any]]:
    return {(v.role, v.branch, v.rows) for v in structure.views if v.parameter == name}


@pytest.mark.parametrize(
    ("run", "name", "role"),
    [
        (lambda m, ids: m.tokens(ids), "tokens.weight", "embedding"),
        (lambda m, ids: m.tokens.weight[ids], "tokens.weight", "embedding"),
        (
            lambda m, ids: m.tokens(ids) + m.other(torch.arange(T)),
            "other.weight",
            "positions",
        ),
        (
            lambda m, ids: m.tokens(ids) + m.other((ids != 0).long().cumsum(1)),
            "other.weight",
            "positions",
        ),
        (
            lambda m, ids: m.tokens(ids) + m.other(torch.zeros_like(ids)),
            "other.weight",
            "embedding",
        ),
        (lambda m, ids: m.tokens(ids) + m.other((ids > 3).long()), "other.weight", "embedding"),
        (lambda m, ids: m.tokens(ids) + m.table[:T], "table", "positions"),
        (lambda m, ids: m.tokens(ids) + m.vector, "vector", "bias"),
        (
            lambda m, ids: torch.cat([m.token.expand(2, 1, D), m.tokens(ids)], 1),
            "token",
            "embedding",
        ),
        (lambda m, ids: m.tokens(ids) * m.vector, "vector", "scalar"),
        (lambda m, ids: m.tokens(ids) / m.vector, "vector", "scalar"),
    ],
)
def test_what_enters_a_stream(run: Any, name: str, role: str) -> None:
    structure = found(lambda m, ids: m.mlp(run(m, ids)))
    assert roles(structure, name) == {(role, None, None)}
    assert structure.depth == 1
    views = [v for v in structure.views if v.parameter == name]
    if role in ("embedding",) and name != "token":
        assert {v.fan_out for v in views} == {D}
        assert {v.fan_in for v in views} == {None}


@pytest.mark.parametrize(
    ("bias", "name"),
    [
        (lambda m: m.scores, "scores"),
        (
            lambda m: m.by_distance[torch.arange(T)[:, None] - torch.arange(T) + T - 1],
            "by_distance",
        ),
    ],
)
def test_biases_on_scores_are_positions(bias: Any, name: str) -> None:
    structure = found(lambda m, ids: m.attention(m.tokens(ids), bias(m)))
    ((role, branch, rows),) = roles(structure, name)
    assert role == "positions"
    assert rows is None
    assert branch in (0, None)
    assert [b.kind for b in structure.branches] == ["self-attention"]


def test_gates_of_layers_in_one_parameter_have_their_own_row() -> None:
    def run(m: Net, ids: Tensor) -> Tensor:
        x = m.tokens(ids)
        for layer in range(3):
            x = x + m.gates[layer] * m.down(F.relu(m.up(x)))
        return x

    structure = found(run)
    assert roles(structure, "gates") == {("scalar", layer, (layer,)) for layer in range(3)}
    assert {b.branch_multiplier for b in structure.branches} == {None}
    assert "up.weight" in structure.shared

    def by_channel(m: Net, ids: Tensor) -> Tensor:
        x = m.tokens(ids)
        for layer in range(3):
            x = x + m.down(F.relu(m.up(x))) * m.scales[layer]
        return x

    views = [v for v in found(by_channel).views if v.parameter == "scales"]
    assert {(v.role, v.branch, v.expert) for v in views} == {
        ("scalar", layer, layer) for layer in range(3)
    }
    assert {v.rows for v in views} == {None}


def test_a_multiplier_on_the_shortcut_belongs_to_its_branch() -> None:
    structure = found(lambda m, ids: (x := m.tokens(ids)) * m.vector + m.down(F.relu(m.up(x))))
    assert roles(structure, "vector") == {("scalar", 0, None)}
    assert structure.branches[0].shortcut_multiplier is None
    assert structure.branches[0].branch_multiplier == 1.0


@pytest.mark.parametrize(
    ("run", "part"),
    [
        (lambda m, x: m.down(F.relu(m.up.weight @ x.mT).mT + 0 * m.up(x)), "w_out"),
        (lambda m, x: m.down(F.relu(m.up(x))) + m.vector, "w_out"),
        (lambda m, x: F.linear(F.relu(m.up(x)), m.down.weight) + m.vector, "w_out"),
    ],
)
def test_biases_within_a_branch_belong_to_the_product_before_them(run: Any, part: str) -> None:
    def forward(m: Net, ids: Tensor) -> Tensor:
        x = m.tokens(ids)
        return x + run(m, x)

    structure = found(forward)
    biases = [v for v in structure.views if v.role == "bias" and v.parameter != "up.bias"]
    assert {v.part for v in biases} == {part}
    assert {v.branch for v in biases} == {0}
    assert {v.rows for v in biases} == {None}


def test_a_head_is_what_follows_the_stream_and_a_tied_one_is_both() -> None:
    tied = found(lambda m, ids: m.mlp(m.tokens(ids)) @ m.tokens.weight.T)
    assert {role for role, _, _ in roles(tied, "tokens.weight")} == {"embedding", "head"}
    assert tied.ties == (("tokens.weight",),)
    (head,) = [v for v in tied.views if v.role == "head"]
    assert (head.fan_in, head.fan_out, head.fan_in_axis) == (D, 10, 1)
    apart = found(lambda m, ids: m.mlp(m.tokens(ids)) @ m.other.weight.T)
    assert roles(apart, "other.weight") == {("head", None, None)}
    assert apart.ties == ()


def test_streams_that_begin_with_parameters() -> None:
    def run(m: Net, ids: Tensor) -> Tensor:
        x = m.table[None, :T] + 0 * m.tokens(ids)[:1, :1]
        return x + m.down(F.relu(m.up(x)))

    structure = found(run)
    assert structure.depth == 1
    assert roles(structure, "up.weight") == {("w_in", 0, None)}

    def queries(m: Net, ids: Tensor) -> Tensor:
        y, x = m.tokens(ids), m.table[:3].expand(2, 3, D)
        q, k, v = m.square[0](x), m.square[1](y), m.square[2](y)
        x = x + m.square[3]((q @ k.mT / 3).softmax(-1) @ v)
        return m.mlp(x)

    structure = found(queries)
    assert [b.kind for b in structure.branches] == ["cross-attention", "mlp"]
    assert {role for role, _, _ in roles(structure, "table")} == {"embedding"}
    own = {v.parameter: v.role for v in structure.views if v.parameter.startswith("square")}
    assert own == {f"square.{i}.weight": r for i, r in enumerate(("q", "k", "v", "out"))}
