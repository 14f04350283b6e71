"""What is a residual addition and what only looks like one; what is a norm and what is none."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.structure.norms import find_norms
from numerics.structure.trace import trace_graph, trace_structure

WIDTH = 8
X = torch.randn(2, 5, WIDTH, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Two matrices, a gain, a bias, and a forward that a test gives."""

    def __init__(self, run) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.run = run
        self.a, self.b = nn.Linear(WIDTH, 16), nn.Linear(16, WIDTH)
        self.c = nn.Linear(WIDTH, WIDTH)
        self.gain = nn.Parameter(torch.rand(WIDTH) + 0.5)
        self.bias = nn.Parameter(torch.randn(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)

    def f(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x)))


def depth(run) -> int:
    return trace_structure(Net(run), X).depth


@pytest.mark.parametrize(
    "run",
    [
        lambda m, x: x + m.f(x),
        lambda m, x: m.f(x) + x,
        lambda m, x: torch.add(x, m.f(x), alpha=0.5),
        lambda m, x: x - m.f(x),
        lambda m, x: x.clone().add_(m.f(x)),
        lambda m, x: m.f(x).add_(x),
        lambda m, x: 2.5 * x + m.f(x),
        lambda m, x: m.gain * x + m.f(x),
        lambda m, x: (x + m.f(x)) * 0.5,
        lambda m, x: torch.lerp(x, m.f(x), 0.3),
        lambda m, x: torch.addcmul(x, m.gain, m.f(x)),
        lambda m, x: (x.flatten(0, 1) + m.f(x.flatten(0, 1))).view_as(x),
        lambda m, x: x * (x != 0) + m.f(x),
        lambda m, x: x.masked_fill(x > 99, 0.0) + m.f(x),
        lambda m, x: x.double().float() + m.f(x),
        lambda _, x: x + torch.fft.fft(x, dim=1).real,
    ],
)
def test_these_are_residual_additions(run) -> None:
    assert depth(run) == 1


@pytest.mark.parametrize(
    "run",
    [
        lambda m, x: m.f(x) + m.bias,
        lambda m, x: m.f(x) + m.c(x),
        lambda m, x: m.f(m.c(x) + m.c(x).roll(1, 1) * 0.5),
        lambda m, x: m.f(x) + x.mean() * 0,
        lambda m, x: F.gelu(m.f(x), approximate="tanh"),
        lambda m, x: m.f(x) / (m.f(x).pow(2).mean(-1, keepdim=True) + 1e-6).sqrt(),
        lambda m, x: torch.sigmoid(m.c(x)) * x + (1 - torch.sigmoid(m.c(x))) * m.f(x),
        lambda _, x: x + x.pow(3) * 0.04,
        lambda m, x: torch.cat([x, m.f(x)], -1),
        lambda m, x: torch.full((WIDTH,), 3.0) / x + m.f(x),
        lambda m, x: x * x + m.f(x),
        lambda m, x: x / x.roll(1, 1) + m.f(x),
    ],
)
def test_these_are_none(run) -> None:
    found = trace_structure(Net(run), X)
    assert found.depth == 0
    assert not found.understood


@pytest.mark.parametrize(
    ("run", "shortcut", "branch"),
    [
        (lambda m, x: x + m.f(x), 1.0, 1.0),
        (lambda m, x: 2.5 * x + m.f(x), 2.5, 1.0),
        (lambda m, x: x / 4 + m.f(x), 0.25, 1.0),
        (lambda m, x: x + 0.22 * m.f(x), 1.0, 0.22),
        (lambda m, x: x - m.f(x), 1.0, -1.0),
        (lambda m, x: torch.add(x, m.f(x), alpha=0.5), 1.0, 0.5),
        (lambda m, x: x * torch.full((WIDTH,), 3.0) + m.f(x), 3.0, 1.0),
        (lambda m, x: torch.full((WIDTH,), 3.0) * x + m.f(x), 3.0, 1.0),
        (lambda m, x: x / torch.full((WIDTH,), 4.0) + m.f(x), 0.25, 1.0),
        (lambda m, x: -x + m.f(x), -1.0, 1.0),
        (lambda m, x: x + m.f(x) / 8, 1.0, 0.125),
        (lambda m, x: x + m.f(x) / m.gain, 1.0, None),
        (lambda m, x: x * torch.arange(1.0, WIDTH + 1) + m.f(x), None, 1.0),
        (lambda m, x: m.gain * x + m.f(x), None, 1.0),
        (lambda m, x: x + m.gain * m.f(x), 1.0, None),
        (lambda m, x: x + 0.3 * (m.f(x) - x), 0.7, 0.3),
        (lambda m, x: torch.lerp(x, m.f(x), 0.3), 0.7, 0.3),
    ],
)
def test_multipliers(run, shortcut: float | None, branch: float | None) -> None:
    (found,) = trace_structure(Net(run), X).branches
    assert found.shortcut_multiplier == (None if shortcut is None else pytest.approx(shortcut))
    assert found.branch_multiplier == (None if branch is None else pytest.approx(branch))


def centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


@pytest.mark.parametrize(
    ("run", "gain", "bias"),
    [
        (lambda m, x: F.layer_norm(x, (WIDTH,), m.gain, m.bias), True, True),
        (lambda m, x: F.rms_norm(x, (WIDTH,), m.gain), True, False),
        (lambda m, x: F.normalize(x, dim=-1) * WIDTH**0.5 * (m.gain + 1), True, False),
        (lambda _, x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6), False, False),
        (lambda m, x: x / (x * x).mean(-1, keepdim=True).sqrt() * m.gain + m.bias, True, True),
        (
            lambda m, x: m.gain * centred(x) / (x.std(-1, keepdim=True) + 1e-6) + m.bias,
            True,
            True,
        ),
        (
            lambda m, x: (centred(x) / (x.var(-1, keepdim=True) + 1e-6).sqrt()) * m.gain + m.bias,
            True,
            True,
        ),
        (lambda _, x: x / x.abs().mean(-1, keepdim=True), False, False),
    ],
)
def test_these_are_norms(run, gain: bool, bias: bool) -> None:
    graph = trace_graph(Net(lambda m, x: x + m.f(run(m, x))), X)
    (norm,) = find_norms(graph)
    assert graph[norm.input].shape == X.shape
    assert (norm.gain is not None, norm.bias is not None) == (gain, bias)
    structure = trace_structure(Net(lambda m, x: x + m.f(run(m, x))), X)
    assert structure.branches[0].norm_before


@pytest.mark.parametrize(
    "run",
    [
        lambda _, x: torch.softmax(x, -1),
        lambda _, x: x.exp() / x.exp().sum(-1, keepdim=True),
        lambda _, x: x / x.sum(-1, keepdim=True),
        lambda m, x: torch.tanh(m.gain * x),
        lambda _, x: centred(x),
        lambda _, x: x * torch.sigmoid(x),
    ],
)
def test_these_are_no_norms(run) -> None:
    assert find_norms(trace_graph(Net(lambda m, x: x + m.f(run(m, x))), X)) == ()
    found = trace_structure(Net(lambda m, x: x + m.f(run(m, x))), X)
    assert not found.branches[0].norm_before


def test_a_gain_that_only_part_of_the_readers_see_is_a_multiplier() -> None:
    def run(m: Net, x: Tensor) -> Tensor:
        y = F.layer_norm(x, (WIDTH,))
        return y * m.gain + m.f(y)

    (branch,) = trace_structure(Net(run), X).branches
    assert branch.shortcut_multiplier is None
