from dataclasses import replace

import pytest
import sympy as sp

from theory.errors import InputError
from theory.parametrisations.judgement import judge, repaired_rates
from theory.parametrisations.powers import DEPTH, RolePowers
from theory.parametrisations.recipes import RECIPES, PowerRecipe, from_powers, power_recipe_named
from theory.parametrisations.step_laws import STEP_LAWS, law_named
from theory.scales.architectures import encoder_decoder
from theory.scales.depth_powers import encoder_share
from theory.scales.learning_rates import change_power
from theory.scales.solver import solve
from theory.scales.tfixup_constants import N
from theory.scales.update_rules import RULES, SGD, SIGN

HALF = sp.Rational(1, 2)


def judged(name, law, axis="depth"):
    return judge(power_recipe_named(name), law_named(law), axis)


@pytest.mark.parametrize("law", ["adamw", "muon", "lion", "adam-noise"])
def test_depth_mup_and_completep_differ_inside_their_blocks(law):
    half = judged("depth-mup", law)
    assert [item.condition for item in half.missed] == [
        "inside: in",
        "inside: out",
        "inside: score",
    ]
    assert {item.power for item in half.missed} == {-HALF}
    assert judged("completep", law).missed == ()
    assert judged("completep", law)["stream: stream"].power == -HALF


def test_gpt2_keeps_the_stream_and_misses_the_update_by_one():
    for law, read in (("adamw", HALF), ("sgd", 0)):
        found = judged("gpt2", law)
        assert found["stream: stream"].met
        assert (found["update"].power, found["update"].met) == (1, False)
        assert (found.changes["out"].power, found.changes["in"].power) == (1, read)
        assert found["share: out"].met
        assert not found["share: embedding"].met
    # Steps that are a fraction of the weight see the small output matrix.
    assert judged("gpt2", "lamb").total.power == HALF


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "lion", "muon", "lars", "lamb"])
def test_tfixup_has_the_powers_that_the_scales_solver_finds(name):
    paper = solve(encoder_decoder(N, N), SGD)
    assert judged("tfixup", name).total.power == change_power(paper, RULES[name])


def test_squared_scales_lose_the_encoder_as_the_scales_solver_says():
    squared = solve(encoder_decoder(N, N), SIGN)
    assert encoder_share(squared, SIGN).has(N)
    found = judged("tfixup-adam", "adam")
    assert found.total.power == 0
    assert {found[f"share: encoder.{role}"].power for role in ("in", "out")} == {-HALF}
    assert found["memory: encoder"].power == -HALF
    assert found["share: decoder.out"].met


def test_rates_repair_tfixup_and_gpt2_under_adam():
    for name in ("tfixup", "gpt2", "deepnorm", "flat", "wang"):
        recipe, law = power_recipe_named(name), law_named("adamw")
        rates = repaired_rates(recipe, law)
        rules = {role: recipe.rule(role) for role in recipe.wired.used}
        repaired = PowerRecipe(
            "repaired",
            recipe.structure,
            {
                role: RolePowers(rule.multiplier, rule.std, DEPTH ** rates.get(role, 0))
                for role, rule in rules.items()
            },
            "adamw",
            "repaired",
        )
        found = judge(repaired, law)
        assert found.total.power == 0
        assert {change.power for change in found.changes.values()} == {0}
    rates = repaired_rates(power_recipe_named("tfixup"), law_named("adam"))
    assert (rates["encoder.in"], rates["decoder.out"], rates["source"]) == (-HALF, -HALF, 0)


def test_a_stream_that_starts_too_small_changes_completep_and_not_depth_mup():
    # Measured over N = 8 … 64 with an embedding of size 0.1 instead of 1, where the branches' sum
    # 2/√N exceeds it: CompleteP +0.42 (sign), -0.11 (SGD), stream N^(-1.05 / 2); depth-μP +0.13.
    def from_nothing(name, law):
        recipe = power_recipe_named(name)
        rules = {**recipe.rules, "embedding": RolePowers(std=1 / DEPTH)}
        return judge(replace(recipe, rules=rules), law_named(law))

    assert from_nothing("completep", "adamw").changes["out"].power == HALF
    assert from_nothing("completep", "sgd").changes["out"].power == 0
    assert not from_nothing("completep", "adamw")["start: stream"].met
    assert from_nothing("completep", "adamw")["stream: stream"].power == HALF
    assert from_nothing("depth-mup", "adamw").changes["out"].power == 0


def test_peri_ln_and_the_branch_norm_change_no_power_of_pre_ln():
    for law in ("sgd", "adamw", "muon"):
        flat = judged("flat", law)
        assert judged("peri-ln", law).total == judged("olmo2", law).total == flat.total


def test_zero_outputs_move_f_through_the_outputs_alone():
    found = judged("zero-out", "adamw")
    moving = {role for role, change in found.changes.items() if change.power != -sp.oo}
    assert moving == {"out", "embedding", "head"}
    assert found.changes["out"].power == 1
    assert found["share: in"].power == -sp.oo


def test_an_outgrown_stream_without_norms_is_no_power_law():
    given = {"embedding": ("0", "0", "0")}
    assert not judge(from_powers("big", "norm-free", given), law_named("sgd")).regular
    assert judged("tfixup", "sgd").regular
    assert judged("flat", "sgd").regular


def test_mup_is_a_rule_of_the_width_under_adam_and_not_under_sgd():
    assert judged("mup", "adamw", "width").missed == ()
    assert judged("completep", "adamw", "width").missed == ()
    assert judged("u-mup", "adamw", "width").missed == ()
    assert judged("mup", "sgd", "width").total.power == -1
    assert judged("flat", "adamw", "width").total.power == sp.Rational(3, 2)


def test_held_out_recipes():
    powers = {"branch": ("-3/4", "0", "0")}
    powers |= dict.fromkeys(("in", "out", "score", "gain"), ("0", "0", "-1/4"))
    found = judge(from_powers("held out", "pre-norm", powers), law_named("adamw"))
    assert found.total.power == 0
    assert {item.condition for item in found.missed} == {
        f"inside: {role}" for role in ("in", "out", "score")
    }
    assert {item.power for item in found.missed} == {-sp.Rational(1, 4)}
    quarter = ("0", "-1/4", "-1/4")
    names = ("encoder.in", "encoder.out", "decoder.in", "decoder.out", "source", "target")
    found = judge(
        from_powers("held out", "encoder-decoder", dict.fromkeys(names, quarter)), law_named("muon")
    )
    assert found.total.power == sp.Rational(1, 4)
    assert found["share: source"].power == -HALF


def test_every_recipe_can_be_judged_under_every_law():
    for recipe in RECIPES.values():
        for law in STEP_LAWS.values():
            for axis in recipe.extent:
                assert judge(recipe, law, axis).items


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(InputError, match="did you mean 'completep'"):
        power_recipe_named("complete-p")
    with pytest.raises(InputError, match="role of pre-norm"):
        from_powers("mine", "pre-norm", {"outs": ("0", "0", "0")})
    with pytest.raises(InputError, match="structure"):
        from_powers("mine", "prenorm", {"out": ("0", "0", "0")})
    with pytest.raises(InputError, match="rational"):
        from_powers("mine", "pre-norm", {"out": ("0", "x", "0")})
