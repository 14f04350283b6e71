"""Drawing by role: one function whatever the layout, rows that stay, ties, DT-Fixup's factor."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.recipes import initialize, recipe_named
from numerics.recipes.draw import constant
from numerics.recipes.initialize import initialize_
from numerics.recipes.offset_gains import offset_gains
from numerics.recipes.traced import traced, unwrapped
from numerics.structure.trace import trace_structure
from tests.models.handwritten import gated
from theory.errors import InputError

D, HEADS, HIDDEN, WORDS = 16, 2, 48, 40
IDS = torch.tensor([[1, 5, 9, 2], [3, 3, 7, 11]])


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


class Apart(nn.Module):
    """Two layers with a matrix per role, stored as (fan_out, fan_in)."""

    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.tokens = nn.Embedding(WORDS, D)
        self.parts = nn.ModuleList(
            nn.ModuleDict(
                {
                    **{name: nn.Linear(D, D, bias=False) for name in "qkvo"},
                    "up": nn.Linear(D, HIDDEN, bias=False),
                    "down": nn.Linear(HIDDEN, D, bias=False),
                }
            )
            for _ in range(layers)
        )
        self.head = nn.Linear(D, WORDS, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids)
        for part in self.parts:
            n = F.layer_norm(x, (D,))
            x = x + part["o"](attend(part["q"](n), part["k"](n), part["v"](n)))  # pyright: ignore[reportIndexIssue]
            x = x + part["down"](F.relu(part["up"](F.layer_norm(x, (D,)))))  # pyright: ignore[reportIndexIssue]
        return self.head(F.layer_norm(x, (D,)))


class Packed(nn.Module):
    """The same function: (fan_in, fan_out) matrices, v, k, q in one, registered last first."""

    def __init__(self, layers: int = 2) -> None:
        super().__init__()

        def matrices(rows: int, columns: int) -> nn.ParameterList:
            return nn.ParameterList(nn.Parameter(torch.randn(rows, columns)) for _ in range(layers))

        self.head = nn.Linear(D, WORDS, bias=False)
        self.down, self.up = matrices(HIDDEN, D), matrices(D, HIDDEN)
        self.o, self.vkq = matrices(D, D), matrices(D, 3 * D)
        self.tokens = nn.Embedding(WORDS, D)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids)
        for vkq, o, up, down in zip(self.vkq, self.o, self.up, self.down, strict=True):
            v, k, q = (F.layer_norm(x, (D,)) @ vkq).chunk(3, -1)
            x = x + attend(q, k, v) @ o
            x = x + F.relu(F.layer_norm(x, (D,)) @ up) @ down
        return self.head(F.layer_norm(x, (D,)))


def drawn(model: nn.Module, recipe: str, seed: int = 0, batch: Tensor = IDS):
    return initialize_(model, recipe, torch.Generator().manual_seed(seed), batch)


@pytest.mark.parametrize("recipe", ["gpt2", "mitchell", "xavier", "tfixup"])
def test_a_seed_gives_one_function_whatever_the_layout(recipe: str) -> None:
    apart, packed = Apart(), Packed()
    for model in (apart, packed):
        found = drawn(model, recipe)
        assert found.recipe is recipe_named(recipe)
        assert set(found.drawn) == dict(model.named_parameters()).keys()
        assert found.left == found.notes == ()
    torch.testing.assert_close(apart(IDS), packed(IDS))
    layer = apart.parts[1]
    torch.testing.assert_close(packed.vkq[1].T[2 * D :], layer["q"].weight)  # pyright: ignore[reportIndexIssue]
    before = apart(IDS)
    drawn(apart, recipe, seed=1)
    assert not torch.allclose(apart(IDS), before)


class Banks(nn.Module):
    """Experts in three-axis parameters, (expert, in, out), or a module for each."""

    def __init__(self, *, banked: bool, experts: int = 3) -> None:
        super().__init__()
        self.tokens, self.router = nn.Embedding(WORDS, D), nn.Linear(D, experts, bias=False)
        self.banked = banked
        if banked:
            self.enter = nn.Parameter(torch.randn(experts, D, HIDDEN))
            self.leave = nn.Parameter(torch.randn(experts, HIDDEN, D))
        else:
            self.ins = nn.ModuleList(nn.Linear(D, HIDDEN, bias=False) for _ in range(experts))
            self.outs = nn.ModuleList(nn.Linear(HIDDEN, D, bias=False) for _ in range(experts))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids).flatten(0, 1)
        n = F.layer_norm(x, (D,))
        weights = self.router(n).softmax(-1)
        if self.banked:
            made = torch.relu(n @ self.enter) @ self.leave
        else:
            made = torch.stack(
                [b(torch.relu(a(n))) for a, b in zip(self.ins, self.outs, strict=True)]
            )
        return x + torch.einsum("te,etd->td", weights, made)


def test_experts_in_a_bank_are_drawn_as_experts_in_modules() -> None:
    banked, apart = Banks(banked=True), Banks(banked=False)
    for model in (banked, apart):
        with torch.no_grad():
            model.router.weight.copy_(torch.linspace(-1, 1, 3 * D).view(3, D))
        drawn(model, "gpt2")
    for expert in range(3):
        enter, leave = apart.ins[expert].weight, apart.outs[expert].weight
        torch.testing.assert_close(banked.enter[expert].T, enter)
        torch.testing.assert_close(banked.leave[expert].T, leave)
    assert float(banked.leave.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert not torch.equal(banked.enter[0], banked.enter[1])


@pytest.mark.parametrize(
    ("words", "zero", "padding", "kept"),
    [
        (40, (), 4, (4,)),
        (40, (7,), None, (7,)),
        (40, (7, 9), None, ()),  # too many to be padding: a table that starts at 0
        (300, (7, 9, 250), None, (7, 9, 250)),
        (300, (7, 9, 250, 260), None, ()),
        (300, (7,), 4, (4, 7)),
        (40, (), None, ()),
    ],
)
def test_rows_of_padding_stay_zero(
    words: int, zero: tuple[int, ...], padding: int | None, kept: tuple[int, ...]
) -> None:
    model = Apart()
    model.tokens = nn.Embedding(words, D, padding_idx=padding)
    with torch.no_grad():
        model.tokens.weight[list(zero)] = 0.0
    found = drawn(model, "gpt2")
    listed = ", ".join(map(str, kept))
    said = (f"tokens.weight: row {listed} is padding and stays 0.",) if kept else ()
    assert found.notes == said
    assert tuple((model.tokens.weight == 0).all(1).nonzero().flatten().tolist()) == kept


def test_what_a_recipe_does_not_name_is_left_and_listed() -> None:
    class Gated(Apart):
        def __init__(self) -> None:
            super().__init__(1)
            self.gate = nn.Parameter(torch.tensor(0.3))
            self.frozen = nn.Parameter(torch.randn(4, D), requires_grad=False)

        def forward(self, ids: Tensor) -> Tensor:
            x = self.tokens(ids) + self.frozen
            part = self.parts[0]
            made = part["down"](F.relu(part["up"](F.layer_norm(x, (D,)))))  # pyright: ignore[reportIndexIssue]
            return self.head(F.layer_norm(x + self.gate * made, (D,)))

    model = Gated()
    frozen = model.frozen.detach().clone()
    found = drawn(model, "gpt2")
    attention = tuple(f"parts.0.{name}.weight" for name in "qkvo")
    assert set(found.left) == {"gate", "frozen", *attention}
    assert model.gate.item() == pytest.approx(0.3)
    assert torch.equal(model.frozen, frozen)
    assert "gate" in drawn(model, "rezero").drawn
    assert model.gate.item() == 0


@pytest.mark.parametrize(("recipe", "told"), [("llama-depth", True), ("gpt2", False)])
def test_a_tied_table_is_drawn_for_the_head(recipe: str, told: bool) -> None:
    model = Apart()
    model.head.weight = model.tokens.weight
    found = drawn(model, recipe)
    asked = {"llama-depth": 0.98658 / math.sqrt(D), "gpt2": 0.02}[recipe]
    assert float(model.tokens.weight.detach().std()) == pytest.approx(asked, rel=0.1)
    words = (
        "tokens.weight is embedding and head: llama-depth asks N(0, 1) of the embedding and "
        "N(0, 0.25) cut at 3σ of the head. The head decides."
    )
    assert found.notes == ((words,) if told else ())


def test_dt_fixups_factor_is_that_of_the_largest_input() -> None:
    model = Apart(3)
    drawn(model, "dt-fixup")
    plain = Apart(3)
    drawn(plain, "xavier")
    mu = float(model.tokens(IDS).detach().norm(dim=-1).max())
    factor = 1 / math.sqrt(3 * (4 * mu**2 + 2 * mu + 2))
    for name, scaled in (("v", True), ("o", True), ("down", True), ("q", False), ("k", False)):
        sizes = [float(m.parts[1][name].weight.detach().std()) for m in (model, plain)]  # pyright: ignore[reportIndexIssue]
        assert sizes[0] / sizes[1] == pytest.approx(factor if scaled else 1.0, rel=0.15), name


def test_models_that_cannot_be_drawn_say_why() -> None:
    generator = torch.Generator()
    with pytest.raises(InputError, match="did you mean 'gpt2'"):
        initialize_(Apart(), "gpt", generator, IDS)
    twice = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 3))
    with pytest.raises(InputError, match="understood to be initialised by role: no addition"):
        initialize_(twice, "gpt2", generator, torch.randn(2, 4))
    no_table = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(D, HEADS, HIDDEN, 0.0, batch_first=True), 1
    )
    with pytest.raises(InputError, match="no embedding was seen"):
        initialize_(no_table, "dt-fixup", generator, torch.randn(2, 3, D))


def test_a_branch_alone_has_the_roles_of_one_in_a_block() -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(D, D), nn.Linear(D, HIDDEN), nn.Linear(HIDDEN, D)
            self.again = self.a

        def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
            hidden = F.relu(self.b(x if y is None else x + 0 * y))
            return self.c(hidden)

    branch = Branch().train()
    x = torch.randn(2, 5, D)
    found = traced(branch, x)
    assert branch.training
    assert found.depth == 1
    assert {v.parameter: v.role for v in found.views} == {
        "b.weight": "w_in",
        "b.bias": "bias",
        "c.weight": "w_out",
        "c.bias": "bias",
    }
    assert found.unread == ("a.weight", "a.bias")
    assert found.ties == (("a.weight", "again.weight"), ("a.bias", "again.bias"))
    assert found.reasons[-1] == "The module is read as a branch F of x + F(x): it adds nothing."
    assert traced(branch, (x, x)).depth == 1
    wider = nn.Sequential(nn.Linear(D, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, D + 1))
    assert traced(wider, x).depth == 0
    assert traced(branch, x, output=lambda y: y).depth == 0
    assert traced(nn.Embedding(5, 3), torch.tensor([1, 2])).depth == 0
    assert unwrapped(branch) is branch
    assert unwrapped(torch.compile(branch, backend="eager")) is branch  # pyright: ignore[reportArgumentType]


class Offset(nn.Module):
    """An RMS norm that multiplies by 1 + w, as Gemma's, or by w."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.weight, self.offset = nn.Parameter(torch.rand(D) + 0.5), offset

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (D,)) * (self.offset + self.weight)


