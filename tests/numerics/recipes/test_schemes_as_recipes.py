"""Schemes on the sizes of somebody's model: multipliers, roles, distributions, one stack or two."""

from dataclasses import replace

import pytest

from numerics.recipes import RECIPES, recipe_named
from numerics.recipes.draw import constant
from numerics.recipes.from_scheme import FROM_SCHEMES, prescribed, role_in_scheme
from tests.numerics.recipes.places import place_of, setting_of

ONE, TWO = setting_of(8, 64), setting_of(6, 64, encoder=18)
MULTIPLIERS = {
    # √(2/N) and 2/N: base depth 2.
    "depth-mup": (1.0, 0.5, (2 / 18) ** 0.5, (2 / 6) ** 0.5),
    "completep": (1.0, 2 / 8, 2 / 18, 2 / 6),
    "xavier": (1.0, 1.0, 1.0, 1.0),
}


@pytest.mark.parametrize("name", MULTIPLIERS)
def test_multipliers_of_branches_by_the_depth_of_their_stack(name: str) -> None:
    shortcut, alone, encoder, decoder = MULTIPLIERS[name]
    recipe = FROM_SCHEMES[name]
    assert recipe.multiplier("stream", ONE) == pytest.approx(alone)
    assert recipe.multiplier("encoder", TWO) == pytest.approx(encoder)
    assert recipe.multiplier("decoder", TWO) == pytest.approx(decoder)
    for stack, setting in (("stream", ONE), ("encoder", TWO), ("decoder", TWO)):
        assert recipe.shortcut(stack, setting) == shortcut


def test_multipliers_of_one_stack_that_keep_the_streams_variance() -> None:
    recipe = FROM_SCHEMES["deepscalelm"]
    assert recipe.multiplier("stream", ONE) == pytest.approx(16**-0.5)
    assert recipe.shortcut("stream", ONE) == pytest.approx((1 - 1 / 16) ** 0.5)
    # u-μP has numbers of its own for every block.
    assert FROM_SCHEMES["u-mup"].multiplier("stream", ONE) is None
    assert FROM_SCHEMES["u-mup"].shortcut("stream", ONE) is None


def test_deepnorm_of_an_encoder_alone_is_that_of_one_stack() -> None:
    alone = replace(TWO, stacks={"encoder": TWO.stacks["encoder"]})
    spec, _ = prescribed(FROM_SCHEMES["deepnorm"].scheme, alone)
    assert (spec.has_encoder, spec.has_decoder) == (False, True)
    assert (spec.decoder_layers, spec.d_model, spec.d_ff) == (18, 64, 256)
    found = recipe_named("deepnorm").shortcut("encoder", alone)
    assert found == pytest.approx((2 * 18) ** 0.25)


def test_sizes_that_a_model_does_not_have() -> None:
    bare = replace(ONE, d_ff=None, vocabulary=None, stacks={})
    spec, _ = prescribed(FROM_SCHEMES["xavier"].scheme, bare)
    assert (spec.d_ff, spec.vocabulary, spec.decoder_layers, spec.encoder_layers) == (256, 1, 1, 0)
    spec, _ = prescribed(FROM_SCHEMES["xavier"].scheme, TWO)
    assert (spec.d_ff, spec.vocabulary, spec.decoder_layers, spec.encoder_layers) == (
        *(256, 1000, 6, 18),
    )


@pytest.mark.parametrize(
    ("role", "stack", "kind", "name"),
    [
        ("q", "encoder", "", "encoder.attention.q"),
        ("out", "encoder", "", "encoder.attention.out_proj"),
        ("k", "decoder", "", "decoder.self_attention.k"),
        ("v", "decoder", "cross", "decoder.cross_attention.v"),
        ("w_in", "encoder", "", "encoder.mlp.w1"),
        ("gate", "decoder", "", "decoder.mlp.w1"),
        ("w_out", "decoder", "", "decoder.mlp.w2"),
        ("norm_gain", "decoder", "", None),
        ("embedding", "encoder", "", None),
    ],
)
def test_names_of_roles_in_a_scheme(role: str, stack: str, kind: str, name: str | None) -> None:
    spec, _ = prescribed(FROM_SCHEMES["xavier"].scheme, TWO)
    place = place_of(role, TWO, 2, stack, kind)
    assert role_in_scheme(place, spec) == name
    if name is None or place.role in ("w_in", "gate", "w_out"):
        return
    assert role_in_scheme(replace(place, branch=None), spec) is None
    only, _ = prescribed(FROM_SCHEMES["dt-fixup"].scheme, ONE)
    if not only.has_decoder:
        assert role_in_scheme(place, only) == f"encoder.attention.{name.rpartition('.')[2]}"


@pytest.mark.parametrize(
    ("name", "role", "kind", "std"),
    [
        ("flat", "q", "normal", 0.02),
        ("olmo2", "q", "truncated", 0.02),
        ("zero-out", "q", "uniform", 0.5 / 8),
        ("zero-out", "embedding", "normal", 1.0),
        ("mitchell", "q", "truncated", 1 / 8),
    ],
)
def test_distributions_that_a_scheme_draws_itself(
    name: str, role: str, kind: str, std: float
) -> None:
    found = FROM_SCHEMES[name].ask(place_of(role, ONE), ONE)
    assert found is not None
    assert (found.kind, found.std) == (kind, pytest.approx(std, rel=0.02))
    if name == "zero-out":
        for writer in ("out", "w_out"):
            assert FROM_SCHEMES[name].ask(place_of(writer, ONE), ONE) == constant(0.0)


def test_writers_by_layer_where_the_scheme_draws_them() -> None:
    for layer in (1, 4, 8):
        place = place_of("w_out", ONE, layer)
        found = FROM_SCHEMES["torchtitan"].ask(place, ONE)
        assert found is not None
        assert found.std == pytest.approx(0.02 / (2 * layer) ** 0.5, rel=0.02)


def test_sources_and_names_are_their_own() -> None:
    assert recipe_named("bert-truncated").source == "google-research/bert"
    assert recipe_named("bert").source.startswith("Devlin et al., 2019")
    assert recipe_named("modernbert").source.startswith("Warner et al., 2024")
    assert recipe_named("torch-transformer").source == "torch.nn.Transformer"
    assert recipe_named("torch").source.startswith("torch.nn.Linear")
    assert recipe_named("torchtitan") is RECIPES["llama-depth"]
    assert FROM_SCHEMES["tfixup"].source == FROM_SCHEMES["tfixup"].scheme.source
    for name, recipe in FROM_SCHEMES.items():
        assert (recipe.name, recipe.scheme.name) == (name, name)
