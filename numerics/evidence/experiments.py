"""The papers' training experiments as evidence: each rule is applied anew to the recorded runs.

A row names a claim, the experiment whose runs speak about it, the rule that reads the answer off
the runs, and two variants of the runs. In the first variant the statement is false, and the rule
must call it not reproduced. In the second it is true, and the rule must call it reproduced. The
first is the control of a positive answer and of no answer; the second is the control of a negative
answer. A rule that cannot decide its control has not passed it. The answer that the experiment
itself wrote down is not used, and a run whose stored outcome contradicts its own numbers is an
error. A row yields nothing where runs are missing. With ``rerun`` the runs on generated data are
repeated.
"""

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from numerics.training.config import TrainConfig
from numerics.training.experiments import EXPERIMENTS
from numerics.training.experiments.experiment import (
    ExperimentAnswer,
    ExperimentFinding,
    PlannedRun,
    label,
)
from numerics.training.experiments.selection import Runs, values_of
from numerics.training.outcome import DIVERGED_MARGIN, STUCK_MARGIN, RunOutcome, best_constant
from numerics.training.recorded import RecordedRun, read_log, read_run
from theory.claims import Context, Control, Kind, Level, Observation, Provider, Reading
from theory.errors import InputError

DecisionRule = Callable[[Runs], ExperimentFinding]
PASSED = {
    ExperimentAnswer.REPRODUCED: True,
    ExperimentAnswer.NOT_REPRODUCED: False,
    ExperimentAnswer.UNDECIDED: None,
}
SHOWN = (
    "d_model",
    "d_ff",
    "heads",
    "data",
    "vocabulary",
    "steps",
    "tokens",
    "lr",
    "layers",
    "seed",
)
"""Settings that an evidence's details list, every value that its runs have."""


@dataclass(frozen=True)
class Variant:
    """The rule on altered runs."""

    altered: str
    """What was altered."""
    rule: DecisionRule


@dataclass(frozen=True)
class ExperimentRow:
    """What an experiment says about a claim."""

    claim: str
    experiment: str
    rule: DecisionRule
    false: Variant
    """Runs in which the statement is false."""
    true: Variant
    """Runs in which the statement is true."""
    reading: Reading = Reading.PRINTED
    reading_text: Callable[[Runs], str] = lambda _: ""
    """The added hypothesis, read off the runs."""
    part: str = ""
    """Which of the experiment's runs the rule looks at, where rows differ in that alone."""


def rejudged(run: RecordedRun) -> RunOutcome:
    """The outcome of a run, from its log and intervals by the rule of `outcome.py`.

    Raises
    ------
    InputError
        If the record states another, or its log ends with another validation loss.
    """
    log = read_log(run.path)
    losses = log["loss"].to_list()
    last = log["validation_loss"].drop_nulls().to_list()[-1:]
    finite = all(map(math.isfinite, losses)) and math.isfinite(run.validation_loss)
    if math.isfinite(run.validation_loss) and last and last[0] != run.validation_loss:
        raise InputError(
            f"{run.path} must end with its log's validation loss {last[0]}, "
            f"and states {run.validation_loss}"
        )
    baseline, _ = best_constant(run.unigram_loss, run.uniform_loss)
    if not finite or run.validation_loss > run.uniform_loss + DIVERGED_MARGIN:
        found = RunOutcome.DIVERGED
    elif run.gain_interval[0] > STUCK_MARGIN * baseline:
        found = RunOutcome.TRAINED
    else:
        found = RunOutcome.STUCK
    if found is not run.outcome:
        raise InputError(f"{run.path} must be {found} by its numbers, and states {run.outcome}")
    return found


@contextmanager
def recorded(name: str, context: Context) -> Iterator[list[RecordedRun]]:
    """The full runs of an experiment, repeated if ``rerun`` asks for it; empty if incomplete."""
    experiment = EXPERIMENTS[name]
    folder = context.results / (experiment.reads or name)
    paths = [folder / label(config) for config in experiment.full]
    if not all((path / "outcome.json").exists() for path in paths):
        yield []
        return
    runs = [read_run(path) for path in paths]
    for run in runs:
        rejudged(run)
    if not context.rerun:
        yield runs
        return
    if any(run.config["data"] != "generated" for run in runs):
        yield []
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        yield [repeat(run, folder / run.path.name, experiment.translated) for run in runs]


def repeat(run: RecordedRun, out: Path, translated: int) -> RecordedRun:
    """Repeat a recorded run from its stored settings, with its translations."""
    names = {field.name for field in fields(TrainConfig)}
    settings: dict[str, Any] = {k: v for k, v in run.config.items() if k in names}
    settings["betas"] = tuple(settings["betas"])
    return PlannedRun(TrainConfig(**settings), out, translated).run()


def observations(row: ExperimentRow, context: Context) -> Iterator[Observation]:
    """What the runs say about a row's claim; nothing where runs are missing."""
    with recorded(row.experiment, context) as runs:
        if not runs:
            return
        finding = row.rule(runs)
        yield Observation(
            passed=PASSED[finding.answer],
            summary=finding.line,
            control=control(row, finding, runs),
            reading=row.reading,
            reading_text=row.reading_text(runs),
            value=finding.value,
            interval=finding.interval,
            scope=finding.scope,
            neighbourhood=finding.neighbourhood,
            source="rerun" if context.rerun else f"recorded: results/{row.experiment}",
            details={"experiment": row.experiment, "runs": len(runs)}
            | {name: values_of(runs, name) for name in SHOWN},
        )


def provider(row: ExperimentRow) -> Provider:
    """The provider of a row's evidence."""
    which = ", ".join(filter(None, (row.experiment, row.part, row.reading)))
    name = f"{__name__}.{row.claim} ({which})"
    return Provider((row.claim,), Kind.TRAINING, Level.QUICK, partial(observations, row), name)


def control(row: ExperimentRow, finding: ExperimentFinding, runs: Runs) -> Control:
    """The variant in which the answer has to be the opposite, and whether the rule says so."""
    against = finding.answer is ExperimentAnswer.NOT_REPRODUCED
    variant = row.true if against else row.false
    found = variant.rule(runs).answer
    right = ExperimentAnswer.REPRODUCED if against else ExperimentAnswer.NOT_REPRODUCED
    return Control(f"{variant.altered}: {found}", found is right)
