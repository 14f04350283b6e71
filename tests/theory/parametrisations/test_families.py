import pytest
import sympy as sp

from theory.parametrisations.certificates import Contradiction
from theory.parametrisations.conditions import STANDARD
from theory.parametrisations.families import Question, multiplier, rate, solve, std
from theory.parametrisations.recipes import power_recipe_named
from theory.parametrisations.step_laws import law_named
from theory.parametrisations.structures import structure_named

HALF, QUARTER = sp.Rational(1, 2), sp.Rational(1, 4)
BIASED = structure_named("pre-norm-biased")
UNITS = tuple(
    (f"{role} keeps its size", std(role)) for role in ("in", "out", "score", "gain", "head")
)


def tied(*forms):
    return tuple((str(form), form) for form in forms)


def asked(law="adamw", families=STANDARD, **more):
    return Question(BIASED, law_named(law), families, **{"ties": UNITS, **more})


def test_depth_mup_and_completep_are_one_family():
    found = solve(asked())
    assert found.members == ("depth-mup", "completep")
    assert found[rate("out")] == -1 - multiplier("branch")
    assert found.range(multiplier("branch")) == (-sp.oo, -HALF)
    assert found.range(rate("in")) == (-HALF, sp.oo)


def test_a_full_stream_gives_depth_mup_and_the_demand_inside_gives_completep():
    full = solve(asked(ties=(*UNITS, ("a full stream", multiplier("branch") + HALF))))
    assert (full[rate("out")], full.members) == (-HALF, ("depth-mup",))
    complete = solve(asked(families=(*STANDARD, "inside")))
    assert (complete[multiplier("branch")], complete[rate("in")]) == (-1, 0)
    assert (complete.free, complete.members) == ((), ("completep",))


def test_sgd_keeps_its_rate_with_the_full_stream():
    full = solve(asked("sgd", ties=(*UNITS, ("a full stream", multiplier("branch") + HALF))))
    assert (full[rate("out")], full.members) == (0, ("depth-mup-sgd",))


def test_tfixup_is_the_one_solution_under_sgd():
    structure = structure_named("encoder-decoder")
    scores = ("encoder.score", "decoder.score")
    one_rate = tied(*(rate(role) for role in structure.trained))
    plain = tied(multiplier("encoder.branch"), multiplier("decoder.branch"), *map(std, scores))
    found = solve(
        Question(
            structure,
            law_named("sgd"),
            (*STANDARD, "memory"),
            ties=one_rate + plain,
            without=scores,
        )
    )
    roles = ("encoder.in", "encoder.out", "decoder.in", "decoder.out", "source", "target")
    assert {found[std(role)] for role in roles} == {-QUARTER}
    assert (found.free, found.members) == ((), ("tfixup",))


def test_squared_scales_are_what_one_scale_for_all_gives_under_adam():
    structure = structure_named("norm-free")
    ties = tied(
        *(rate(role) for role in structure.trained),
        multiplier("branch"),
        std("embedding") - std("in"),
    )
    for law, power in (("sgd", -QUARTER), ("adam", -HALF)):
        question = Question(structure, law_named(law), ties=ties, without=("score",))
        found = solve(question)
        assert {found[std(role)] for role in ("in", "out", "embedding")} == {power}


@pytest.mark.parametrize(
    ("law", "inputs", "hidden", "outputs"),
    [
        ("adam", 0, -1, -1),
        ("sgd", 1, 0, -1),
        ("muon", 0, 0, -1),
        ("muon-spectral", 0, 0, -1),
        ("muon-match-rms-adamw", 0, -HALF, -1),
    ],
)
def test_mup_over_the_width(law, inputs, hidden, outputs):
    found = solve(
        Question(
            BIASED,
            law_named(law),
            (*STANDARD, "inside"),
            "width",
            ties=tied(multiplier("branch")),
        )
    )
    assert {found[rate(role)] for role in ("embedding", "bias", "gain")} == {inputs}
    assert {found[rate(role)] for role in ("in", "out")} == {hidden}
    assert found[rate("head")] == outputs
    assert (found[std("embedding")], found[std("in")], found[std("head")]) == (0, -HALF, -1)
    if law == "adam":
        assert found.members == ("completep", "mup")


def test_members_meet_and_others_do_not():
    found = solve(asked())
    assert found.contains(power_recipe_named("completep").powers())
    assert not found.contains(power_recipe_named("gpt2").powers())
    assert solve(asked("sgd")).members == ("depth-mup-sgd",)


def test_contradicting_demands_give_a_certificate():
    kept = asked(ties=(*UNITS, ("branches as they are", multiplier("branch"))))
    with pytest.raises(Contradiction, match="stream: stream") as caught:
        solve(kept)
    found = caught.value.certificate
    assert found.valid
    assert found.total == 1
    assert any(item.name == "stream: stream" for _, item in found.terms)
