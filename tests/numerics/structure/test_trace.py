"""Tracing leaves everything as it was, runs in evaluation mode, and says what it cannot read."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.models.user_code import UserCodeError
from numerics.structure.private_copy import quiet_forward
from numerics.structure.trace import trace_structure
from tests.models.handwritten import batch_norm, experts, gated, nano_gpt
from tests.models.handwritten.nano_gpt import Block
from theory.errors import InputError

IDS = torch.randint(0, 64, (2, 8), generator=torch.Generator().manual_seed(0))


class Awkward(nn.Module):
    """A module under two names, state that a forward moves, a frozen matrix, dropout always."""

    counter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(8, 8)
        self.b = self.a
        self.norm = nn.BatchNorm1d(8)
        self.frozen = nn.Parameter(torch.randn(8, 8), requires_grad=False)
        self.register_buffer("counter", torch.zeros(()))
        self.calls = 0
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen = [*self.seen, self.calls]
        self.counter += 1
        x = x + F.dropout(self.b(torch.relu(self.a(x))), 0.5, training=True)
        return x + self.norm(x) @ self.frozen


def _state(model: nn.Module) -> list[Any]:
    found: list[Any] = [(n, t.detach().clone()) for n, t in model.state_dict().items()]
    found += [(p.requires_grad, p.grad is None, p.is_leaf) for p in model.parameters()]
    found += [(module.training, len(module._forward_hooks)) for module in model.modules()]
    found += [getattr(model, "calls", 0), getattr(model, "seen", [])]
    return found


def _equal(first: list[Any], second: list[Any]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a[1], b[1]) if isinstance(a, tuple) and isinstance(a[1], Tensor) else a == b
        for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize(
    ("make", "blocks"),
    [
        (lambda: (Awkward(), torch.randn(4, 8)), ["a"]),
        (lambda: batch_norm.make(2), ["mlps"]),
        (lambda: nano_gpt.make(2), ["h"]),
    ],
)
def test_model_modes_hooks_and_random_state_are_as_they_were(
    make: Callable[[], tuple[nn.Module, Tensor]], blocks: list[str]
) -> None:
    model, batch = make()
    model.train()
    next(iter(model.children())).eval()  # a user keeps a part in evaluation mode
    given = batch.clone()
    before, state = _state(model), torch.get_rng_state()
    fast = torch.backends.mha.get_fastpath_enabled()
    for named in (None, blocks):
        trace_structure(model, batch, blocks=named)
    assert _equal(before, _state(model))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.backends.mha.get_fastpath_enabled() == fast
    assert torch.is_grad_enabled()
    assert torch.equal(batch, given)


def test_random_numbers_of_python_and_torch_are_put_back() -> None:
    state, python = torch.get_rng_state(), random.getstate()
    with quiet_forward():
        random.random()
        torch.randn(3)
    assert torch.equal(state, torch.get_rng_state())
    assert random.getstate() == python


def test_comparing_states_sees_a_change() -> None:
    model, batch = batch_norm.make(1)
    before = _state(model)
    model(batch)
    assert not _equal(before, _state(model))


def test_a_parameter_that_the_forward_writes_is_written_in_a_copy() -> None:
    class Clipped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter, self.leave = nn.Linear(8, 16), nn.Linear(16, 8)

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                self.enter.weight.clamp_(-0.01, 0.01)
                self.leave.weight.data.mul_(0.5)
            return x + self.leave(torch.relu(self.enter(x)))

    model = Clipped()
    before = _state(model)
    found = trace_structure(model, torch.randn(2, 8))
    assert [branch.kind for branch in found.branches] == ["mlp"]
    assert _equal(before, _state(model))


def test_a_model_that_cannot_be_copied_is_traced_in_place_and_restored() -> None:
    class Uncopied(Awkward):
        def __deepcopy__(self, memo: object) -> nn.Module:
            raise TypeError("an open file")

    torch.manual_seed(0)
    model = Uncopied()
    nn.init.zeros_(model.a.weight)
    before = _state(model)
    found = trace_structure(model, torch.randn(4, 8))
    assert found.depth == 2
    assert _equal(before, _state(model))


def test_a_closure_over_the_model_still_reads_its_parameters() -> None:
    class Closed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(64, 32)
            self.block = Block(32, 4)
            self.out: Callable[[Tensor], Tensor] = lambda x: x @ self.embed.weight.T

        def forward(self, ids: Tensor) -> Tensor:
            return self.out(self.block(self.embed(ids)))

    found = trace_structure(Closed(), IDS)
    assert {v.role for v in found.views if v.parameter == "embed.weight"} == {"embedding", "head"}
    assert found.ties == (("embed.weight",),)


@pytest.mark.parametrize("changed", [torch.no_grad(), torch.inference_mode()])
def test_gradients_off_in_the_forward_hide_nothing(changed: Any) -> None:
    class Quiet(nano_gpt.NanoGPT):
        def forward(self, ids: Tensor) -> Tensor:
            with changed:
                return super().forward(ids)

    torch.manual_seed(0)
    plain = trace_structure(nano_gpt.NanoGPT(2), IDS)
    assert trace_structure(Quiet(2), IDS) == plain


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_have_the_same_structure(dtype: torch.dtype) -> None:
    model, ids = nano_gpt.make(2)
    assert trace_structure(model.to(dtype), ids) == trace_structure(nano_gpt.make(2)[0], ids)


def test_zero_weights_hide_nothing() -> None:
    model, ids = nano_gpt.make(2)
    plain = trace_structure(model, ids)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    assert trace_structure(model, ids) == plain
    assert all(not bool(parameter.any()) for parameter in model.parameters())


def test_experts_without_tokens_have_their_roles() -> None:
    class ByModule(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router = nn.Linear(8, 12, bias=False)
            self.enter = nn.ModuleList(nn.Linear(8, 16) for _ in range(12))
            self.leave = nn.ModuleList(nn.Linear(16, 8) for _ in range(12))

        def forward(self, x: Tensor) -> Tensor:
            chosen = self.router(x).argmax(-1)
            y = torch.zeros_like(x)
            for expert in chosen.unique().tolist():
                rows = chosen == expert
                y[rows] = self.leave[expert](torch.relu(self.enter[expert](x[rows])))
            return x + y

    torch.manual_seed(0)
    found = trace_structure(ByModule(), torch.randn(6, 8))
    of_role = {role: {v.parameter for v in found.of_role(role)} for role in ("w_in", "w_out")}
    reached = 12 - len({name.split(".")[1] for name in found.unread})
    assert reached > 6  # six tokens reach at most six experts in one forward
    assert of_role["w_in"] == {
        f"enter.{e}.weight" for e in range(12) if f"enter.{e}.weight" not in found.unread
    }
    assert len(of_role["w_out"]) == reached


def test_banks_of_experts_have_a_view_per_expert() -> None:
    model, ids = experts.make(1)
    found = trace_structure(model, ids)
    views = [v for v in found.views if v.parameter.endswith("w1")]
    assert {(v.role, v.expert) for v in views} == {
        (role, expert) for role in ("gate", "w_in") for expert in range(6)
    }
    weight = dict(model.named_parameters())[views[0].parameter]
    assert {tuple(v.of(weight).shape) for v in views} == {(32, 24)}
    assert {(v.fan_in, v.fan_out, v.fan_in_axis) for v in views} == {(32, 24, 0)}


def test_dead_tensors_are_listed() -> None:
    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.unused = nn.LayerNorm(8), nn.Linear(8, 8)
            self.enter, self.leave = nn.Linear(8, 16), nn.Linear(16, 8)

        def forward(self, x: Tensor) -> Tensor:
            self.norm(x)
            return x + self.leave(torch.relu(self.enter(x)))

    found = trace_structure(Dead(), torch.randn(3, 8))
    assert found.unread == ("norm.weight", "norm.bias", "unused.weight", "unused.bias")
    assert not found.branches[0].norm_before


def test_layers_that_share_their_weights_are_counted_apart() -> None:
    class Repeated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.block = nn.Embedding(64, 32), Block(32, 4)

        def forward(self, ids: Tensor) -> Tensor:
            x = self.embed(ids)
            for _ in range(3):
                x = self.block(x)
            return x

    found = trace_structure(Repeated(), IDS)
    assert (found.depth, found.layers) == (6, 3)
    assert "block.attn.c_attn.weight" in found.shared
    assert "embed.weight" not in found.shared


def test_output_takes_what_the_forward_returns() -> None:
    class Answers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.block = nn.Embedding(64, 32), Block(32, 4)
            self.after, self.head = Block(32, 4), nn.Linear(32, 3)

        def forward(self, ids: Tensor) -> dict[str, Any]:
            x = self.block(self.embed(ids))
            return {"ids": ids, "middle": x, "rest": (self.head(self.after(x)),)}

    model = Answers()
    assert trace_structure(model, IDS).depth == 4
    middle = trace_structure(model, {"ids": IDS}, output=lambda found: found["middle"])  # type: ignore[index]
    assert middle.depth == 2
    assert middle.unread == ()  # the forward reads the rest, whatever is asked for


def test_refusal_says_why_and_what_to_pass() -> None:
    model, ids = gated.make(2)
    found = trace_structure(model, ids)
    assert not found.understood
    assert "blocks=" in found.reasons[0]


def test_blocks_that_are_named_are_the_branches() -> None:
    model, ids = gated.make(2)
    found = trace_structure(model, ids, blocks=["attentions", "mlps"])
    assert found.understood
    assert [(b.kind, b.layer, b.path) for b in found.branches] == [
        ("self-attention", 1, "attentions.0"),
        ("mlp", 1, "mlps.0"),
        ("self-attention", 2, "attentions.1"),
        ("mlp", 2, "mlps.1"),
    ]
    assert {b.branch_multiplier for b in found.branches} == {None}
    roles = {v.role for v in found.of_branch(0) if v.parameter.endswith("c_attn.weight")}
    assert roles == {"q", "k", "v"}


@pytest.mark.parametrize("blocks", [["attention"], [""], ["drop"]])
def test_blocks_must_name_modules_that_are_called(blocks: list[str]) -> None:
    class Idle(nano_gpt.NanoGPT):
        def __init__(self) -> None:
            super().__init__(1)
            self.h[0].ln_3 = nn.LayerNorm(32)

    if blocks == ["drop"]:
        blocks = ["h.0.ln_3"]
    with pytest.raises(InputError, match="blocks="):
        trace_structure(Idle(), IDS, blocks=blocks)


def test_an_error_of_the_forward_is_the_users_own() -> None:
    model, _ = nano_gpt.make(1)
    with pytest.raises(UserCodeError, match="NanoGPT raised") as caught:
        trace_structure(model, torch.randint(0, 64, (2, 40)))
    assert caught.value.__cause__ is not None


def test_an_output_without_numbers_is_refused() -> None:
    class Ids(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(64, 8)

        def forward(self, ids: Tensor) -> Tensor:
            return self.embed(ids).argmax(-1)

    with pytest.raises(InputError, match="floating-point tensor"):
        trace_structure(Ids(), IDS)
