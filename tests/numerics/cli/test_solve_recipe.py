"""``tfixup solve`` for recipes: conditions met and missed, families, factors, errors."""

import json

import pytest

from numerics.cli.main import run


def document(capsys, *arguments):
    assert run(["solve", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_gpt2_misses_the_update_by_one(capsys):
    found = document(capsys, "--recipe", "gpt2", "--optimizer", "adamw")
    missed = {item["condition"]: item["power"] for item in found["missed"]}
    assert missed["update"] == "1"
    assert missed["share: embedding"] == "-1"
    assert "stream: stream" in {item["condition"] for item in found["met"]}
    assert found["roles"]["out"]["repaired_rate"] == "-1"
    assert found["changes"]["out"] == {"gradient": "0", "power": "1", "logarithm": False}


def test_completep_misses_nothing_under_adam_and_every_share_under_sgd(capsys):
    assert document(capsys, "--recipe", "completep", "--optimizer", "adamw")["missed"] == []
    found = document(capsys, "--recipe", "completep", "--optimizer", "sgd")
    assert found["stated_for"] == "adamw"
    assert {item["power"] for item in found["missed"]} == {"-1"}


def test_a_recipe_of_ones_own(capsys):
    rates = [f"{role}=0,0,-1/4" for role in ("in", "out", "score", "gain")]
    found = document(
        capsys,
        "--structure",
        "pre-norm",
        "--powers",
        "branch=-3/4,0,0",
        *rates,
        "--optimizer",
        "adamw",
    )
    assert found["total"] == "0"
    assert {item["condition"] for item in found["missed"]} == {
        "inside: in",
        "inside: out",
        "inside: score",
    }


def test_a_structure_alone_gives_the_family_and_numbers(capsys):
    arguments = ("--structure", "pre-norm-biased", "--optimizer", "adamw", "--layers", "64")
    found = document(capsys, *arguments, "--base-layers", "4")
    assert found["members"] == ["depth-mup", "completep"]
    ways = found["prescriptions"]
    assert ways["as large as a steady stream allows"]["branch"]["multiplier"] == 0.25
    assert ways["complete"]["branch"]["multiplier"] == 1 / 16
    assert ways["the same without multipliers"]["out"] == {
        "multiplier": 1.0,
        "std": 0.25,
        "rate": 0.0625,
    }


def test_the_width_and_the_numbers_of_a_recipe(capsys):
    found = document(capsys, "--recipe", "mup", "--optimizer", "adamw", "--axis", "width")
    assert found["missed"] == []
    found = document(capsys, "--recipe", "gpt2", "--optimizer", "adamw", "--layers", "12")
    assert found["factors"]["out"]["std"] == pytest.approx(0.00408, abs=5e-6)


def test_text(capsys):
    assert run(["solve", "--recipe", "gpt2", "--optimizer", "sgd"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "f moves by N in a step" in printed
    assert "stated for adamw" in printed
    assert run(["solve", "--structure", "norm-free", "--optimizer", "adam", "--layers", "8"]) == 0
    assert "every recipe that meets the conditions" in capsys.readouterr().out
    assert run(["solve", "--recipe", "deepnorm", "--optimizer", "adam", "--layers", "8"]) == 0
    assert "at layer 8 of 8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "gpt3"], "did you mean 'gpt2'"),
        (["--recipe", "gpt2", "--optimizer", "adan"], "unknown optimizer"),
        (["--recipe", "gpt2", "--axis", "deep"], "unknown axis"),
        (["--recipe", "gpt2", "--structure", "pre-norm"], "either --recipe or --structure"),
        (["--recipe", "gpt2", "--layers", "N"], "number of layers"),
        (["--structure", "prenorm"], "unknown structure"),
        (["--structure", "pre-norm", "--powers", "out=1"], "ROLE=MULTIPLIER,STD,RATE"),
        (["--structure", "pre-norm", "--powers", "oot=0,0,0"], "did you mean 'out'"),
        (["--structure", "pre-norm", "--powers", "out=a,0,0"], "rational"),
    ],
)
def test_a_broken_rule_is_one_line_and_code_2(arguments, message, capsys):
    assert run(["solve", *arguments]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert shown.out == ""
