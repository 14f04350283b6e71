"""The papers' training experiments as evidence: recorded runs, each rule applied to them afresh.

A row names a claim, the experiment whose runs speak about it, the rule that reads the answer off
the runs, and a false variant that the same rule must reject. What the experiment itself wrote down
as its answer is not used, and a run whose stored outcome its own numbers contradict is an error.
Nothing is said where runs are missing. With ``rerun`` the runs on generated data are repeated.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

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
    tables,
    warmup,
)
from numerics.training.experiments.experiment import Answer, Finding, PlannedRun, label
from numerics.training.experiments.selection import (
    Runs,
    exchanged,
    impostors,
    matching,
    values_of,
)
from numerics.training.outcome import DIVERGED_MARGIN, STUCK_MARGIN, RunOutcome
from numerics.training.recorded import LOG, RecordedRun, read_run
from theory.claims import Context, Control, Evidence, Kind, Level, Provider, Reading
from theory.errors import InputError

Rule = Callable[[Runs], Finding]
PASSED = {Answer.REPRODUCED: True, Answer.NOT_REPRODUCED: False, Answer.UNDECIDED: None}
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
class Row:
    """What an experiment says about a claim."""

    claim: str
    experiment: str
    rule: Rule
    false: Rule
    """The rule on a false variant of the runs."""
    control: str
    """What was made false."""
    reading: Reading = Reading.PRINTED
    reading_text: Callable[[Runs], str] = lambda _: ""
    """The added hypothesis, read off the runs."""


def rejudged(run: RecordedRun) -> RunOutcome:
    """The outcome of a run, from its log and intervals by the rule of `outcome.py`.

    Raises
    ------
    InputError
        If the record states another, or its log ends with another validation loss.
    """
    log = pl.read_parquet(run.path / LOG)
    losses = log["loss"].to_list()
    last = log["validation_loss"].drop_nulls().to_list()[-1:]
    finite = all(map(math.isfinite, losses)) and math.isfinite(run.validation_loss)
    if math.isfinite(run.validation_loss) and last and last[0] != run.validation_loss:
        raise InputError(
            f"{run.path} must end with its log's validation loss {last[0]}, "
            f"and states {run.validation_loss}"
        )
    if not finite or run.validation_loss > run.uniform_loss + DIVERGED_MARGIN:
        found = RunOutcome.DIVERGED
    elif run.gain_interval[0] > STUCK_MARGIN * run.unigram_loss:
        found = RunOutcome.TRAINED
    else:
        found = RunOutcome.STUCK
    if found is not run.outcome:
        raise InputError(f"{run.path} must be {found} by its numbers, and states {run.outcome}")
    return found


@contextmanager
def recorded(name: str, context: Context) -> Iterator[list[RecordedRun]]:
    """The full runs of an experiment, repeated where ``rerun`` asks; empty where one is missing."""
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
    """Take a recorded run again, from its stored settings, with its translations."""
    names = {field.name for field in fields(TrainConfig)}
    settings: dict[str, Any] = {k: v for k, v in run.config.items() if k in names}
    settings["betas"] = tuple(settings["betas"])
    return PlannedRun(TrainConfig(**settings), out, translated).run()


def evidence(row: Row, context: Context) -> Iterator[Evidence]:
    """The evidence of a row, none where runs are missing."""
    start = time.perf_counter()
    with recorded(row.experiment, context) as runs:
        if not runs:
            return
        finding, false = row.rule(runs), row.false(runs)
        yield Evidence(
            claim=row.claim,
            kind=Kind.TRAINING,
            passed=PASSED[finding.answer],
            summary=finding.line,
            control=Control(
                f"{row.control}: {false.answer}",
                false.answer is not Answer.REPRODUCED or finding.answer is not Answer.REPRODUCED,
            ),
            reading=row.reading,
            reading_text=row.reading_text(runs),
            value=finding.value,
            interval=finding.interval,
            seconds=time.perf_counter() - start,
            source="rerun" if context.rerun else f"recorded: results/{row.experiment}",
            details={"experiment": row.experiment, "runs": len(runs)}
            | {name: values_of(runs, name) for name in SHOWN},
        )


def _warmup_exchanged(rule: Rule) -> Rule:
    """The rule where runs with and without warm-up have changed names."""

    def false(runs: Runs) -> Finding:
        (steps,) = [value for value in values_of(runs, "warmup") if value]
        return rule(exchanged(runs, "warmup", {steps: 0, 0: steps}))

    return false


def _schemes_exchanged(rule: Rule, one: str, other: str) -> Rule:
    return lambda runs: rule(exchanged(runs, "scheme", {one: other, other: one}))


def _depths_mirrored(runs: Runs) -> Finding:
    depths = values_of(runs, "layers")
    return fig4a.decide(exchanged(runs, "layers", dict(zip(depths, depths[::-1], strict=True))))


def _cold_post_ln_as(rule: Rule, **names: object) -> Rule:
    """The rule where Post-LN under Adam without warm-up poses as the model of those settings."""
    return lambda runs: rule(impostors(runs, matching(runs, **names), warmup.cold(runs), **names))


def _warm_as_cold(rule: Rule) -> Rule:
    return lambda runs: rule(impostors(runs, warmup.cold(runs), warmup.warm(runs), warmup=0))


def _balance_decides(runs: Runs) -> Finding:
    """The outcomes dealt out anew: the balanced half trains."""
    return warmup.gradients_not_the_cause(warmup.dealt_by_balance(runs))


def _table(*names: str) -> tuple[Rule, Rule]:
    """At least these baselines (all without a name), and the weakest of them in T-Fixup's place."""
    chosen = names or None
    return partial(tables.at_least, names=chosen), lambda runs: tables.at_least(
        tables.weakest_in_its_place(runs, chosen), chosen
    )


