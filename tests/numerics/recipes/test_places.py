"""Where every tensor of a model stands, on models whose answer is read off their definition."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.recipes import recipe_named
from numerics.recipes.draw import normal, truncated
from numerics.recipes.flat import FlatRecipe
from numerics.recipes.place import ModelSizes, ParameterPlace, RecipeStream, places
from numerics.recipes.place import setting_of as sizes_of
from numerics.structure.trace import trace_structure
from numerics.structure.types import Structure, TensorView
from tests.numerics.recipes.places import place_of, setting_of

D, HIDDEN = 16, 48


class Translator(nn.Module):
    """Torch's encoder-decoder with a table per side, positions, and a head tied to the target's."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(30, D), nn.Embedding(40, D)
        self.places = nn.Embedding(8, D)
        self.core = nn.Transformer(D, 2, 1, 2, HIDDEN, 0.0, batch_first=True)
        self.head = nn.Linear(D, 40, bias=False)
        self.head.weight = self.target.weight

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        x = self.source(source) + self.places(torch.arange(source.shape[1]))
        return self.head(self.core(x, self.target(target)))


BATCH = (torch.tensor([[1, 2, 3]]), torch.tensor([[4, 5, 6, 7]]))


@pytest.fixture(scope="module")
def translator() -> tuple[Translator, Structure]:
    torch.manual_seed(0)
    model = Translator()
    return model, trace_structure(model, BATCH)


def found_in(model: nn.Module, structure: Structure) -> dict[tuple[str, str], ParameterPlace]:
    return {(place.name, place.role): place for place in places(structure, model)}


def test_both_stacks_of_an_encoder_decoder(translator: tuple[Translator, Structure]) -> None:
    model, structure = translator
    setting = sizes_of(structure, model, head_width=8, position_multiplier=0.5, head_input=1.0)
    assert setting == ModelSizes(
        D,
        HIDDEN,
        40,
        8,
        {"encoder": RecipeStream("encoder", 1, 2), "decoder": RecipeStream("decoder", 2, 6)},
        0.5,
        1.0,
    )
    assert setting.encoder == RecipeStream("encoder", 1, 2)
    assert setting.decoder == RecipeStream("decoder", 2, 6)
    plain = sizes_of(structure, model)
    assert (plain.head_width, plain.position_multiplier, plain.head_input) == (None, 1.0, None)


def test_every_tensor_of_an_encoder_decoder(translator: tuple[Translator, Structure]) -> None:
    model, structure = translator
    found = found_in(model, structure)
    packed = found["core.decoder.layers.1.self_attn.in_proj_weight", "k"]
    assert (packed.stack, packed.layer, packed.shape) == ("decoder", 2, (3 * D, D))
    assert (packed.module, packed.in_attention, packed.fans) == ("MultiheadAttention", True, (D, D))
    assert packed.module_fan_in is None
    out = found["core.encoder.layers.0.self_attn.out_proj.weight", "out"]
    assert (out.stack, out.layer, out.module, out.in_attention) == ("encoder", 1, "Linear", True)
    assert out.module_fan_in == D
    into = found["core.encoder.layers.0.linear1.weight", "w_in"]
    assert (into.fans, into.module, into.in_attention) == ((D, HIDDEN), "Linear", False)
    leave = found["core.decoder.layers.0.linear2.weight", "w_out"]
    assert (leave.fans, leave.module_fan_in, leave.layer) == ((HIDDEN, D), HIDDEN, 1)
    tables = {
        ("source.weight", "embedding"): ("encoder", ()),
        ("target.weight", "embedding"): ("decoder", ("head",)),
        ("target.weight", "head"): ("decoder", ("embedding",)),
        ("places.weight", "positions"): ("encoder", ()),
    }
    for (name, role), (stack, tied) in tables.items():
        place = found[name, role]
        assert (place.stack, place.layer, place.tied) == (stack, 0, tied)
        assert (place.module, place.branch, place.in_attention) == ("Embedding", None, False)
    assert not any(place.frozen or place.stored_minus_one for place in found.values())
    matrices = ("q", "k", "v", "out", "w_in", "w_out")
    assert all(place.is_matrix == (place.role in matrices) for place in found.values())
    # The paper's embeddings have the factor (9N)^(-1/4) of the decoder's N.
    target = found["target.weight", "embedding"]
    asked = recipe_named("tfixup").ask(target, sizes_of(structure, model))
    assert asked is not None
    assert (asked.kind, asked.std) == ("normal", pytest.approx(D**-0.5 * 18**-0.25))


def test_a_tensor_that_is_frozen_among_others() -> None:
    torch.manual_seed(0)
    model = Translator()
    structure = trace_structure(model, BATCH)
    model.places.weight.requires_grad_(False)
    frozen = [name for (name, _), place in found_in(model, structure).items() if place.frozen]
    assert frozen == ["places.weight"]
    model.requires_grad_(False)
    assert not any(place.frozen for place in places(structure, model))
    gains = frozenset({"core.encoder.norm.weight"})
    minus = [place.name for place in places(structure, model, gains) if place.stored_minus_one]
    assert minus == ["core.encoder.norm.weight"]


