"""Recorded sweeps, training runs and experiments as cards, and the user's own model."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from numerics.report.cards import number
from numerics.report.page import render
from numerics.report.readers import read_run
from numerics.report.runs import LEAST_DEPTH
from numerics.sweeps.run import exponent_table
from numerics.sweeps.store import open_for_reading
from theory.errors import InputError

RESULTS = Path(__file__).parents[3] / "results"


@pytest.mark.slow
def test_a_sweep_has_a_card_per_scheme_and_optimizer_with_the_measured_exponents():
    found = read_run(RESULTS / "sweep")
    cards = {card.key: card for card in found.cards}
    assert len(cards) == len(found.cards) == 12
    assert cards["tfixup sgd"].verdict == "flat over depth"
    assert cards["post-ln sgd"].verdict == "grows with depth"
    rows = open_for_reading(RESULTS / "sweep").rows()
    total = exponent_table(rows, from_depth=LEAST_DEPTH).row(
        by_predicate=(pl.col("scheme") == "tfixup")
        & (pl.col("optimizer") == "sgd")
        & (pl.col("quantity") == "update")
        & (pl.col("part") == "total"),
        named=True,
    )
    assert f"p = {number(total['exponent'])} [" in cards["tfixup sgd"].why
    assert cards["tfixup sgd"].commands[0].startswith("tfixup sweep ")
    (figure,) = found.figures
    assert figure.drawing.startswith("<svg")
    assert "decoder" in figure.drawing


def test_training_runs_have_their_outcome_and_their_losses():
    found = read_run(RESULTS / "train" / "generated")
    assert len(found.cards) == len(list((RESULTS / "train" / "generated").iterdir()))
    outcomes = {card.key: card.verdict for card in found.cards}
    assert outcomes["tfixup-12-0"] == "trained"
    assert outcomes["xavier-12-0"] != "trained"
    assert len(found.figures) == 1


def test_an_experiment_has_its_question_its_answer_and_its_figure():
    stored = json.loads((RESULTS / "fig2" / "verdict.json").read_text())
    found = read_run(RESULTS / "fig2")
    (card,) = found.cards
    assert (card.verdict, card.statement) == (stored["answer"], stored["question"])
    assert len(card.tables[0].rows) == len(stored["runs"])
    assert len(found.figures) == 1
    assert read_run(RESULTS / "fig2" / "verdict.json") == found


def test_figures_of_several_runs_have_no_name_in_common():
    import re
    from collections import Counter

    page = render([read_run(RESULTS / "fig2", 0), read_run(RESULTS / "fig2", 1)])
    ids = Counter(re.findall(r' id="([^"]+)"', page))
    assert ids.most_common(1)[0][1] == 1
    for name in re.findall(r"url\(#([^)]+)\)", page):
        assert name in ids


@pytest.mark.parametrize("name", ["verdict.json", "figure.svg"])
def test_a_damaged_experiment_is_refused(name, tmp_path):
    folder = tmp_path / "fig2"
    folder.mkdir()
    for file in ("verdict.json", "figure.svg"):
        shutil.copy(RESULTS / "fig2" / file, folder / file)
    (folder / name).write_text("{}" if name.endswith("json") else "<svg")
    with pytest.raises(InputError, match=name):
        read_run(folder)


def test_a_changed_manifest_is_refused(tmp_path):
    folder = tmp_path / "sweep"
    shutil.copytree(RESULTS / "sweep", folder)
    manifest = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(manifest.replace('"schema"', '"scheme"'))
    with pytest.raises(InputError, match="manifest"):
        read_run(folder)


MODEL = """
from torch import nn


class Model(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(depth))
        self.head = nn.Linear(16, 50)

    def forward(self, tokens):
        x = self.embedding(tokens)
        for layer in self.layers:
            x = x + layer(x)
        return self.head(x)
"""


def test_check_and_audit_of_a_model_become_cards(tmp_path):
    from numerics.cli.main import run

    path = tmp_path / "own.py"
    path.write_text(MODEL)
    model, out = f"{path}:Model", tmp_path / "check"
    options = ["--values", "2,4,8", "--optimizers", "sgd", "--seeds", "2"]
    run(["check", model, *options, "--out", str(out)])
    run(["audit", model, "--values", "2,4", "--json", str(tmp_path / "audit.json")])
    check, audit = read_run(out), read_run(tmp_path / "audit.json")
    stored = json.loads((out / "check.json").read_text())
    assert [card.verdict for card in check.cards] == [
        one["verdict"] for one in stored["optimizers"]
    ]
    assert len(check.figures) == 1
    audited = json.loads((tmp_path / "audit.json").read_text())["audits"]
    assert [card.verdict == "clean" for card in audit.cards] == [one["clean"] for one in audited]
    assert len(audit.cards[0].tables[0].rows) == len(audited[0]["tensors"])
    assert "own.py:Model" in render([check, audit])
