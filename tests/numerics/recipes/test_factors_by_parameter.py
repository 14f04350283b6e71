"""Learning rates by role: a scheme's factors on a model of somebody else."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from numerics.models import Architecture, single_stack
from numerics.own_model.check.check import check
from numerics.recipes.factors import Factors
from numerics.recipes.factors_by_parameter import factors_by_parameter
from numerics.recipes.param_groups import param_groups
from numerics.recipes.place import places, setting_of
from numerics.recipes.published_factors import PublishedFactors, published_factors
from numerics.schemes import build, scheme_named
from numerics.structure.trace import trace_structure
from tests.numerics.own_model.check.models import Model, gpt2_, tokens
from tests.numerics.recipes.places import place_of
from tests.numerics.recipes.places import setting_of as sizes
from theory.errors import InputError


def factors(scheme: str, layers: int, width: int) -> dict[str, float]:
    model, ids = Model(layers, d=width), tokens()
    found = factors_by_parameter(model, scheme, trace_structure(model, ids))
    return {name: own.rate for name, own in found.items()}


@pytest.mark.parametrize(("layers", "width"), [(2, 64), (8, 64), (8, 256)])
def test_completeps_rates_fall_with_the_width(layers: int, width: int) -> None:
    found = factors("completep", layers, width)
    assert found["blocks.0.attention.q.weight"] == pytest.approx(256 / width)
    assert found["blocks.1.mlp.w2.weight"] == pytest.approx(256 / width)
    assert found["embedding.weight"] == found["blocks.0.norm1.weight"] == 1


@pytest.mark.parametrize("layers", [2, 8])
def test_depth_mups_rates_fall_with_the_depth(layers: int) -> None:
    found = factors("depth-mup", layers, 48)
    for name in ("blocks.0.attention.q.weight", "blocks.1.norm2.bias"):
        assert found[name] == pytest.approx((2 / layers) ** 0.5)
    assert found["embedding.weight"] == found["head.weight"] == 1


def test_a_step_with_a_schemes_rates() -> None:
    def make(n: int) -> tuple[Model, torch.Tensor]:
        return gpt2_(Model(n)), tokens()

    plain = check(make, (2, 4, 8), ("adamw",), seeds=1)
    scaled = check(make, (2, 4, 8), ("adamw",), seeds=1, rates="depth-mup")
    groups = [{g.name: g.series for g in c.optimizers[0].groups} for c in (plain, scaled)]
    for name, factor in (("w_out", 0.5), ("q", 0.5), ("embedding", 1.0)):
        assert groups[1][name].at(8) == pytest.approx(factor * groups[0][name].at(8))
        assert groups[1][name].at(2) == pytest.approx(groups[0][name].at(2))


def test_rates_need_a_scheme_and_roles() -> None:
    with pytest.raises(InputError, match="completep"):
        check(lambda n: Model(n), (2, 3, 4), rates="complete")
    linear = torch.nn.Linear(4, 4)
    with pytest.raises(InputError, match="understood structure"):
        factors_by_parameter(linear, "depth-mup", None)


@pytest.mark.parametrize("name", ["depth-mup", "completep"])
def test_a_scheme_has_the_factors_of_its_published_formulas(name: str) -> None:
    model, ids = Model(8, d=64), tokens()
    structure = trace_structure(model, ids)
    setting = setting_of(structure, model)
    published = published_factors(name, setting, 2, 256)
    ours = factors_by_parameter(model, name, structure)
    for place in places(structure, model):
        asked, own = published.factors_of(place), ours[place.name]
        assert own.rate == pytest.approx(asked.rate), place.name
        assert own.weight_decay == pytest.approx(asked.weight_decay), place.name
        assert own.epsilon == pytest.approx(asked.epsilon), place.name


def test_a_published_parametrisation_that_is_no_scheme() -> None:
    model, ids = Model(2, d=64), tokens()
    structure = trace_structure(model, ids)
    found = factors_by_parameter(model, "mup", structure, base_width=32)
    assert found["blocks.0.attention.q.weight"].rate == pytest.approx(0.5)
    assert found["embedding.weight"].rate == 1
    found = factors_by_parameter(model, scheme_named("completep"), structure, base_width=32)
    assert found["blocks.0.mlp.w2.weight"].rate == pytest.approx(0.5)


def test_groups_of_our_own_models_say_which_are_hidden() -> None:
    spec = single_stack(Architecture.DECODER_ONLY, 3)
    model = build("depth-mup", spec, torch.Generator().manual_seed(0))
    groups: list[Any] = param_groups(model, "depth-mup", 1e-3)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    held = {names[id(p)]: group["hidden"] for group in groups for p in group["params"]}
    assert sorted(held) == sorted(names.values())
    hidden = {name for name, inside in held.items() if inside}
    assert hidden == {name for name, p in model.named_parameters() if "branch" in name}
    torch.optim.Muon([group for group in groups if group["hidden"]])


def test_published_factors_of_two_streams_by_stream_and_role() -> None:
    setting = sizes(6, 64, encoder=18)
    rates = published_factors("tfixup-adam-rates", setting, 2, 256)
    depth = 18**-0.5  # of the deepest stack
    for stack in ("encoder", "decoder"):
        for role in ("q", "k", "v", "out", "w_in", "gate", "w_out"):
            place = place_of(role, setting, stack=stack)
            assert rates.factors_of(place).rate == pytest.approx(depth)
        for role in ("embedding", "positions", "head", "norm_gain", "scalar"):
            assert rates.factors_of(place_of(role, setting, stack=stack)).rate == 1
    named = {name: Factors(float(rate), 1.0, 1.0) for rate, name in enumerate(STREAM_ROLES, 2)}
    told = PublishedFactors(True, named)
    for stack, table, first in (("encoder", "source", 4), ("decoder", "target", 7)):
        own = {role: told.factors_of(place_of(role, setting, stack=stack)).rate for role in ROLES}
        right = (first, first, *(first + 1,) * 3, *(first + 2,) * 2)
        assert own == dict(zip(ROLES, right, strict=True))
        tables = told.factors_of(place_of("embedding", setting, stack=stack))
        assert tables == named[table]
    one = PublishedFactors(False, {"embedding": Factors(2.0, 1.0, 1.0)})
    assert one.factors_of(place_of("positions", setting, stack="decoder")).rate == 2


ROLES = ("q", "k", "v", "w_in", "gate", "out", "w_out")
STREAM_ROLES = (
    *("source", "target", "encoder.score", "encoder.in", "encoder.out"),
    *("decoder.score", "decoder.in", "decoder.out"),
)


def test_rates_of_weights_that_the_forward_multiplies_are_refused() -> None:
    words = r"recipe u-mup multiplies score by 1/sqrt\(n\) in the forward"
    with pytest.raises(InputError, match=words):
        published_factors("u-mup", sizes(8, 64), 2, 256)
    for base in ((0, 256), (2, 0)):
        with pytest.raises(InputError, match="got 0"):
            published_factors("mup", sizes(8, 64), *base)
    none = replace(sizes(8, 64), stacks={})
    # Without a stack the depth is 1: depth-μP's √(2/1).
    assert published_factors("depth-mup", none, 2, 64).factors["out"].rate == pytest.approx(2**0.5)


def test_one_parameter_has_one_rate() -> None:
    model, ids = Model(2, d=64), tokens()
    structure = trace_structure(model, ids)
    views = tuple(
        replace(view, parameter="blocks.0.attention.q.weight")
        if view.parameter == "embedding.weight"
        else view
        for view in structure.views
    )
    words = "blocks.0.attention.q.weight holds tensors with different factors on the rate: "
    with pytest.raises(InputError, match=f"{words}(embedding 1, q 4|q 4, embedding 1)"):
        factors_by_parameter(model, "completep", replace(structure, views=views))


@pytest.mark.parametrize(
    ("recipe", "base", "factor"),
    [
        ("mup", {"base_width": 32}, 0.5),
        ("mup", {}, 4.0),
        ("completep", {"base_width": 32}, 0.5),
        ("depth-mup", {"base_layers": 8}, 2.0),
        ("depth-mup", {}, 1.0),
    ],
)
def test_groups_have_the_base_at_which_the_rate_was_tuned(
    recipe: str, base: dict[str, Any], factor: float
) -> None:
    """n₀/n at a width of 64, or √(N₀/N) at two layers."""
    model = Model(2, d=64)
    query = dict(model.named_parameters())["blocks.0.attention.q.weight"]
    groups: list[Any] = param_groups(model, recipe, 1e-3, batch=tokens(), **base)
    (rate,) = {group["lr"] for group in groups for p in group["params"] if p is query}
    assert rate == pytest.approx(1e-3 * factor)
    structure = trace_structure(model, tokens())
    known: list[Any] = param_groups(model, recipe, 1e-3, structure=structure, **base)
    assert [group["lr"] for group in known] == [group["lr"] for group in groups]
