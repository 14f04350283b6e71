import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from numerics.cli.reproduce import Reproduce
from numerics.training import experiments, loop, step
from numerics.training.config import TrainConfig
from numerics.training.experiments import (
    EXPERIMENTS,
    baselines,
    coherence,
    fig2,
    fig3ab,
    fig3c,
    fig4a,
    fig4b,
    fig4c,
    phase,
    radam,
    tables,
    transfer,
    warmup,
)
from numerics.training.experiments.experiment import (
    Experiment,
    ExperimentAnswer,
    ExperimentFinding,
    label,
    place,
    reproduce,
)
from numerics.training.loop import run_training
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import LOG, RecordedRun
from theory.errors import InputError

TINY: dict[str, Any] = {
    "steps": 3,
    "d_model": 16,
    "d_ff": 32,
    "pairs": 300,
    "validation_pairs": 30,
    "vocabulary": 200,
}
SMALL = {
    "fig2": fig2.configs(1, 2, **TINY),
    "fig3ab": fig3ab.configs(
        {16: (4e-3,)}, 2, (0, 1), **{k: v for k, v in TINY.items() if k[:2] != "d_"}
    ),
    "fig3c": fig3c.few(1, 2, **TINY),
    "radam": radam.configs(fig3c.few(1, 2, **TINY)),
    "fig4a": fig4a.configs((1, 2), **TINY),
    "fig4b": fig4b.configs((1, 2), 1, **TINY),
    "fig4c": fig4c.configs(1, 96, **TINY),
    "phase": phase.configs(("tfixup", "post-ln"), (1, 2), (1e-3,), **TINY),
    "tables": tables.configs({1: 3}, 2, **{k: v for k, v in TINY.items() if k != "steps"})[:3],
    "warmup": warmup.configs((1,), 2, **TINY),
    "baselines": baselines.configs((1,), **TINY)[6:],
    "coherence": coherence.configs((1, 2, 3), **TINY),
    "transfer": tuple(
        config
        for config in transfer.configs(("completep",), (1, 2), (0, 1), **TINY)
        if 1e-3 < config.lr < 1e-2
    ),
    "transfer-longer": tuple(
        config
        for config in transfer.configs(
            ("completep",), (1, 2), (0,), windows=transfer.LONGER_WINDOWS, **TINY
        )
        if 1e-3 < config.lr < 1e-2
    ),
}


def run_of(outcome: RunOutcome, path: Path = Path("x"), **settings) -> RecordedRun:
    """A recorded run with a given outcome."""
    return RecordedRun(
        path=path,
        config=TrainConfig(**settings).stored(),
        data={},
        provenance={},
        outcome=outcome,
        reason="",
        validation_loss=3.0,
        interval=(2.9, 3.1),
        unigram_loss=4.5,
        gain_interval=(1.0, 2.0),
        uniform_loss=6.0,
        steps=1,
        tokens_per_second=1.0,
        dropped=0,
        bleu={},
    )


TRAINED, STUCK, DIVERGED = RunOutcome.TRAINED, RunOutcome.STUCK, RunOutcome.DIVERGED


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_the_stated_configs_are_valid_and_named_apart(name):
    experiment = EXPERIMENTS[name]
    for quick in (True, False):
        configs = experiment.configs(quick=quick)
        for config in configs:
            config.check()
        assert len({label(config) for config in configs}) == len(configs)
    assert experiment.budget[1] < 5
    assert experiment.budget[1] < experiment.budget[0]


def test_the_scales_are_those_asked_for():
    assert {c.layers for c in fig4b.FIG4B.quick if c.scheme == "tfixup"} == {
        6,
        12,
        25,
        50,
        100,
        200,
    }
    full = phase.PHASE.full
    assert len({c.layers for c in full}) >= 6
    assert len({c.lr for c in full}) >= 4
    assert len({c.scheme for c in full}) >= 6
    scales = {(c.scheme, c.lr == fig4b.RATE) for c in fig4b.FIG4B.full if c.layers == 200}
    assert scales == {("tfixup", True), ("tfixup", False), ("tfixup-adam", True)}
    assert {c.layers for c in tables.TABLES.full} >= {6, 12, 24}
    assert {c.layers for c in baselines.BASELINES.full} == {6, 12, 24, 50}


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_a_short_version_runs_and_records_its_verdict(name, tmp_path, monkeypatch, capsys):
    short = replace(EXPERIMENTS[name], quick=SMALL[name])
    monkeypatch.setitem(experiments.EXPERIMENTS, name, short)  # type: ignore[arg-type]
    command = Reproduce(name, quick=True, out=tmp_path, workers=1)  # type: ignore[arg-type]
    assert command.run() == 0
    shown = capsys.readouterr().out
    stored = json.loads((tmp_path / f"{name}-quick" / "verdict.json").read_text())
    assert f"{name}: {stored['answer']}: {stored['line']}" in shown
    assert len(stored["runs"]) == len(SMALL[name])
    assert stored["scope"]
    assert (tmp_path / f"{name}-quick" / "figure.svg").read_text().startswith("<?xml")


def test_it_goes_on_where_it_stopped(tmp_path, monkeypatch):
    def stopping(*arguments):
        steps.append(arguments[-1])
        if len(steps) == 5:
            raise KeyboardInterrupt
        return step.training_step(*arguments)

    steps: list[int] = []
    short = replace(EXPERIMENTS["fig4b"], quick=SMALL["fig4b"])
    with monkeypatch.context() as patched:
        patched.setattr(loop, "training_step", stopping)
        with pytest.raises(KeyboardInterrupt):
            reproduce(short, tmp_path / "a", quick=True)
        seen: list[RecordedRun] = []
        found = reproduce(short, tmp_path / "a", quick=True, report=seen.append)
    assert len(seen) == 3
    assert len(steps) - 1 < 3 * TINY["steps"] + 3
    assert found == reproduce(short, tmp_path / "b", quick=True)


