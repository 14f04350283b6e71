"""Every recipe by role at two widths and two depths, against the formulas of its source."""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import pytest

from numerics.recipes import RECIPES, recipe_named
from numerics.recipes.draw import Draw, constant, normal, truncated, uniform
from numerics.recipes.factors import UNCHANGED
from numerics.recipes.from_scheme import SchemeRecipe
from numerics.recipes.place import ModelSizes, ParameterPlace
from numerics.recipes.recipe import WIRINGS, Recipe
from tests.numerics.recipes.places import place_of, setting_of

ATTENTION, MLP, WRITE = ("q", "k", "v"), ("w_in", "gate"), ("out", "w_out")
READ = (*ATTENTION, *MLP)
BRANCH = (*READ, *WRITE)
TABLES = ("embedding", "positions", "head")
EVERY = (*BRANCH, *TABLES)
SIZES = [(n, d, layer) for n, d in itertools.product((3, 8), (64, 256)) for layer in (1, n)]


class At(NamedTuple):
    """Layer l of N at width d, in a stack of 2N additions with MLPs of width 4d."""

    n: int
    d: int
    layer: int


Rule = Callable[[At], Draw]


def everywhere(rule: Rule, **own: Rule) -> dict[str, Rule]:
    return dict.fromkeys(EVERY, rule) | own


