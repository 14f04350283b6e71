"""Recipes against published numbers, torch's own modules, and the solver."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from numerics.models.spec import Architecture, ModelSpec
from numerics.recipes import ALIASES, RECIPES, recipe_named
from numerics.recipes.draw import xavier
from numerics.recipes.from_scheme import SchemeRecipe
from numerics.recipes.place import ModelSizes
from numerics.schemes import SCHEMES
from tests.numerics.recipes.places import place_of, setting_of
from theory.errors import InputError


def _std(recipe: str, role: str, setting: ModelSizes, **where: object) -> float:
    draw = recipe_named(recipe).ask(place_of(role, setting, **where), setting)  # pyright: ignore[reportArgumentType]
    assert draw is not None
    return draw.std


@pytest.mark.parametrize(("layers", "std"), [(12, 0.0040825), (48, 0.0020412)])
def test_case_a1_gpt2s_writers(layers: int, std: float) -> None:
    setting = setting_of(layers)
    assert _std("gpt2", "out", setting) == pytest.approx(std, rel=1e-4)
    assert _std("gpt2", "w_out", setting) == pytest.approx(std, rel=1e-4)
    assert _std("gpt2", "q", setting) == 0.02


def test_case_d12_two_parallel_branches_are_two_and_one_is_one() -> None:
    assert _std("gpt2", "out", setting_of(12)) == pytest.approx(0.02 / math.sqrt(24))
    assert _std("gpt2", "out", setting_of(12, per_layer=1)) == pytest.approx(0.02 / math.sqrt(12))


@pytest.mark.parametrize("layers", [1, 6, 12, 100])
def test_case_e3_encoder_only_is_the_solvers_constant(layers: int) -> None:
    setting = setting_of(layers)
    place = place_of("v", setting)
    gain = _std("tfixup", "v", setting) / xavier(*place.fans).std
    assert gain == pytest.approx(0.638943 * layers**-0.25, rel=1e-6)
    assert _std("tfixup", "q", setting) == pytest.approx(xavier(*place.fans).std)


def test_case_e2_unequal_stacks_each_by_its_own_depth() -> None:
    setting = setting_of(6, encoder=40)
    base = xavier(768, 768).std
    decoder = _std("tfixup", "v", setting, stack="decoder") / base
    encoder = _std("tfixup", "v", setting, stack="encoder") / base
    assert decoder == pytest.approx(54**-0.25, rel=1e-6)
    s, x = encoder, 54**-0.25
    assert 2 * 40 * (2 * s * s * x * x + s**4) == pytest.approx(1.0, rel=1e-9)


def test_case_e7_torchscales_constant_for_unequal_stacks() -> None:
    setting = setting_of(6, encoder=18)
    base = xavier(768, 768).std
    paper = _std("deepnorm", "out", setting, stack="encoder") / base
    code = _std("deepnorm-torchscale", "out", setting, stack="encoder") / base
    assert paper == pytest.approx(0.377630, rel=1e-5)
    assert code == pytest.approx(0.499166, rel=1e-5)
    assert code / paper == pytest.approx(1.3218, rel=1e-4)
    assert recipe_named("deepnorm").shortcut("encoder", setting) == pytest.approx(
        1.866112, rel=1e-6
    )
    assert recipe_named("deepnorm").shortcut("decoder", setting) == pytest.approx(
        2.059767, rel=1e-6
    )
    decoder = _std("deepnorm", "v", setting, stack="decoder") / base
    assert decoder == pytest.approx(0.343295, rel=1e-5)


@pytest.mark.parametrize(
    ("layers", "alpha", "beta"), [(12, 2.2134, 0.31947), (24, 2.6321, 0.2686), (32, 2.8284, 0.25)]
)
def test_case_b7_deepnorm_of_one_stack(layers: int, alpha: float, beta: float) -> None:
    setting = setting_of(layers)
    assert recipe_named("deepnorm").shortcut("stream", setting) == pytest.approx(alpha, rel=1e-4)
    gain = _std("deepnorm", "out", setting) / xavier(768, 768).std
    assert gain == pytest.approx(beta, rel=2e-4)


def test_case_a5_wang_and_small_init() -> None:
    setting = setting_of(22, 2048)
    assert _std("wang-init", "w_out", setting) == pytest.approx(2.009e-3, rel=1e-3)
    assert _std("wang-init", "q", setting) == pytest.approx(0.01398, rel=1e-3)


def test_case_a9_clip() -> None:
    setting = setting_of(12, 512)
    assert _std("clip", "q", setting) == pytest.approx(0.044194, rel=1e-4)
    assert _std("clip", "out", setting) == pytest.approx(0.0090211, rel=1e-4)
    assert _std("clip", "w_out", setting) == pytest.approx(0.0090211, rel=1e-4)
    assert _std("clip", "w_in", setting) == pytest.approx(0.03125, rel=1e-4)


def test_mitchell_and_llama_by_layer() -> None:
    setting = setting_of(8, 256)
    for layer in (1, 4, 8):
        asked = recipe_named("mitchell").ask(place_of("w_out", setting, layer), setting)
        assert asked is not None
        assert asked.sigma == pytest.approx((2 * 1024 * layer) ** -0.5)
        assert asked.cut == 3.0
        assert _std("llama-depth", "out", setting, layer=layer) == pytest.approx(
            0.02 / math.sqrt(2 * layer)
        )


def test_t5_at_the_width_of_its_test() -> None:
    setting = replace(setting_of(2, 128), head_width=32)
    assert _std("t5", "q", setting) == pytest.approx(0.0156, rel=0.01)
    assert _std("t5", "k", setting) == pytest.approx(0.0884, rel=0.01)
    assert _std("t5", "w_out", setting) == pytest.approx(0.0442, rel=0.01)
    place = place_of("q", setting)
    assert recipe_named("t5").ask(place, replace(setting, head_width=None)) is None


def test_torchs_defaults_are_what_torch_draws() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(300, 200)
    asked = recipe_named("torch").ask(place_of("q", setting_of(1, 300)), setting_of(1, 300))
    assert asked is not None
    assert float(linear.weight.detach().std()) == pytest.approx(asked.std, rel=0.02)
    assert float(linear.weight.detach().abs().max()) <= asked.sigma * 3**0.5


@pytest.mark.parametrize(
    "name", sorted(n for n in SCHEMES if isinstance(RECIPES.get(n), SchemeRecipe))
)
def test_every_scheme_is_a_recipe_with_its_own_numbers(name: str) -> None:
    scheme, setting = SCHEMES[name], setting_of(5, 64, encoder=3)
    spec = ModelSpec(3, 5, d_model=64, d_ff=256, heads=1, vocabulary=1000)
    assert Architecture.ENCODER_DECODER in scheme.architectures
    prescription = scheme.prescribe(scheme.adapt(spec))
    matrices = {
        "v": "cross_attention.v",
        "out": "cross_attention.out_proj",
        "q": "cross_attention.q",
        "w_in": "mlp.w1",
        "w_out": "mlp.w2",
    }
    for role, ours in matrices.items():
        place = place_of(role, setting, 2, "decoder", "cross")
        wanted = prescription.factors.get(f"decoder.{ours}", 1.0)
        wanted *= 2**prescription.depth_power
        asked = RECIPES[name].ask(place, setting)
        assert asked is not None
        assert asked.std == pytest.approx(wanted * xavier(*place.fans).std)


def test_every_recipe_says_what_it_assumes_and_leaves() -> None:
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.rule
        assert recipe.source
        assert recipe.wiring
        assert recipe.leaves
    assert set(ALIASES.values()) <= set(RECIPES)
    assert not set(ALIASES) & set(RECIPES)


def test_numbers_of_a_recipe_can_be_changed() -> None:
    assert _std("gpt2:std=0.006", "q", setting_of(2)) == 0.006
    for bad, words in (
        ("gpt2:std=", "must be a number"),
        ("gpt2:std=-1", "must be positive"),
        ("gpt2:sigma=1", "takes std=NUMBER"),
        ("tfixup:std=1", "takes no numbers"),
        ("gtp2", "did you mean 'gpt2'"),
    ):
        with pytest.raises(InputError, match=words):
            recipe_named(bad)


def test_a_recipe_for_two_stacks_refuses_one() -> None:
    setting = setting_of(4)
    with pytest.raises(InputError, match="must be used on encoder-decoder"):
        recipe_named("tfixup-code").ask(place_of("v", setting), setting)