@pytest.mark.slow
def test_several_workers_give_the_same(tmp_path):
    short = replace(EXPERIMENTS["fig4b"], quick=SMALL["fig4b"][1:])
    short = replace(short, decide=count, draw=fig4b.draw)
    first = reproduce(short, tmp_path / "one", quick=True, workers=2)
    assert first.line == "2"
    logs = sorted((tmp_path / "one").rglob(LOG))
    assert [pl.read_parquet(log).height for log in logs] == [3, 3]


def count(runs) -> ExperimentFinding:
    return ExperimentFinding(ExperimentAnswer.UNDECIDED, str(len(runs)))


def test_names_that_collide_are_refused(tmp_path):
    twice = Experiment("x", "?", (), (TrainConfig(), TrainConfig()), (1.0, 1.0), count, fig4b.draw)
    with pytest.raises(InputError, match="must differ in their names"):
        reproduce(twice, tmp_path, quick=True)
    with pytest.raises(InputError, match="workers must be between 1 and 1000, got 0"):
        reproduce(twice, tmp_path, quick=True, workers=0)
    with pytest.raises(InputError, match="unknown experiment 'fig4'"):
        experiments.experiment_named("fig4")


def test_one_process_at_a_time_takes_an_experiment(tmp_path):
    short = replace(EXPERIMENTS["fig4b"], quick=SMALL["fig4b"])
    folder = tmp_path / "fig4b-quick"
    with (
        place(folder).exclusively(),
        pytest.raises(InputError, match="another experiment is writing to"),
    ):
        reproduce(short, tmp_path, quick=True)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_experiment_left_unfinished_is_removed_and_nothing_else(tmp_path):
    for name in (".verdict.json.7.part", ".figure.svg.7.part", ".thesis.tex.7.part"):
        (tmp_path / name).touch()
    with place(tmp_path).exclusively():
        assert [path.name for path in tmp_path.iterdir()] == [".thesis.tex.7.part"]


@pytest.mark.parametrize(
    ("deep", "control", "answer"),
    [
        (TRAINED, DIVERGED, ExperimentAnswer.REPRODUCED),
        (TRAINED, STUCK, ExperimentAnswer.REPRODUCED),
        (TRAINED, TRAINED, ExperimentAnswer.UNDECIDED),
        (STUCK, DIVERGED, ExperimentAnswer.UNDECIDED),
        (DIVERGED, DIVERGED, ExperimentAnswer.NOT_REPRODUCED),
    ],
)
def test_fig4b_can_fail(deep, control, answer):
    runs = [
        run_of(TRAINED, layers=6, lr=fig4b.RATE),
        run_of(deep, layers=200, lr=fig4b.RATE),
        run_of(control, scheme="xavier", layers=25, lr=fig4b.RATE),
        run_of(DIVERGED, scheme="tfixup-adam", layers=200, lr=fig4b.RATE),
    ]
    found = fig4b.decide(runs)
    assert found.answer is answer
    assert "tfixup-adam N = 200" in found.line


def test_phase_can_fail():
    def runs(tfixup, post_ln):
        return [
            run_of(TRAINED, layers=2),
            run_of(TRAINED, scheme="post-ln", layers=2),
            run_of(STUCK, layers=24, lr=1e-2),
            run_of(tfixup, layers=24),
            run_of(post_ln, scheme="post-ln", layers=24),
        ]

    assert phase.decide(runs(TRAINED, STUCK)).answer is ExperimentAnswer.REPRODUCED
    assert phase.decide(runs(TRAINED, TRAINED)).answer is ExperimentAnswer.UNDECIDED
    assert phase.decide(runs(DIVERGED, STUCK)).answer is ExperimentAnswer.NOT_REPRODUCED
    assert phase.deepest_trained(runs(TRAINED, STUCK)) == {"tfixup": 24, "post-ln": 2}
    assert "post-ln 2" in phase.decide(runs(TRAINED, STUCK)).line


def test_signals_are_what_they_say(tmp_path, monkeypatch):
    """Adam's first update is ±η everywhere it has a gradient; untouched rows stay."""
    config = SMALL["fig2"][1]
    # Without signals a run takes closed gradients, which are the same to rounding only.
    monkeypatch.setattr(loop.closed_form, "serves", lambda _: False)
    run_training(config, tmp_path / "run")
    log = pl.read_parquet(tmp_path / "run" / LOG)
    plain = replace(config, signals=False)
    run_training(plain, tmp_path / "plain")
    theirs = pl.read_parquet(tmp_path / "plain" / LOG)
    assert log["loss"].equals(theirs["loss"])
    assert "gradient_encoder" not in theirs.columns
    assert 0.3 < log["adam_update_decoder"][0] <= 1.0 + 1e-5
    total = log["gradient_encoder"][0] * (200 * 16) ** 0.5
    assert 0 < total < log["gradient_norm"][0]
    assert log["norm_input_encoder"].min() > 1  # type: ignore[operator]
    tfixup = replace(config, scheme="tfixup")
    run_training(tfixup, tmp_path / "tfixup")
    assert pl.read_parquet(tmp_path / "tfixup" / LOG)["norm_input_encoder"].to_list() == [0.0] * 3
    assert torch.is_grad_enabled()
