"""One step back along a signal, by every operation that a shortcut may hold, and bit sets."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.structure.graph import Graph, members
from numerics.structure.norms import find_norms
from numerics.structure.record import ParameterWritten, record_forward
from numerics.structure.replay import Replay, changed, dependence, features
from numerics.structure.steps import plain_step, signals, stream_steps
from numerics.structure.trace import trace_graph, trace_structure

D = 8
X = torch.randn(2, 5, D, generator=torch.Generator().manual_seed(0))
Run = Callable[[Any, Tensor], Tensor]


class Net(nn.Module):
    """A few parameters, and a forward that a test gives."""

    halves: Tensor
    ramp: Tensor
    mask: Tensor

    def __init__(self, run: Run) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.run = run
        self.gain, self.bias = nn.Parameter(torch.rand(D) + 0.5), nn.Parameter(torch.randn(D))
        self.up, self.down = nn.Linear(D, 24, bias=False), nn.Linear(24, D, bias=False)
        self.register_buffer("halves", torch.full((D,), 0.5))
        self.register_buffer("ramp", torch.arange(1.0, D + 1))
        self.register_buffer("mask", (torch.arange(D) % 2).float())

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def graph_of(run: Run) -> Graph:
    return trace_graph(Net(run), X)


def last(graph: Graph) -> int:
    (target,) = graph.targets
    return target


@pytest.mark.parametrize(
    ("run", "factor", "weights"),
    [
        (lambda _, x: x.relu().view(10, D), 1.0, ()),
        (lambda _, x: x.relu().transpose(0, 1), 1.0, ()),
        (lambda _, x: x.relu() * 3, 3.0, ()),
        (lambda _, x: 3 * x.relu(), 3.0, ()),
        (lambda _, x: x.relu() / 4, 0.25, ()),
        (lambda _, x: -x.relu(), -1.0, ()),
        (lambda m, x: x.relu() * m.halves, 0.5, ()),
        (lambda m, x: m.halves * x.relu(), 0.5, ()),
        (lambda m, x: x.relu() / m.halves, 2.0, ()),
        (lambda m, x: x.relu() * m.ramp, None, ()),
        (lambda m, x: x.relu() * m.mask, 1.0, ()),
        (lambda m, x: x.relu() * m.gain, None, ("gain",)),
        (lambda m, x: m.gain * x.relu(), None, ("gain",)),
        (lambda m, x: x.relu() / m.gain, None, ("gain",)),
        (lambda _, x: x.relu() * (x != 0), 1.0, ()),
        (lambda _, x: x.relu() * (x != 0).float(), 1.0, ()),
        (lambda _, x: x.relu().masked_fill(x > 9, 0.0), 1.0, ()),
        (lambda _, x: torch.where(x > 9, x.relu(), torch.zeros(())), 1.0, ()),
    ],
)
def test_what_a_step_back_passes(run: Run, factor: float | None, weights: tuple[str, ...]) -> None:
    graph = graph_of(run)
    step = plain_step(graph, last(graph))
    assert step is not None
    assert graph[step.to].name == "relu"
    assert step.factor == factor
    assert tuple(graph[weight].name for weight in step.weights) == weights
    assert (step.norm, step.resampled) == (None, False)
    assert stream_steps(graph, {}, last(graph)) == [step]


@pytest.mark.parametrize(
    "run",
    [
        lambda _, x: x.relu(),
        lambda _, x: x.relu() + 1,
        lambda m, x: x + m.bias,
        lambda _, x: x * x,
        lambda _, x: x.relu() * x.tanh(),
        lambda m, x: m.halves / x,
        lambda _, x: x.relu() / x.tanh(),
        lambda _, x: torch.where(x > 9, x.relu(), x.tanh()),
        lambda _, x: x.relu()[:, :1],
        lambda _, x: x.relu()[:, :1] * torch.ones(2, 5, D),
        lambda _, x: x.relu() * (x * 0 + 2).round().int(),
        lambda _, x: x.softmax(-1),
    ],
)
def test_what_no_step_back_passes(run: Run) -> None:
    graph = graph_of(run)
    assert plain_step(graph, last(graph)) is None


def test_an_input_has_nothing_behind_it() -> None:
    graph = graph_of(lambda _, x: x.relu())
    (leaf,) = members(graph.input_bits)
    assert plain_step(graph, leaf) is None
    assert stream_steps(graph, {}, leaf) == []
    assert signals(graph, graph[last(graph)]) == [leaf]


@pytest.mark.parametrize(
    ("run", "ways"),
    [
        (lambda m, x: x.relu() + m.bias, [(1.0, ("bias",), False)]),
        (lambda m, x: m.bias + x.relu(), [(1.0, ("bias",), False)]),
        (lambda _, x: x.relu() + x.tanh(), [(1.0, (), False), (1.0, (), False)]),
        (lambda _, x: x.relu() - x.tanh(), [(1.0, (), False), (1.0, (), False)]),
        (lambda _, x: x.relu() + x.tanh().mean((0, 1)), [(1.0, (), False)]),
        (lambda _, x: x.relu()[:, :2], [(1.0, (), True)]),
        (lambda _, x: torch.cat([x.relu(), x.tanh()], 1), [(1.0, (), True), (1.0, (), True)]),
        (lambda _, x: x.relu().mean(1), [(1.0, (), True)]),
        (lambda _, x: x.softmax(-1), []),
    ],
)
def test_ways_along_a_stream(run: Run, ways: list[tuple[float, tuple[str, ...], bool]]) -> None:
    graph = graph_of(run)
    found = stream_steps(graph, {}, last(graph))
    assert [
        (step.factor, tuple(graph[w].name for w in step.weights), step.resampled) for step in found
    ] == ways
    assert all(graph[step.to].name in ("relu", "tanh") for step in found)


def test_two_multiples_of_one_signal_are_one_way_with_a_factor_that_is_not_constant() -> None:
    def run(m: Net, x: Tensor) -> Tensor:
        y = x.relu()
        return m.gain * y + 0.5 * y

    graph = graph_of(run)
    (step,) = stream_steps(graph, {}, last(graph))
    assert graph[step.to].name == "relu"
    assert step.factor is None
    assert [graph[w].name for w in step.weights] == ["gain"]


def test_a_norm_is_a_step_to_what_it_normalises() -> None:
    graph = graph_of(lambda m, x: F.layer_norm(x.relu(), (D,), m.gain, m.bias))
    (norm,) = find_norms(graph)
    (step,) = stream_steps(graph, {norm.output: norm}, norm.output)
    assert (graph[step.to].name, step.norm, step.factor) == ("relu", norm, 1.0)
    assert norm.gain is not None
    assert norm.bias is not None
    assert (graph[norm.gain].name, graph[norm.bias].name) == ("gain", "bias")


@pytest.mark.parametrize(
    ("run", "core", "gain", "bias"),
    [
        (lambda m, x: F.layer_norm(x, (D,)) * m.gain + m.bias, "native_layer_norm", 1, 1),
        (lambda m, x: F.layer_norm(x, (D,)) * m.gain, "native_layer_norm", 1, 0),
        (lambda m, x: F.layer_norm(x, (D,)) + m.bias, "native_layer_norm", 0, 0),
        (lambda m, x: (x / x.norm(dim=-1, keepdim=True)) * m.gain, "div", 1, 0),
        (lambda m, x: (m.gain * x) / x.norm(dim=-1, keepdim=True), "div", 1, 0),
        (lambda m, x: x * x.pow(2).mean(-1, keepdim=True).rsqrt() * m.gain, "mul", 1, 0),
        (lambda m, x: x.pow(2).mean(-1, keepdim=True).rsqrt() * x * m.gain + m.bias, "mul", 1, 1),
    ],
)
def test_gains_and_biases_of_norms(run: Run, core: str, gain: int, bias: int) -> None:
    graph = graph_of(lambda m, x: torch.tanh(run(m, x)))
    (norm,) = find_norms(graph)
    assert graph[norm.core].name == core
    assert [norm.gain is not None, norm.bias is not None] == [bool(gain), bool(bias)]
    (leaf,) = members(graph.input_bits)
    assert norm.input == leaf
    assert not norm.inside >> leaf & 1
    assert norm.inside >> norm.core & norm.inside >> norm.output & 1
    end = graph[last(graph)].parents[0]
    assert (norm.output == end) == (gain == bias == 1 or (gain == 1 and bias == 0))


@pytest.mark.parametrize(
    ("run", "shortcut", "branch"),
    [
        (lambda m, x: x + m.down(F.relu(m.up(x))), 1.0, 1.0),
        (lambda m, x: x - m.down(F.relu(m.up(x))), 1.0, -1.0),
        (lambda m, x: 2 * x + 0.25 * m.down(F.relu(m.up(x))), 2.0, 0.25),
        (lambda m, x: x / 4 - m.down(F.relu(m.up(x))) / 2, 0.25, -0.5),
        (lambda m, x: torch.add(x, m.down(F.relu(m.up(x))), alpha=3), 1.0, 3.0),
        (lambda m, x: torch.sub(x, m.down(F.relu(m.up(x))), alpha=3), 1.0, -3.0),
        (lambda m, x: x + m.halves * (m.down(F.relu(m.up(x))) - x), 0.5, 0.5),
        (lambda m, x: x * m.gain + m.down(F.relu(m.up(x))), None, 1.0),
        (lambda m, x: x + m.down(F.relu(m.up(x))) * m.gain, 1.0, None),
        (lambda m, x: x + 3 * (m.down(F.relu(m.up(x))) + m.bias), 1.0, 3.0),
    ],
)
def test_multipliers_of_shortcut_and_branch(
    run: Run, shortcut: float | None, branch: float | None
) -> None:
    (found,) = trace_structure(Net(run), X).branches
    assert (found.shortcut_multiplier, found.branch_multiplier) == (
        shortcut if shortcut is None else pytest.approx(shortcut),
        branch if branch is None else pytest.approx(branch),
    )
    assert found.norm_free_shortcut
    assert not any((found.norm_before, found.norm_after, found.norm_on_stream, found.parallel))


def test_sets_of_nodes() -> None:
    graph = graph_of(lambda m, x: m.down((x @ m.ramp.diag()).relu() @ m.up.weight.T) + 1)
    (x,) = members(graph.input_bits)
    named = {graph[i].name: i for i in members(graph.parameter_bits)}
    end = last(graph)
    assert graph.reads_input(end)
    assert graph.reads_parameter(end)
    up = named["up.weight"]
    assert graph.is_weight(up)
    assert not graph.is_weight(x)
    turned = graph.children[up][0]
    assert graph.is_weight(turned)
    assert graph.parameters_of(end) == sorted([up, named["down.weight"]])
    assert graph.parameters_of(turned) == [up]
    (diagonal,) = [n.index for n in graph.nodes if n.name.startswith("diag")]
    assert graph.is_constant(diagonal)
    assert not graph.is_constant(turned)
    (relu,) = [n.index for n in graph.nodes if n.name == "relu"]
    between = graph.between(x, relu)
    assert {graph[i].name for i in members(between)} >= {"relu"}
    assert between >> x & between >> relu & 1
    assert not between >> up & 1
    assert graph.reaches(x, end)
    assert not graph.reaches(end, x)
    walked = graph.walk_back(end, 1 << relu)
    assert walked >> up & 1
    assert not walked >> x & 1
    assert not walked >> relu & 1
    assert graph.walk_back(relu, 1 << relu) >> x & 1
    assert len(graph) == len(graph.nodes)
    assert graph.live >> end & 1


def test_dependence_is_that_of_the_derivative() -> None:
    """Position i of a causal sum depends on positions 0 to i."""
    graph = graph_of(lambda _, x: x.tanh().cumsum(1)[:, 2])
    (tanh,) = [n.index for n in graph.nodes if n.name == "tanh"]
    (mask,) = dependence(graph, tanh, [last(graph)])
    assert mask is not None
    assert features(mask, 1).tolist() == [True, True, True, False, False]
    assert features(mask, 0).tolist() == [True, True]
    moved = changed(graph, tanh, last(graph))
    assert moved is not None
    assert bool(moved.all())
    rounded = graph_of(lambda _, x: x.tanh().round().detach() + 0 * x.mean())
    (tanh,) = [n.index for n in rounded.nodes if n.name == "tanh"]
    (mask,) = dependence(rounded, tanh, [last(rounded)])
    assert mask is not None
    assert not bool(mask.any())
    stop = graph_of(lambda _, x: x.tanh().detach() * 2)
    (tanh,) = [n.index for n in stop.nodes if n.name == "tanh"]
    (mask,) = dependence(stop, tanh, [last(stop)])
    assert mask is not None
    assert bool(mask.all())


def test_a_replay_repeats_writes_and_pieces_with_other_numbers() -> None:
    def run(_: Net, x: Tensor) -> Tensor:
        first, second = x.tanh().chunk(2, -1)
        kept = torch.zeros(2, 5, 4)
        kept.add_(first)
        kept[:, 0].mul_(3.0)
        return kept - 2 * second

    graph = graph_of(run)
    (tanh,) = [n.index for n in graph.nodes if n.name == "tanh"]
    recorded = graph[last(graph)].value.clone()
    one, two = (
        torch.randn(2, 5, D, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)
    )
    wanted = (one - two)[..., :4].clone()
    wanted[:, 0] *= 3
    for through in (False, True):
        first, second = (
            Replay(graph, {tanh: drawn}, through_detach=through).run([last(graph)])[0]
            for drawn in (one, two)
        )
        # Memory that a forward writes keeps what it had at the end: differences are what counts.
        torch.testing.assert_close(first - second, wanted - 2 * (one - two)[..., 4:])
    torch.testing.assert_close(graph[last(graph)].value, recorded)
    (same,) = Replay(graph, {tanh: one}, through_detach=True).run([last(graph)], 1 << last(graph))
    torch.testing.assert_close(same, recorded)


def test_a_forward_that_writes_a_parameter_is_refused_where_it_is_protected() -> None:
    def run(m: Net, x: Tensor) -> Tensor:
        m.bias.data.mul_(0.5)
        return x + m.bias

    model = Net(run)
    before = model.bias.detach().clone()
    with torch.no_grad(), pytest.raises(ParameterWritten):
        record_forward(model, ((X,), {}), lambda: model(X), protect=True)
    assert torch.equal(model.bias, before)
    with torch.no_grad():
        graph = record_forward(model, ((X,), {}), lambda: model(X))
    assert torch.equal(model.bias, before / 2)
    (written,) = [node for node in graph.nodes if node.writes]
    assert written.name == "mul"
    assert graph.parameters_of(last(graph)) == list(members(graph.parameter_bits))


def test_what_a_keyword_argument_writes_is_written() -> None:
    def run(_: Net, x: Tensor) -> Tensor:
        made = torch.zeros(2, 5, D)
        torch.mul(x, 2.0, out=made)
        return made + 1

    graph = graph_of(run)
    (written,) = [node for node in graph.nodes if node.writes]
    assert written.name == "mul"
    assert graph.reads_input(last(graph))
    assert graph.reaches(written.index, last(graph))