def _baseline(scheme: str) -> tuple[Rule, Rule]:
    """Whether a baseline trains, and Xavier without layer norm in its place."""

    def false(runs: Runs) -> Finding:
        control = matching(runs, scheme=baselines.CONTROL)
        return baselines.trains(
            impostors(runs, matching(runs, scheme=scheme), control, scheme=scheme), scheme
        )

    return partial(baselines.trains, scheme=scheme), false


def _bounded(scheme: str) -> tuple[Rule, Rule]:
    """Whether the largest rate stays, and the same with Xavier without layer norm in its place."""
    rule = partial(phase.bounded_at_any_depth, scheme=scheme)
    return rule, _schemes_exchanged(rule, scheme, "xavier")


_NO_WARMUP = "runs with and without warm-up exchanged"
_COLD = "Post-LN without warm-up in its place"
_XAVIER = "Xavier without layer norm in its place"
ROWS = (
    Row("tfixup.fig2", "fig2", fig2.decide, _warmup_exchanged(fig2.decide), _NO_WARMUP),
    Row("tfixup.fig3ab", "fig3ab", fig3ab.decide, _warmup_exchanged(fig3ab.decide), _NO_WARMUP),
    Row("tfixup.fig3c", "fig3c", fig3c.decide, _warmup_exchanged(fig3c.decide), _NO_WARMUP),
    Row("tfixup.fig4a", "fig4a", fig4a.decide, _depths_mirrored, "depths in reverse order"),
    Row(
        "tfixup.fig4b",
        "fig4b",
        fig4b.decide,
        _schemes_exchanged(fig4b.decide, "tfixup", fig4b.CONTROL),
        _XAVIER,
    ),
    Row(
        "tfixup.fig4c",
        "fig4c",
        fig4c.decide,
        _schemes_exchanged(fig4c.decide, "tfixup", fig4c.CONTROL),
        _COLD,
    ),
    Row("tfixup.table1", "tables", *_table(), "the weakest baseline in T-Fixup's place"),
    Row(
        "tfixup.table2",
        "tables",
        *_table("pre-ln", "dlcl-pre"),
        "the weaker baseline in T-Fixup's place",
    ),
    Row(
        "tfixup.table3",
        "tables",
        *_table("ds-init", "lri"),
        "the weaker baseline in T-Fixup's place",
    ),
    Row("tfixup.adam", "phase", *_bounded("tfixup"), _XAVIER),
    Row("ours.adam-scale", "phase", *_bounded("tfixup-adam"), _XAVIER),
    Row(
        "ours.adam-scale",
        "fig4b",
        fig4b.squared_trains,
        _schemes_exchanged(fig4b.squared_trains, fig4b.SQUARED, fig4b.CONTROL),
        _XAVIER,
    ),
    Row(
        "tfixup.no-warmup",
        "phase",
        phase.decide,
        _schemes_exchanged(phase.decide, "tfixup", "post-ln"),
        "T-Fixup and Post-LN exchanged",
    ),
    Row(
        "xiong.needs-warmup",
        "warmup",
        warmup.needs_warmup,
        _warm_as_cold(warmup.needs_warmup),
        "the warmed-up runs pass for those without",
    ),
    Row(
        "xiong.needs-warmup",
        "warmup",
        warmup.needs_warmup_when_deep,
        _warm_as_cold(warmup.needs_warmup_when_deep),
        "the warmed-up runs pass for those without",
        Reading.RESTRICTED,
        warmup.depth_text,
    ),
    Row(
        "xiong.no-warmup",
        "warmup",
        warmup.pre_ln_comparable,
        _cold_post_ln_as(warmup.pre_ln_comparable, scheme="pre-ln"),
        _COLD,
    ),
    Row(
        "admin.trains",
        "warmup",
        warmup.admin_trains,
        _cold_post_ln_as(warmup.admin_trains, scheme="admin"),
        _COLD,
    ),
    Row(
        "admin.not-gradients",
        "warmup",
        warmup.gradients_not_the_cause,
        _balance_decides,
        "outcomes dealt out by balance",
    ),
    Row(
        "radam.no-warmup",
        "warmup",
        warmup.radam_replaces,
        _cold_post_ln_as(warmup.radam_replaces, optimizer="radam"),
        "Adam's runs in the place of RAdam's",
    ),
    Row(
        "ours.coherence",
        "coherence",
        coherence.decide,
        partial(coherence.decide, aligned=True),
        "the same strengths fully aligned",
    ),
    *(
        Row(f"{paper}.trains", "baselines", *_baseline(scheme), _XAVIER)
        for paper, scheme in baselines.SCHEMES.items()
    ),
)

PROVIDERS = tuple(
    Provider((row.claim,), Kind.TRAINING, Level.QUICK, partial(evidence, row)) for row in ROWS
)
