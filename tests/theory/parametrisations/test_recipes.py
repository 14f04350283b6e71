"""Recipes' numbers against the values that their sources print or ship."""

import math

import pytest

from theory.errors import InputError
from theory.parametrisations.prescriptions import evaluated, prescribe
from theory.parametrisations.recipes import power_recipe_named
from theory.parametrisations.step_laws import law_named
from theory.parametrisations.structures import STRUCTURES, structure_named


def numbers(name, layers, width, **more):
    return evaluated(power_recipe_named(name), layers, width, **more)


def test_published_standard_deviations():
    assert numbers("gpt2", 12, 768)["out"].std == pytest.approx(0.00408, abs=5e-6)
    assert numbers("gpt2", 48, 1600)["out"].std == pytest.approx(0.00204, abs=5e-6)
    assert numbers("wang", 44, 6144)["out"].std == pytest.approx(0.00058, abs=5e-6)
    assert numbers("wang", 44, 6144)["in"].std == pytest.approx(math.sqrt(2 / (5 * 6144)))
    assert numbers("mitchell", 8, 64, layer=3)["out"].std == pytest.approx(1 / math.sqrt(384))
    deep = numbers("deepnorm", 24, 64)
    assert deep["shortcut"].multiplier == pytest.approx(48**0.25)
    assert deep["out"].std * 8 == pytest.approx(192**-0.25)


def test_tfixup_and_its_squares():
    paper, squared = numbers("tfixup", 6, 64), numbers("tfixup-adam", 6, 64)
    assert paper["encoder.out"].std * 8 == pytest.approx(0.67 * 6**-0.25)
    assert paper["decoder.in"].std * 8 == pytest.approx(54**-0.25)
    assert paper["target"].std * paper["target"].multiplier == pytest.approx(54**-0.25)
    for role in ("encoder.out", "decoder.in"):
        assert squared[role].std * 8 == pytest.approx((paper[role].std * 8) ** 2)


def test_rates_by_role():
    half = numbers("depth-mup", 32, 64)
    assert (half["branch"].multiplier, half["out"].rate, half["embedding"].rate) == (0.25, 0.25, 1)
    complete = numbers("completep", 8, 512)
    assert (complete["branch"].multiplier, complete["in"].rate) == (0.25, 0.5)
    assert (complete["in"].weight_decay, complete["gain"].rate) == (2, 1)
    assert complete["in"].epsilon == 0.125
    assert complete["head"].multiplier == 0.5
    assert numbers("u-mup", 8, 64)["in"].rate == pytest.approx(1 / 32)


def test_broken_rules_are_named():
    with pytest.raises(InputError, match="layers must be an integer"):
        numbers("gpt2", 0, 64)
    with pytest.raises(InputError, match="differs by layer"):
        numbers("mitchell", 8, 64)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("law", ["sgd", "adamw", "muon", "lamb"])
@pytest.mark.parametrize("multipliers", [True, False])
def test_every_structure_gets_factors_that_meet_its_conditions(structure, law, multipliers):
    found = prescribe(
        structure_named(structure), law_named(law), 64, base_layers=4, multipliers=multipliers
    )
    missed = {item.condition.split(":")[0] for item in found.judgement.missed}
    # A bias of 0 gets no step that is a fraction of it.
    excused = {"inside", "share"} if law == "lamb" and "bias" in found.factors else {"inside"}
    assert missed <= excused
    if not multipliers:
        constants = {
            role for role, kind in structure_named(structure).kinds.items() if kind == "constant"
        }
        assert all(found.factors[role].multiplier == 1 for role in constants - {"shortcut"})


@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_complete_member_misses_nothing_but_the_memory(structure):
    found = prescribe(structure_named(structure), law_named("adamw"), 64, complete=True)
    missed = {item.condition for item in found.judgement.missed}
    assert missed == ({"memory: encoder"} if "encoder" in structure else set())


def test_completep_for_an_encoder_decoder():
    wired = structure_named("pre-norm-encoder-decoder")
    found = prescribe(wired, law_named("adamw"), 16, complete=True).factors
    assert found["decoder.branch"].multiplier == 1 / 16
    assert found["encoder.branch"].multiplier == 1 / 4
    assert found["source"].rate == 4
    assert found["encoder.in"].rate == found["decoder.in"].rate == found["target"].rate == 1
