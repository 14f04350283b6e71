"""Which matrix is q, k and v, however attention is written; banks of experts; copies of modules."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.structure.module_copy import copy_module
from numerics.structure.trace import trace_structure

D, T = 12, 5
X = torch.randn(2, T, D, generator=torch.Generator().manual_seed(0))


class Attention(nn.Module):
    """x + W_o A(x), with an attention A that a test writes."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.run = run
        self.first, self.second = nn.Linear(D, D), nn.Linear(D, D)
        self.third, self.last = nn.Linear(D, D), nn.Linear(D, D)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        read = x if memory is None else memory
        made = self.run(self.first(x), self.second(read), self.third(read))
        return x + self.last(made)


def masked(scores: Tensor) -> Tensor:
    return scores.masked_fill(torch.ones(T, T).triu(1).bool(), float("-inf"))


def shares(positive: Tensor) -> Tensor:
    return positive / positive.sum(-1, keepdim=True)


FORMS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "as printed": lambda q, k, v: (q @ k.mT / 4).softmax(-1) @ v,
    "causal": lambda q, k, v: masked(q @ k.mT / 4).softmax(-1) @ v,
    "keys first": lambda q, k, v: (k @ q.mT / 4).softmax(-2).mT @ v,
    "values first": lambda q, k, v: (v.mT @ (k @ q.mT / 4).softmax(-2)).mT,
    "einsum": lambda q, k, v: torch.einsum("bqk,bkd->bqd", torch.einsum("bqd,bkd->bqk", q, k), v),
    "fused": lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
    "by hand": lambda q, k, v: shares((q @ k.mT).exp()) @ v,
    "relu": lambda q, k, v: F.relu(q @ k.mT) / T @ v,
    "linear": lambda q, k, v: (F.elu(q) + 1) @ ((F.elu(k) + 1).mT @ v),
    "linear, values first": lambda q, k, v: ((v.mT @ (F.elu(k) + 1)) @ (F.elu(q) + 1).mT).mT,
}


@pytest.mark.parametrize("form", FORMS)
def test_roles_however_attention_is_written(form: str) -> None:
    found = trace_structure(Attention(FORMS[form]), X)
    (branch,) = found.branches
    assert branch.kind == "self-attention"
    roles = {view.parameter: view.part or view.role for view in found.views}
    names = {"first": "q", "second": "k", "third": "v", "last": "out"}
    assert roles == {f"{n}.{kind}": r for n, r in names.items() for kind in ("weight", "bias")}
    assert {view.rows for view in found.views} == {None}


@pytest.mark.parametrize("form", ["as printed", "keys first", "fused"])
def test_roles_of_what_reads_a_memory(form: str) -> None:
    memory = torch.randn(2, 7, D, generator=torch.Generator().manual_seed(1))
    found = trace_structure(Attention(FORMS[form]), (X, memory))
    (branch,) = found.branches
    assert branch.kind == "cross-attention"
    roles = {view.parameter: view.role for view in found.views if view.fan_in}
    assert roles == {
        "first.weight": "q",
        "second.weight": "k",
        "third.weight": "v",
        "last.weight": "out",
    }


