"""Recorded experiments as evidence: judged afresh, refused where they contradict themselves."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from numerics.evidence import experiments as evidence
from numerics.evidence.experiment_rows import PROVIDERS, ROWS
from numerics.stores.files import write_json
from numerics.training.config import TrainConfig
from numerics.training.experiments import EXPERIMENTS, fig4b, tables
from numerics.training.experiments.experiment import (
    Experiment,
    ExperimentAnswer,
    ExperimentFinding,
    label,
)
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import LOG
from theory.claims import Context, Kind, Reading, verdict
from theory.errors import InputError
from theory.ledger import LEDGER, claim_named

TINY: dict[str, Any] = {
    "steps": 2,
    "d_model": 16,
    "d_ff": 16,
    "pairs": 200,
    "validation_pairs": 20,
    "vocabulary": 200,
}
CONFIGS = fig4b.configs((1, 2), 1, **TINY)
NUMBERS = {
    RunOutcome.TRAINED: (3.0, 1.4),
    RunOutcome.STUCK: (4.4, 0.05),
    RunOutcome.DIVERGED: (9.0, -4.6),
}
"""Validation loss and lower end of the gain of an outcome, with unigram loss 4.5 and log V 6."""


def row_of(claim: str) -> evidence.ExperimentRow:
    """The first row about a claim."""
    return next(row for row in ROWS if row.claim == claim)


def store(folder: Path, config: TrainConfig, outcome: RunOutcome) -> None:
    """A record of a run with that outcome."""
    path = folder / label(config)
    loss, low = NUMBERS[outcome]
    write_json(path / "config.json", {"config": config.stored(), "data": {}})
    write_json(path / "provenance.json", {})
    content = {
        "outcome": outcome,
        "reason": "",
        "validation": {"value": loss, "low": loss - 0.1, "high": loss + 0.1},
        "gain": {"value": low + 0.1, "low": low, "high": low + 0.2},
        "unigram_loss": 4.5,
        "uniform_loss": 6.0,
        "steps": 2,
        "tokens_per_second": 1.0,
    }
    write_json(path / "outcome.json", content)
    pl.DataFrame({"loss": [6.0, loss], "validation_loss": [None, loss]}).write_parquet(path / LOG)


@pytest.fixture
def results(tmp_path, monkeypatch) -> Path:
    """A results folder whose fig4b trained, its control diverged."""
    short = replace(EXPERIMENTS["fig4b"], full=CONFIGS)
    monkeypatch.setitem(evidence.EXPERIMENTS, "fig4b", short)  # type: ignore[arg-type]
    for config in CONFIGS:
        good = config.scheme == "tfixup"
        store(tmp_path / "fig4b", config, RunOutcome.TRAINED if good else RunOutcome.DIVERGED)
    return tmp_path


def found(results: Path, claim: str = "tfixup.fig4b", **settings: Any):
    """The evidence on a claim."""
    return list(evidence.provider(row_of(claim))(Context(results=results, **settings)))


def test_recorded_runs_decide_the_claim(results):
    (item,) = found(results)
    assert item.passed
    assert item.admissible
    assert item.source == "recorded: results/fig4b"
    assert item.details["layers"] == [1, 2]
    assert str(verdict(claim_named("tfixup.fig4b"), [item]).outcome) == "reproduced at this scale"


def test_a_failure_and_an_open_question_are_said(results):
    for outcome, passed in ((RunOutcome.DIVERGED, False), (RunOutcome.STUCK, None)):
        store(results / "fig4b", CONFIGS[1], outcome)
        (item,) = found(results)
        assert item.passed is passed
        assert item.control.rejected


@pytest.mark.parametrize("answer", list(ExperimentAnswer))
def test_a_rule_that_always_says_the_same_is_caught_by_its_control(answer):
    """One that always says reproduced, one that never does, and one that never decides."""
    deaf = evidence.Variant("nothing", lambda _: ExperimentFinding(answer, ""))
    row = evidence.ExperimentRow("tfixup.fig4b", "fig4b", deaf.rule, deaf, deaf)
    assert not evidence.control(row, deaf.rule([]), []).rejected


RECORDED = Path(__file__).parents[3] / "results"


# Tables 1 and 3 have Table 2's rule and runs; bootstrapping all of them takes a minute.
TOLD_APART = [row for row in ROWS if row.claim not in ("tfixup.table1", "tfixup.table3")]


@pytest.mark.parametrize("row", TOLD_APART, ids=lambda row: f"{row.claim} {row.experiment}")
def test_both_variants_of_recorded_runs_are_told_apart(row):
    with evidence.recorded(row.experiment, Context(results=RECORDED)) as runs:
        if not runs:
            pytest.skip(f"the runs of {row.experiment} are not all recorded: its claim is open")
        assert row.false.rule(runs).answer is ExperimentAnswer.NOT_REPRODUCED
        assert row.true.rule(runs).answer is ExperimentAnswer.REPRODUCED
        found, stated = row.rule(runs), verified(row)
        assert evidence.PASSED[found.answer] is stated["passed"]
        assert (found.scope, found.neighbourhood) == (stated["scope"], stated["neighbourhood"])
        if found.value is not None:
            assert found.value == pytest.approx(stated["value"])
        against = row.true if stated["passed"] is False else row.false
        assert stated["control"]["description"].startswith(f"{against.altered}: ")
        assert row.reading == stated["reading"]
        assert row.reading_text(runs) == stated["reading_text"]


# What a baseline is compared with keeps its own outcomes, so that those rows are not among them.
DECLARED = [
    row
    for row in ROWS
    if row.true.altered == "outcomes as the statement has them" and row.experiment != "baselines"
]


@pytest.mark.parametrize("outcome", [RunOutcome.TRAINED, RunOutcome.STUCK])
@pytest.mark.parametrize("row", DECLARED, ids=lambda row: f"{row.claim} {row.experiment}")
def test_declared_outcomes_do_not_depend_on_those_recorded(row, outcome):
    with evidence.recorded(row.experiment, Context(results=RECORDED)) as runs:
        if not runs:
            pytest.skip(f"the runs of {row.experiment} are not all recorded: its claim is open")
        alike = [replace(run, outcome=outcome) for run in runs]
        assert row.true.rule(alike).answer is ExperimentAnswer.REPRODUCED


def verified(row: evidence.ExperimentRow) -> dict[str, Any]:
    """What the recorded verification says of a row: rows and evidence stand in one order."""
    claims = json.loads((RECORDED / "verify" / "verdicts.json").read_text())["claims"]
    (claim,) = (claim for claim in claims if claim["id"] == row.claim)
    own = [item for item in claim["evidence"] if item["kind"] == Kind.TRAINING]
    stated = [item for item in own if item["details"].get("experiment") == row.experiment]
    rows = [r for r in ROWS if (r.claim, r.experiment) == (row.claim, row.experiment)]
    return dict(zip(map(id, rows), stated, strict=True))[id(row)]


@pytest.mark.parametrize(
    ("table", "baselines"),
    [(1, None), (2, {"pre-ln", "dlcl-pre"}), (3, {"ds-init", "lri"})],
)
def test_each_table_compares_with_its_own_baselines(table, baselines, monkeypatch):
    asked: list[tuple[set[str] | None, dict[str, float]]] = []

    def at_least(_, names=None, **more):
        asked.append((names and set(names), more))
        return ExperimentFinding(ExperimentAnswer.UNDECIDED, "")

    def weakest_in_its_place(runs, names):
        assert (names and set(names)) == baselines
        return runs

    monkeypatch.setattr(tables, "at_least", at_least)
    monkeypatch.setattr(tables, "weakest_in_its_place", weakest_in_its_place)
    row = row_of(f"tfixup.table{table}")
    for rule in (row.rule, row.false.rule, row.true.rule):
        rule([])
    assert asked == [(baselines, {}), (baselines, {}), (baselines, {"raised": 20.0})]


def test_rows_of_one_experiment_say_which_runs_they_look_at():
    parts = {row.claim: row.part for row in ROWS if row.experiment.startswith("transfer")}
    assert parts == {
        "modern.depth-mup-transfer": "depth-mup, rate as N^0",
        "modern.completep-transfer": "completep, rate as N^0",
        "ours.tfixup-transfer": "tfixup, rate as N^-0.5",
        "ours.gpt2-transfer": "gpt2:std=0.0693, rate as N^0",
        "ours.flat-transfer": "flat:std=0.0693, rate as N^0",
    }
    others = {row.part for row in ROWS if not row.experiment.startswith(("transfer", "fig2"))}
    assert others == {""}
    assert sorted(row.part for row in ROWS if row.experiment == "fig2") == [
        "seeds drawn after it",
        "seeds in view when the rule was written",
    ]


def test_every_row_says_which_reading_it_tests_and_what_was_altered():
    restricted = [row for row in ROWS if row.reading is Reading.RESTRICTED]
    assert [row.claim for row in restricted] == ["xiong.needs-warmup"]
    assert {row.reading for row in ROWS} == {Reading.PRINTED, Reading.RESTRICTED}
    for row in ROWS:
        assert len(row.false.altered.split()) >= 3
        assert len(row.true.altered.split()) >= 3
        assert row.false.altered != row.true.altered
    alike = [(row.claim, row.experiment, row.reading, row.part) for row in ROWS]
    assert len(set(alike)) == len(alike)


def test_what_the_experiment_wrote_down_does_not_count(results):
    (results / "fig4b" / "verdict.json").write_text('{"answer": "not reproduced"}')
    assert found(results)[0].passed
    path = results / "fig4b" / label(CONFIGS[0]) / "outcome.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps(stored | {"outcome": "stuck"}))
    with pytest.raises(InputError, match="must be trained by its numbers, and states stuck"):
        found(results)
    path.write_text(json.dumps(stored | {"validation": stored["validation"] | {"value": 2.0}}))
    with pytest.raises(InputError, match="must end with its log's validation loss"):
        found(results)


def test_missing_runs_are_no_evidence(results):
    (results / "fig4b" / label(CONFIGS[0]) / "outcome.json").unlink()
    assert found(results) == []
    assert found(results, "tfixup.fig2") == []


def test_a_rerun_takes_the_runs_again(results):
    (item,) = found(results, rerun=True)
    assert item.source == "rerun"
    assert item.passed is None


def test_every_experiment_has_a_row_and_every_row_a_claim():
    known = {claim.id for claim in LEDGER}
    assert {row.claim for row in ROWS} <= known
    assert {row.experiment for row in ROWS} == set(EXPERIMENTS)
    assert all(provider.kind is Kind.TRAINING for provider in PROVIDERS)
    assert isinstance(EXPERIMENTS["fig4b"], Experiment)


def test_the_ledger_states_the_scale_of_the_runs():
    """Steps and batch sizes in the assumptions are those of the experiments."""
    for row in ROWS:
        told = " ".join(claim_named(row.claim).assumptions).replace(",", "")
        if "reduced scale" not in told or row.claim.startswith("tfixup.no-"):
            continue
        configs = EXPERIMENTS[row.experiment].full
        for setting in ("steps", "tokens"):
            assert any(str(getattr(c, setting)) in told for c in configs), (row.claim, setting)