def test_stacks_by_name() -> None:
    one, two = RecipeStream("stream", 3, 6), RecipeStream("encoder", 4, 8)
    assert ModelSizes(D, None, None, None, {"stream": one}).decoder == one
    assert ModelSizes(D, None, None, None, {"stream": one}).encoder is None
    assert ModelSizes(D, None, None, None, {"encoder": two}).decoder is None
    assert ModelSizes(D, None, None, None).decoder is None


def test_the_width_of_a_model_without_branches() -> None:
    def width(model: nn.Module, *views: TensorView) -> int:
        return sizes_of(Structure((), views, False), model).d_model

    model = nn.ModuleDict({"table": nn.Embedding(9, 6), "norm": nn.LayerNorm(5)})
    model["other"] = nn.Linear(4, 2)
    assert width(model, TensorView("table.weight", "positions")) == 6
    assert width(model, TensorView("table.weight", "embedding")) == 6
    assert width(model, TensorView("norm.weight", "norm_gain")) == 5
    gain, head = TensorView("norm.weight", "norm_gain"), TensorView("other.weight", "head")
    assert width(model, gain, head) == 4
    assert width(nn.ModuleDict({"other": nn.Linear(4, 2)})) == 4
    assert width(nn.Module()) == 1


def test_fans_of_a_tensor_without_them() -> None:
    place = place_of("q", setting_of(2, D))
    bare = TensorView("w", "other")

    def fans(*shape: int, view: TensorView = bare) -> tuple[int, int]:
        made = ParameterPlace(view, None, "stream", 0, shape, "", None, False)
        return made.fans

    assert fans(5, 7) == (7, 5)
    assert fans(5) == (5, 5)
    assert fans() == (1, 1)
    assert fans(5, 7, view=TensorView("w", "q", fan_in=3, fan_out=2)) == (3, 2)
    assert place.fans == (D, D)


class Routed(nn.Module):
    """Two experts of two matrices each and a router, all linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.router = nn.Embedding(9, D), nn.Linear(D, 2, bias=False)
        self.ins = nn.ModuleList(nn.Linear(D, HIDDEN, bias=False) for _ in range(2))
        self.outs = nn.ModuleList(nn.Linear(HIDDEN, D, bias=False) for _ in range(2))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids)
        n = F.layer_norm(x, (D,))
        weights = self.router(n).softmax(-1)
        made = [b(F.relu(a(n))) for a, b in zip(self.ins, self.outs, strict=True)]
        return x + sum(weights[..., i : i + 1] * one for i, one in enumerate(made))


def test_a_router_is_drawn_as_a_linear_layer_by_bert_alone() -> None:
    torch.manual_seed(0)
    model = Routed()
    structure = trace_structure(model, torch.tensor([[1, 2, 3, 4]]))
    setting = sizes_of(structure, model)
    routers = [place for place in places(structure, model) if place.is_router]
    (router,) = routers
    assert router.name == "router.weight"
    for recipe in (FlatRecipe("flat", "here", "N(0, 0.5)", std=0.5), recipe_named("bert")):
        assert recipe.ask(router, setting) == normal(recipe.std)  # pyright: ignore[reportAttributeAccessIssue]
    cut = FlatRecipe("flat", "here", "N(0, 0.5) cut", std=0.5, cut=2.0)
    assert cut.ask(router, setting) == truncated(0.5, 2.0)
    assert recipe_named("mitchell").ask(router, setting) is None
    other = ParameterPlace(router.view, router.branch, "stream", 1, (D, D), "Own", None, False)
    assert cut.ask(other, setting) is None


def test_tables_beyond_the_streams_belong_to_the_last_of_them() -> None:
    class Segments(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.segments = nn.Embedding(9, D), nn.Embedding(3, D)
            self.up, self.down = nn.Linear(D, HIDDEN), nn.Linear(HIDDEN, D)

        def forward(self, ids: Tensor, segments: Tensor) -> Tensor:
            x = self.tokens(ids) + self.segments(segments)
            return x + self.down(F.relu(self.up(x)))

    torch.manual_seed(0)
    model = Segments()
    structure = trace_structure(model, (torch.tensor([[1, 2, 3]]), torch.tensor([[0, 1, 1]])))
    found = {place.name: place.stack for place in places(structure, model)}
    assert set(found.values()) == {"stream"}
    tables = tuple(TensorView(f"{name}.weight", "embedding") for name in "abc")
    two = (place_of("q", setting_of(2, D), stack=stack).branch for stack in ("encoder", "decoder"))
    layered = Structure(tuple(one for one in two if one), tables, False)
    three = nn.ModuleDict({name: nn.Embedding(4, D) for name in "abc"})
    stacks = [place.stack for place in places(layered, three)]
    assert stacks == ["encoder", "decoder", "decoder"]