@pytest.mark.parametrize(
    ("pack", "axis"),
    [
        (lambda w, x: (x @ w).chunk(3, -1), 1),
        (lambda w, x: F.linear(x, w.T).split(D, -1), 1),
        (lambda w, x: tuple((x @ w).view(2, T, D, 3).unbind(-1)), 1),
        (lambda w, x: tuple((x @ w).view(2, T, 3, D).unbind(-2)), 1),
    ],
)
@pytest.mark.parametrize("order", ["qkv", "vqk"])
def test_rows_of_packed_matrices(pack: Any, axis: int, order: str) -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.w, self.out = nn.Parameter(torch.randn(D, 3 * D) / 4), nn.Linear(D, D, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            parts = dict(zip(order, pack(self.w, x), strict=True))
            weights = (parts["q"] @ parts["k"].mT / 4).softmax(-1)
            return x + self.out(weights @ parts["v"])

    found = trace_structure(Packed(), X)
    views = {view.role: view for view in found.views if view.parameter == "w"}
    with torch.no_grad():
        numbered = torch.arange(3.0 * D)
        columns = dict(zip(order, pack(numbered.expand(D, 3 * D), X * 0 + 1), strict=True))
    for role in order:
        entries = sorted({int(n) for n in (columns[role] / D).round().flatten().tolist()})
        assert views[role].rows == tuple(entries)
        assert (views[role].axis, views[role].fan_in, views[role].fan_out) == (axis, D, D)
        assert views[role].fan_in_axis == 0


class Bank(nn.Module):
    """Experts in one tensor with a gate and a value packed along the last axis, all of them run."""

    def __init__(self, *, transposed: bool, scaled: bool, experts: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scaled = scaled
        wide = (experts, D, 40) if not transposed else (experts, 40, D)
        back = (experts, 20, D) if not transposed else (experts, D, 20)
        self.enter, self.leave = nn.Parameter(torch.randn(wide)), nn.Parameter(torch.randn(back))
        self.bias = nn.Parameter(torch.randn(experts, 1, 40))
        self.router, self.transposed = nn.Linear(D, experts), transposed

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, 1)
        chosen = self.router(flat).softmax(-1)
        enter, leave = (w.mT if self.transposed else w for w in (self.enter, self.leave))
        if self.scaled:  # what is read is computed from the parameter
            enter, leave = 0.5 * enter, torch.tanh(leave)
        hidden = torch.bmm(flat.expand(len(enter), *flat.shape), enter) + self.bias
        gate, value = hidden.chunk(2, -1)
        made = torch.bmm(F.silu(gate) * value, leave)
        return x + torch.einsum("te,etd->td", chosen, made).view_as(x)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_banks_of_experts_by_expert_and_role(transposed: bool, scaled: bool) -> None:
    model = Bank(transposed=transposed, scaled=scaled)
    found = trace_structure(model, X)
    (branch,) = found.branches
    assert branch.kind == "gated-mlp"
    packed, inner = (0, 1) if transposed else (1, 0)
    enter = {(v.role, v.expert): v for v in found.views if v.parameter == "enter"}
    assert set(enter) == {(role, e) for role in ("gate", "w_in") for e in range(3)}
    for (role, _), view in enter.items():
        first = 0 if role == "gate" else 20
        assert (view.axis, view.rows) == (packed, tuple(range(first, first + 20)))
        assert (view.fan_in, view.fan_out, view.fan_in_axis) == (D, 20, inner)
    leave = {v.expert: v for v in found.views if v.parameter == "leave"}
    assert set(leave) == {0, 1, 2}
    for view in leave.values():
        assert (view.role, view.rows) == ("w_out", None)
        assert (view.fan_in, view.fan_out, view.fan_in_axis) == (20, D, inner)
    assert {v.role for v in found.views if v.parameter == "router.weight"} == {"other"}


class Held(nn.Module):
    """Functions that hold parts of the module: a closure, defaults, a partial, a method, a list."""

    def __init__(self) -> None:
        super().__init__()
        weight = self.weight = nn.Parameter(torch.eye(3))
        self.closed: Any = lambda x: x @ weight

        def with_default(x: Tensor, w: Tensor = weight, *, also: Tensor = weight) -> Tensor:
            return x @ w + x @ also

        self.default: Any = with_default
        self.part: Any = partial(torch.add, weight)
        self.method: Any = self.once
        self.listed: Any = [{"deep": (lambda x: self.closed(x),)}]
        self.plain: Any = lambda x: x + 1

    def once(self, x: Tensor) -> Tensor:
        return x @ self.weight

    def forward(self, x: Tensor) -> Tensor:
        (nested,) = self.listed[0]["deep"]
        return self.closed(x) + self.default(x) + self.part(x) + self.method(x) + nested(x)


def test_a_copy_shares_nothing_with_the_original_through_its_functions() -> None:
    model = Held()
    one = torch.ones(3, 3)
    copied: Any = copy_module(model)
    torch.testing.assert_close(copied(one), model(one))
    before = model(one)
    with torch.no_grad():
        copied.weight.zero_()
    torch.testing.assert_close(copied(one), one)  # 0 + 0 + (0 + x) + 0 + 0
    torch.testing.assert_close(model(one), before)
    assert copied.plain(one).equal(one + 1)
    assert copied.default.__name__ == "with_default"
    assert copied.default.__qualname__ == model.default.__qualname__
    assert copied.default.__module__ == model.default.__module__
    assert copied.method.__self__ is copied
    assert [*copied.state_dict()] == ["weight"]
    shared = copy_module(model, {id(model.weight): model.weight})
    assert shared.weight is model.weight
    torch.testing.assert_close(shared(one), before)


def test_copies_of_modules_with_a_way_of_their_own() -> None:
    class Own(nn.Linear):
        copies = 0

        def __deepcopy__(self, memo: dict[int, Any]) -> "Own":
            made = Own(2, 2)
            made.load_state_dict(self.state_dict())
            memo[id(self)] = made
            made.copies = self.copies + 1
            return made

    model = nn.Sequential(Own(2, 2), nn.Tanh())
    model.hook = model.register_forward_hook(lambda *_: None)  # type: ignore[assignment]
    copied = copy_module(model)
    assert copied[0].copies == 1  # type: ignore[index]
    assert type(copied[1]) is nn.Tanh  # type: ignore[index]
    torch.testing.assert_close(copied(torch.ones(2)), model(torch.ones(2)))
    tied = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    tied[1].weight = tied[0].weight
    again = copy_module(tied)
    assert again[1].weight is again[0].weight  # type: ignore[index]
    assert again[0].weight is not tied[0].weight  # type: ignore[index]


class Made(nn.Module):
    """An MLP whose matrices are computed from parameters of another shape, then used."""

    def __init__(self, make: Any, *shape: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.make, self.w = make, nn.Parameter(torch.randn(*shape))
        self.up, self.down = nn.Linear(D, 24, bias=False), nn.Linear(24, D, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.relu(self.make(self, x)))


@pytest.mark.parametrize(
    ("make", "shape", "view"),
    [
        # Square matrices, read as they are or turned: which axis is contracted.
        (lambda m, x: m.up(F.linear(x, 0.5 * m.w)), (D, D), (D, D, 1)),
        (lambda m, x: m.up(x @ (0.5 * m.w)), (D, D), (D, D, 0)),
        (lambda m, x: F.linear(x, torch.tanh(m.w).T), (D, 24), (D, 24, 0)),
        (lambda m, x: F.linear(x, torch.tanh(m.w)), (24, D), (D, 24, 1)),
        (lambda m, x: F.linear(x, (m.w * 2).view(24, D)), (24 * D,), (D, 24 * D // D, None)),
        (lambda m, x: F.linear(x, torch.cat([m.w, m.w * 2])), (12, D), (D, 12, 1)),
    ],
)
def test_matrices_that_are_computed_first(make: Any, shape: tuple[int, ...], view: Any) -> None:
    found = trace_structure(Made(make, *shape), X)
    (only,) = [v for v in found.views if v.parameter == "w"]
    assert only.rows is None
    fan_in, fan_out, axis = view
    if axis is None:
        assert only.fan_in_axis in (None, 0)
        return
    assert (only.fan_in, only.fan_out, only.fan_in_axis) == (fan_in, fan_out, axis)
