"""``tfixup solve --model --measure``: refusals, the record, and what is said of each group."""

import json
from pathlib import Path

import pytest

from numerics.cli.main import run
from numerics.cli.solve_measured import sentences
from numerics.own_model.check.common_part import CommonPart, common_part
from numerics.own_model.check.solved_models import SolvedExponents, SolvedRow
from numerics.statistics.exponents import power_law

MODEL = "docs/tutorials/my_decoder.py:make"
DEPTHS = (4, 8, 16, 32, 64)


def of(group, law, seeds=3, scatter=0.005):
    return [
        SolvedRow(n, seed, group, law(n) * (1 + scatter * (seed - 1)))
        for n in DEPTHS
        for seed in range(seeds)
    ]


def exponents(rows):
    points = {
        group: ([r.layers for r in rows if r.group == group],
                [r.change for r in rows if r.group == group])
        for group in dict.fromkeys(row.group for row in rows)
    }  # fmt: skip
    return SolvedExponents(
        "adamw",
        tuple(rows),
        {group: power_law(*own) for group, own in points.items()},
        ("q", "v"),
        {group: common_part(*own) for group, own in points.items()},
        "the input of the head",
    )


@pytest.mark.parametrize(
    ("law", "word"),
    [
        (lambda _: 3.0, "flat"),
        (lambda n: (1 + 16 / n) ** 0.5, "levels off"),
        (lambda n: n**-0.25, "shrinks"),
        (lambda n: n**0.5, "grows"),
        (lambda n: (16 / n) ** 0.5, "shrinks"),
    ],
)
def test_what_a_group_does_is_told_from_its_law(law, word):
    assert exponents(of("q", law)).word("q") == word


def test_the_common_part_is_found():
    found = common_part(*zip(*((n, (1 + 16 / n) ** 0.5) for n in (*DEPTHS, *DEPTHS)), strict=True))
    assert isinstance(found, CommonPart)
    assert found.share == pytest.approx(1 / (1 + 16 / 64))
    assert found.start == pytest.approx(1 / (1 + 16 / 4))
    assert found.exponent == pytest.approx(-0.1)


@pytest.mark.parametrize("seeds", [1])
def test_one_model_per_depth_tells_no_law(seeds):
    assert exponents(of("q", lambda n: 1 + 16 / n, seeds)).common["q"] is None


def test_the_words_name_who_levels_off():
    rows = of("total", lambda _: 5.0) + of("q", lambda n: (1 + 16 / n) ** 0.5)
    said = " ".join(sentences(exponents(rows), 64))
    assert "Levels off: q." in said
    assert "q 20% and 80%" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--measure", "4,8"), "at least 3 depths"),
        (("--measure", "4,8,16", "--seeds", "1"), "seeds must be between 2 and 1000"),
        (("--measure", "4,8,16", "--layers", "8"), "--layers is not read with --measure"),
        (("--out", "anywhere"), "--out is read with --measure alone"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_line(options, words, capsys):
    assert run(["solve", "--model", MODEL, "--optimizer", "adamw", *options]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.strip().splitlines()) == 1


def test_without_a_model_nothing_is_measured(capsys):
    assert run(["solve", "--measure", "4,8,16"]) == 2
    assert "--measure is read with --model alone" in capsys.readouterr().err


def test_the_record_holds_every_measurement_and_how_it_was_made(tmp_path: Path, capsys):
    options = ["--base-layers", "1", "--measure", "1,2,3", "--seeds", "2", "--out", str(tmp_path)]
    assert run(["solve", "--model", MODEL, "--optimizer", "adamw", *options]) == 0
    assert "power of N" in capsys.readouterr().out
    record = json.loads((tmp_path / "solved.json").read_text("utf-8"))
    assert {row["layers"] for row in record["rows"]} == {1, 2, 3}
    assert {"total", "q", "v", "w_out"} <= set(record["groups"])
    assert record["groups"]["q"]["covered"]
    assert record["provenance"]["config"]["measure"] == "1,2,3"