class Normed(nn.Module):
    """A branch whose norm a test gives, read off a table that may be 0."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.tokens, self.norm = nn.Embedding(WORDS, D), norm
        self.up, self.down = nn.Linear(D, HIDDEN), nn.Linear(HIDDEN, D)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids)
        return x + self.down(F.relu(self.up(self.norm(x))))


@pytest.mark.parametrize(
    ("make", "gain"),
    [
        (lambda: Offset(1.0), 0.0),
        (lambda: Offset(0.0), 1.0),
        (lambda: nn.LayerNorm(D), 1.0),
        (lambda: nn.RMSNorm(D), 1.0),
    ],
)
@pytest.mark.parametrize("dark", [False, True])
def test_a_gain_stored_as_gain_minus_one_is_drawn_at_0(
    make: Callable[[], nn.Module], gain: float, dark: bool
) -> None:
    model = Normed(make()).train()
    if dark:
        nn.init.zeros_(model.tokens.weight)
    before = dict(model.norm.named_parameters())["weight"].detach().clone()
    structure = trace_structure(model, IDS)
    names = offset_gains(model, IDS, structure)
    assert names == (frozenset({"norm.weight"}) if gain == 0 else frozenset())
    assert model.training
    assert torch.equal(dict(model.norm.named_parameters())["weight"], before)
    assert not any(module._forward_pre_hooks for module in model.modules())
    drawn(model, "gpt2")
    weight = dict(model.norm.named_parameters())["weight"].detach()
    assert torch.equal(weight, torch.full((D,), gain))
    assert constant(gain).words == f"{gain:g}"


def test_blocks_and_a_part_of_the_output_are_passed_on() -> None:
    model, ids = gated.make(2)
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(InputError, match="understood to be initialised by role"):
        initialize_(model, "gpt2", generator, ids)
    found = initialize_(model, "gpt2", generator, ids, blocks=["attentions", "mlps"])
    assert "mlps.1.2.weight" in found.drawn
    written = dict(model.named_parameters())["mlps.1.2.weight"].detach()
    assert float(written.std()) == pytest.approx(0.02 / 2, rel=0.05)  # four additions

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Apart(), Packed()

        def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
            return self.first(ids), self.second(ids)

    both = Two()
    found = initialize_(both, "gpt2", generator, IDS, output=lambda made: made[0])  # type: ignore[index]
    inside = both.first.parts[0]["o"].weight.detach()  # pyright: ignore[reportIndexIssue]
    assert float(inside.std()) == pytest.approx(0.02 / 2, rel=0.1)


def test_a_structure_that_is_known_is_not_traced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Apart()
    structure = trace_structure(model, IDS)
    monkeypatch.setattr(initialize, "traced", None)
    found = initialize_(model, "gpt2", torch.Generator().manual_seed(0), IDS, structure=structure)
    assert set(found.drawn) == dict(model.named_parameters()).keys()
