"""Fused operations read as the steps that they stand for, and gates by which operand is active."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.structure.trace import trace_structure

D, HIDDEN = 8, 24
X = torch.randn(2, 5, D, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Matrices, a gain and a router, and a forward that a test gives."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.run = run
        self.a, self.b = nn.Linear(D, HIDDEN), nn.Linear(D, HIDDEN)
        self.c, self.both = nn.Linear(HIDDEN, D), nn.Linear(D, 2 * HIDDEN)
        self.square, self.narrow = nn.Linear(D, D), nn.Linear(D, 1)
        self.gain = nn.Parameter(torch.rand(D) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)

    def f(self, x: Tensor) -> Tensor:
        return self.c(F.relu(self.a(x)))

    def out(self, x: Tensor) -> Tensor:
        return F.relu(self.a(x)).flatten(0, 1)


@pytest.mark.parametrize(
    ("run", "shortcut", "branch"),
    [
        (lambda m, x: torch.addmm(x.view(10, D), m.out(x), m.c.weight.T), 1.0, 1.0),
        (lambda m, x: torch.addmm(x.view(10, D), m.out(x), m.c.weight.T, beta=2), 2.0, 1.0),
        (lambda m, x: torch.addmm(x.view(10, D), m.out(x), m.c.weight.T, alpha=3), 1.0, 3.0),
        (lambda m, x: x.view(10, D).clone().addmm_(m.out(x), m.c.weight.T, alpha=3), 1.0, 3.0),
        (
            lambda m, x: torch.baddbmm(
                x, F.relu(m.a(x)), m.c.weight.T.expand(2, HIDDEN, D), beta=0.5, alpha=0.25
            ),
            0.5,
            0.25,
        ),
        (lambda m, x: torch.addcmul(x, m.f(x), torch.ones(()), value=0.5), 1.0, 0.5),
        (lambda m, x: x.clone().addcmul_(m.f(x), torch.ones(()), value=0.5), 1.0, 0.5),
        (lambda m, x: torch.addcdiv(x, m.f(x), torch.full((), 4.0)), 1.0, 0.25),
        (lambda m, x: torch.addcmul(x, m.f(x), m.gain), 1.0, None),
        (lambda m, x: torch.lerp(x, m.f(x), 0.25), 0.75, 0.25),
        (lambda m, x: x.clone().lerp_(m.f(x), 0.25), 0.75, 0.25),
        (lambda m, x: torch.lerp(x, m.f(x), torch.full((D,), 0.25)), 0.75, 0.25),
    ],
)
def test_multipliers_within_fused_operations(
    run: Any, shortcut: float | None, branch: float | None
) -> None:
    found = trace_structure(Net(run), X)
    (only,) = found.branches
    assert only.kind == "mlp"
    told = (only.shortcut_multiplier, only.branch_multiplier)
    assert told == tuple(v if v is None else pytest.approx(v) for v in (shortcut, branch))
    roles = {view.parameter: view.role for view in found.views}
    assert (roles["a.weight"], roles["c.weight"]) == ("w_in", "w_out")


ALL, FIRST, SECOND = None, tuple(range(HIDDEN)), tuple(range(HIDDEN, 2 * HIDDEN))


@pytest.mark.parametrize(
    ("inner", "gate", "value"),
    [
        (lambda m, x: F.silu(m.a(x)) * m.b(x), ("a", ALL), ("b", ALL)),
        (lambda m, x: m.a(x) * F.silu(m.b(x)), ("b", ALL), ("a", ALL)),
        (lambda m, x: torch.sigmoid(m.a(x)) * m.b(x), ("a", ALL), ("b", ALL)),
        (lambda m, x: torch.tanh(m.a(x)) * torch.sigmoid(m.b(x)), ("b", ALL), ("a", ALL)),
        (lambda m, x: F.glu(m.both(x)), ("both", SECOND), ("both", FIRST)),
        (lambda m, x: F.glu(m.both(x), dim=2), ("both", SECOND), ("both", FIRST)),
        (
            lambda m, x: (lambda y: F.gelu(y[..., :HIDDEN]) * y[..., HIDDEN:])(m.both(x)),
            ("both", FIRST),
            ("both", SECOND),
        ),
    ],
)
def test_the_gate_is_what_passes_the_activation(inner: Any, gate: Any, value: Any) -> None:
    found = trace_structure(Net(lambda m, x: x + m.c(inner(m, x))), X)
    (only,) = found.branches
    assert only.kind == "gated-mlp"
    for role, (name, rows) in (("gate", gate), ("w_in", value)):
        views = [v for v in found.views if v.role == role]
        assert {(v.parameter, v.rows) for v in views} == {(f"{name}.weight", rows)}
        assert {(v.fan_in, v.fan_out, v.fan_in_axis) for v in views} == {(D, HIDDEN, 1)}
        biases = [v for v in found.views if v.role == "bias" and v.part == role]
        assert {(v.parameter, v.rows) for v in biases} == {(f"{name}.bias", rows)}


@pytest.mark.parametrize(
    ("run", "kind", "roles"),
    [
        # Without an activation both are readers alike.
        (
            lambda m, x: x + m.c(m.a(x) * m.b(x)),
            "gated-mlp",
            {"a": "w_in", "b": "w_in", "c": "w_out"},
        ),
        (lambda m, x: x + m.c(F.relu(m.a(x)).square()), "mlp", {"a": "w_in", "c": "w_out"}),
        # A gate on what is written, as wide as the stream, or one number per position.
        (
            lambda m, x: x + torch.sigmoid(m.square(x)) * m.f(x),
            None,
            {"square": "gate", "a": "w_in", "c": "w_out"},
        ),
        (
            lambda m, x: x + torch.sigmoid(m.narrow(x)) * m.f(x),
            None,
            {"narrow": "other", "a": "w_in", "c": "w_out"},
        ),
        (
            lambda m, x: x + m.f(x) * torch.sigmoid(m.narrow(x)),
            None,
            {"narrow": "other", "a": "w_in", "c": "w_out"},
        ),
    ],
)
def test_gates_on_what_is_written_and_products_without_an_activation(
    run: Any, kind: str | None, roles: dict[str, str]
) -> None:
    found = trace_structure(Net(run), X)
    (only,) = found.branches
    assert kind is None or only.kind == kind
    own = {v.parameter: v.role for v in found.views if v.parameter.endswith("weight")}
    assert own == {f"{name}.weight": role for name, role in roles.items()}