def write(rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(WRITE, rule)


def small(at: At) -> Draw:
    return normal(math.sqrt(2 / (5 * at.d)))


def unit(_: At) -> Draw:
    return normal(1.0)


RULES: Mapping[str, dict[str, Rule]] = {
    "gpt2": everywhere(
        lambda _: normal(0.02),
        **write(lambda at: normal(0.02 / math.sqrt(2 * at.n))),
    ),
    "modernbert": everywhere(
        lambda _: truncated(0.02, 2.0),
        **write(lambda at: truncated(0.02 / math.sqrt(2 * at.n), 2.0)),
    ),
    "bert": everywhere(lambda _: normal(0.02)),
    "bert-truncated": everywhere(lambda _: truncated(0.02, 2.0)),
    "llama-flat": everywhere(lambda _: normal(0.02)),
    "llama-depth": everywhere(
        lambda _: normal(0.02),
        **write(lambda at: normal(0.02 / math.sqrt(2 * at.layer))),
        embedding=unit,
        positions=unit,
        head=lambda at: truncated(1 / math.sqrt(at.d), 3.0),
    ),
    "small-init": everywhere(small),
    "wang-init": everywhere(small, **write(lambda at: normal(2 / (at.n * math.sqrt(at.d))))),
    "mitchell": everywhere(
        lambda at: truncated(1 / math.sqrt(at.d), 3.0),
        out=lambda at: truncated(1 / math.sqrt(2 * at.d * at.layer), 3.0),
        w_out=lambda at: truncated(1 / math.sqrt(2 * 4 * at.d * at.layer), 3.0),
    ),
    # Heads of width 64 in these sizes.
    "t5": everywhere(
        lambda at: normal(1 / math.sqrt(at.d)),
        q=lambda at: normal(1 / math.sqrt(at.d * 64)),
        w_out=lambda at: normal(1 / math.sqrt(4 * at.d)),
        embedding=unit,
    ),
    "clip": everywhere(
        lambda at: normal(1 / math.sqrt(at.d)),
        **write(lambda at: normal(1 / math.sqrt(2 * at.n * at.d))),
        **dict.fromkeys(MLP, lambda at: normal(1 / math.sqrt(2 * at.d))),
        embedding=lambda _: normal(0.02),
        positions=lambda _: normal(0.01),
    ),
}
PLACEMENT = {
    "before": "gpt2 modernbert llama-flat llama-depth small-init wang-init mitchell t5 clip pre-ln "
    "dlcl-pre",
    "on-stream": "bert bert-truncated post-ln admin admin-code admin-log admin-sqrt admin-one "
    "ds-init ds-init-code lri dlcl-post deepnorm deepnorm-torchscale",
    "none": "tfixup tfixup-code tfixup-adam xavier r-fixup rezero dt-fixup skip-init",
    "any": "sub-ln sub-ln-rms sub-ln-torchscale torch torch-transformer",
}


def asked_of(name: str, role: str, n: int, d: int, layer: int) -> Draw | None:
    setting = setting_of(n, d)
    return recipe_named(name).ask(place_of(role, setting, layer), setting)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(("n", "d", "layer"), SIZES)
def test_every_role_has_its_published_distribution(name: str, n: int, d: int, layer: int) -> None:
    for role, rule in RULES[name].items():
        found, wanted = asked_of(name, role, n, d, layer), rule(At(n, d, layer))
        assert found is not None
        assert (found.kind, found.cut) == (wanted.kind, wanted.cut), role
        assert found.sigma == pytest.approx(wanted.sigma), role
        assert found.value == 0


def test_every_recipe_is_in_the_tables() -> None:
    own = {name for name, recipe in RECIPES.items() if not isinstance(recipe, SchemeRecipe)}
    assert own == {*RULES, "torch", "torch-transformer"}
    told = {name: place for place, names in PLACEMENT.items() for name in names.split()}
    assert told == {name: recipe.placement for name, recipe in RECIPES.items()}
    for name, recipe in RECIPES.items():
        assert recipe.wiring == WIRINGS[recipe.placement]
        trained = name.startswith(("torch", "admin", "dlcl", "r-fixup", "dt-fixup"))
        assert (recipe.leaves == "scalars of the wiring") == (not trained)
    for name in ("dlcl-pre", "dlcl-post"):
        assert RECIPES[name].leaves == "the weights of earlier layers"
    assert {name for name, r in RECIPES.items() if r.fitted} == {
        *("gpt2", "modernbert", "bert", "bert-truncated", "llama-flat", "llama-depth")
    }


@pytest.mark.parametrize("name", [*RULES, "xavier", "tfixup", "deepnorm"])
def test_vectors_start_as_the_identity(name: str) -> None:
    setting = setting_of(3, 64)
    recipe = recipe_named(name)

    def ask(role: str) -> Draw | None:
        return recipe.ask(replace(place_of(role, setting), in_attention=True), setting)

    assert ask("norm_gain") == constant(1.0)
    assert ask("norm_bias") == ask("bias") == constant(0.0)
    assert ask("scalar") is None
    assert ask("other") is None
    assert recipe.factors_of(place_of("q", setting)) == UNCHANGED
    assert (UNCHANGED.rate, UNCHANGED.weight_decay, UNCHANGED.epsilon) == (1, 1, 1)


def test_what_is_under_a_weight_norm_is_asked_nothing() -> None:
    setting = setting_of(3, 64)
    place = place_of("q", setting)
    under = replace(
        place, view=replace(place.view, parameter="l.parametrizations.weight.original1")
    )
    assert not under.is_matrix
    assert recipe_named("gpt2").ask(under, setting) is None


def test_clips_mlp_biases_are_torchs() -> None:
    setting = setting_of(3, 64)
    bias = replace(place_of("bias", setting), module="Linear", module_fan_in=48)
    clip = recipe_named("clip")
    assert clip.ask(bias, setting) == uniform((3 * 48) ** -0.5)
    assert clip.ask(replace(bias, in_attention=True), setting) == constant(0.0)
    assert clip.ask(replace(bias, module="Conv"), setting) == constant(0.0)
    assert clip.ask(replace(bias, module_fan_in=None), setting) == uniform(3**-0.5)


@pytest.mark.parametrize(
    ("tied", "read", "std"),
    [
        (("embedding",), 1 / 8, 1.0),
        (("embedding",), 2.9 / 8, 1.0),
        (("embedding",), 3.1 / 8, 1 / 8),
        (("embedding",), 1.0, 1 / 8),
        (("embedding",), None, 1 / 8),
        ((), 1 / 8, 1 / 8),
    ],
)
def test_t5s_head_where_the_forward_scales(tied: tuple, read: float | None, std: float) -> None:
    setting = replace(setting_of(3, 64), head_input=read)
    head = replace(place_of("head", setting), tied=tied)
    assert recipe_named("t5").ask(head, setting) == normal(std)


def test_a_stack_that_is_not_known_counts_all_of_them() -> None:
    two = setting_of(4, 64, encoder=6)
    elsewhere = place_of("out", two, stack="memory")
    for recipe, std in (("gpt2", 0.02 / math.sqrt(24)), ("wang-init", 2 / (10 * 8))):
        found = recipe_named(recipe).ask(elsewhere, two)
        assert found is not None
        assert found.std == pytest.approx(std)
        none = replace(two, stacks={})
        alone = recipe_named(recipe).ask(elsewhere, none)
        assert alone is not None
        assert alone.std == pytest.approx({"gpt2": 0.02, "wang-init": 2 / 8}[recipe])
    decoder = place_of("out", two, stack="decoder")
    for recipe, std in (("gpt2", 0.02 / math.sqrt(12)), ("wang-init", 2 / (4 * 8))):
        found = recipe_named(recipe).ask(decoder, two)
        assert found is not None
        assert found.std == pytest.approx(std)


MODULES = {
    "Embedding": ((100, 64), None, None, normal(1.0)),
    "MultiheadAttention": ((192, 64), None, None, uniform((2 / 256) ** 0.5)),
    "Linear": ((32, 64), 64, None, uniform((3 * 64) ** -0.5)),
    "Conv": ((32, 8, 3, 5), None, None, uniform((3 * 8 * 3 * 5) ** -0.5)),
    "Own": ((32, 64), None, None, None),
}


@pytest.mark.parametrize("module", MODULES)
def test_torchs_defaults_by_module(module: str) -> None:
    shape, fan_in, _, wanted = MODULES[module]
    setting = setting_of(3, 64)
    place = replace(place_of("w_in", setting), module=module, shape=shape, module_fan_in=fan_in)
    torchs, redrawn = recipe_named("torch"), recipe_named("torch-transformer")
    assert torchs.ask(place, setting) == wanted
    again = normal(1.0) if module == "Embedding" else uniform((2 / (shape[-1] + shape[0])) ** 0.5)
    assert redrawn.ask(place, setting) == again
    outside = replace(place, branch=None)
    assert redrawn.ask(outside, setting) == wanted
    bias = replace(place, shape=(32,))
    own = {"Linear": uniform((3 * 64) ** -0.5), "MultiheadAttention": constant(0.0)}
    for recipe in (torchs, redrawn):
        if module != "Embedding":
            assert recipe.ask(bias, setting) == own.get(module)
        assert recipe.ask(replace(bias, module_fan_in=None, module="Linear"), setting) is None
    in_attention = replace(bias, module="Linear", in_attention=True)
    assert torchs.ask(in_attention, setting) == constant(0.0)
    gain = place_of("norm_gain", setting)
    assert torchs.ask(gain, setting) == constant(1.0)


def _of(name: str, place: ParameterPlace, setting: ModelSizes) -> float:
    found = RECIPES[name].ask(place, setting)
    assert found is not None
    return found.std


def test_tables_of_schemes_have_the_factor_of_the_stack_that_reads_them() -> None:
    two = setting_of(4, 64, encoder=6)
    x = 36**-0.25
    source = (-(x**2) + (x**4 + 1 / 12) ** 0.5) ** 0.5
    for stack, factor in (("encoder", source), ("decoder", x)):
        place = place_of("embedding", two, stack=stack)
        assert _of("tfixup", place, two) == pytest.approx(factor / 8)
        assert _of(
            "tfixup", replace(place_of("head", two), tied=("embedding",), stack=stack), two
        ) == (pytest.approx(factor / 8))
    assert _of("tfixup", place_of("head", two), two) == pytest.approx(1 / 8)
    assert _of("tfixup", place_of("positions", two), two) == pytest.approx(x / 8)
    scaled = replace(two, position_multiplier=4.0)
    assert _of("tfixup", place_of("positions", scaled), scaled) == pytest.approx(x / 32)
    lri = RECIPES["lri"].ask(place_of("embedding", two), two)
    assert lri is not None
    assert (lri.kind, lri.std) == ("uniform", pytest.approx((2 / (64 + 1000) / 3) ** 0.5))
    assert _of("xavier", place_of("embedding", two), two) == 1 / 8
    one = setting_of(3, 64)
    alone = 0.638943 * 3**-0.25
    assert _of("tfixup", place_of("embedding", one), one) == pytest.approx(alone / 8, rel=1e-6)


def test_scalars_of_schemes() -> None:
    setting = setting_of(3, 64)
    gate = place_of("scalar", setting)
    zero = {name for name in RECIPES if RECIPES[name].ask(gate, setting) == constant(0.0)}
    assert zero == {"rezero", "skip-init"}
    assert RECIPES["rezero"].ask(place_of("other", setting), setting) is None


def test_constants_of_the_wiring() -> None:
    one, two = setting_of(8, 64), setting_of(6, 64, encoder=18)

    def both(name: str, side: str, setting: ModelSizes, stack: str) -> float | None:
        return getattr(RECIPES[name], side)(stack, setting)

    for name in RECIPES:
        trained = name.startswith("admin")
        deep = name.startswith("deepnorm")
        found = both(name, "shortcut", one, "stream")
        if trained:
            assert found is None
        else:
            assert found == pytest.approx((2 * 8) ** 0.25 if deep else 1)
        gates = name in ("rezero", "r-fixup", "skip-init")
        assert both(name, "multiplier", one, "stream") == (None if gates else 1)
    encoder, decoder = 0.81 * (18**4 * 6) ** (1 / 16), (3 * 6) ** 0.25
    assert both("deepnorm", "shortcut", two, "encoder") == pytest.approx(encoder)
    assert both("deepnorm", "shortcut", two, "decoder") == pytest.approx(decoder)


def test_by_layer_and_by_role_of_schemes() -> None:
    setting = setting_of(9, 64)
    base = {"w_in": (2 / 320) ** 0.5, "w_out": (2 / 320) ** 0.5, "out": (2 / 128) ** 0.5}
    for layer in (1, 4, 9):
        for role, xavier in base.items():
            place = place_of(role, setting, layer)
            assert _of("ds-init", place, setting) == pytest.approx(xavier * layer**-0.5)
            assert _of("ds-init-code", place, setting) == pytest.approx(xavier * layer**-0.25)
            assert _of("xavier", place, setting) == pytest.approx(xavier)
    # L = 18 blocks.
    assert _of("r-fixup", place_of("v", setting), setting) == pytest.approx(
        18 ** (-1 / 6) / 2**0.5 / 8
    )
    assert _of("r-fixup", place_of("gate", setting), setting) == pytest.approx(
        18**-0.5 * (2 / 320) ** 0.5
    )
    for role in WRITE:
        assert RECIPES["r-fixup"].ask(place_of(role, setting), setting) == constant(0.0)
    profiled = RECIPES["dt-fixup"].ask(place_of("w_out", setting), setting)
    assert profiled is not None
    assert profiled.profiled is not None
    assert profiled.sigma == pytest.approx(base["w_out"])
    plain = RECIPES["dt-fixup"].ask(place_of("q", setting), setting)
    assert plain is not None
    assert plain.profiled is None
    lonely = replace(place_of("q", setting), branch=None)
    assert RECIPES["xavier"].ask(lonely, setting) is None


def test_recipes_say_nothing_unless_they_override() -> None:
    setting = setting_of(3, 64)
    nothing = Recipe("own", "here", "nothing")
    for role in (*EVERY, "scalar", "other"):
        assert nothing.ask(place_of(role, setting), setting) is None
    assert (nothing.shortcut("stream", setting), nothing.multiplier("stream", setting)) == (1, 1)
    assert (nothing.placement, nothing.leaves, nothing.fitted) == ("any", "", False)
