"""Fig. 4a of T-Fixup: deeper models learn faster and end lower.

The paper has 6, 20 and 30 layers of its base model on WMT'17: "20 and 30 layer models achieve
better validation losses for most of the training period". Here are 3, 6, 12 and 24 layers of
64-128-2, no layer norm, no warm-up, equal steps and batches. The deepest is compared with the
paper's shallowest, 6 (the shallowest there is, where 6 is missing). *Lower*: its validation loss at
the end is below; *faster*: so is its mean over all validations. Both are differences of runs of one
seed, with the 95 % interval of their mean over seeds.

Reproduced if both intervals lie above 0. Not reproduced if one of them lies below `MARGIN`, so that
what gain there may be is too small to matter, or if a run diverges. Else undecided, and the line
says how many seeds would decide. The other depths are told beside.

Reduced: width 64, generated sentences, 300 steps of 512 tokens for 500,000 of 25,000.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from numerics.training.config import TrainConfig
from numerics.training.experiments.experiment import (
    SMALL,
    Experiment,
    ExperimentAnswer,
    ExperimentFinding,
)
from numerics.training.experiments.panels import (
    OWN,
    baseline,
    bound,
    courses,
    finished,
    in_order,
    loss_lines,
    panels,
    validation,
)
from numerics.training.experiments.power import cost_told, deviation, minutes
from numerics.training.experiments.selection import (
    Runs,
    diverged,
    matching,
    mean_interval,
    range_of,
    values_of,
)
from numerics.training.recorded import RecordedRun, read_log

DEPTHS = (3, 6, 12, 24)
SHALLOWEST = 6
"""The paper's."""
MARGIN = 0.02
"""Nats per token: a difference that is smaller counts as none."""


def configs(
    depths: Sequence[int], seeds: Sequence[int] = (0,), **settings: Any
) -> tuple[TrainConfig, ...]:
    """T-Fixup at every depth with every seed."""
    base = {**SMALL, **settings}
    return tuple(
        TrainConfig(scheme="tfixup", layers=depth, seed=seed, **base)
        for depth in depths
        for seed in seeds
    )


def mean_loss(run: RecordedRun) -> float:
    """Mean validation loss over the course of the run: the area under the curve."""
    losses = read_log(run.path)["validation_loss"].drop_nulls().to_list()
    return sum(losses) / len(losses)


def pairs(runs: Runs) -> list[tuple[RecordedRun, RecordedRun]]:
    """The shallow run and the deepest of each seed that has both."""
    depths = values_of(runs, "layers")
    shallow = SHALLOWEST if SHALLOWEST in depths[:-1] else depths[0]
    return [
        (one, other)
        for one in matching(runs, layers=shallow)
        for other in matching(runs, layers=depths[-1], seed=one.config["seed"])
    ]


def decide(runs: Runs, *, lowered: float = 0.0) -> ExperimentFinding:
    """Reproduced if the deepest ends and stays lower than the paper's shallowest, beyond seeds.

    With ``lowered`` the deepest's losses count that much less: a control.
    """
    told = "; ".join(
        f"N = {depth} ends at "
        + ", ".join(f"{run.validation_loss:.3f}" for run in matching(runs, layers=depth))
        for depth in values_of(runs, "layers")
    )
    both = pairs(runs)
    ends = [one.validation_loss - other.validation_loss + lowered for one, other in both]
    courses = [mean_loss(one) - mean_loss(other) + lowered for one, other in both]
    value, interval = mean_interval(ends)
    course, (low, high) = mean_interval(courses)
    shallow, deep = (run.config["layers"] for run in both[0])
    told += (
        f"; N = {deep} ends {value:+.3f} [{interval[0]:+.3f}, {interval[1]:+.3f}] nats per token "
        f"lower than N = {shallow}, over its course {course:+.3f} [{low:+.3f}, {high:+.3f}]"
    )
    scope = range_of(runs)
    if diverged(runs) or interval[1] < MARGIN or high < MARGIN:
        return ExperimentFinding(
            ExperimentAnswer.NOT_REPRODUCED, told, value, interval, scope=scope
        )
    if interval[0] > 0 and low > 0:
        return ExperimentFinding(ExperimentAnswer.REPRODUCED, told, value, interval, scope=scope)
    if len(both) > 1:
        each = minutes([run for pair in both for run in pair]) / len(both)
        spread = max(deviation(ends), deviation(courses))
        told += "; " + cost_told(spread, MARGIN, each, "nats", 0.95)
    return ExperimentFinding(ExperimentAnswer.UNDECIDED, told, value, interval, scope=scope)


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """Losses by depth, and how much lower the deepest is at each step, with its interval."""
    figure, ((left, right),) = panels(2)
    depths = values_of(runs, "layers")
    for depth, shade in in_order(depths).items():
        courses(left, matching(runs, layers=depth), validation, shade, f"N = {depth}")
    loss_lines(left, runs[0])
    left.set(xlabel="step", ylabel="validation loss, nats per token")
    left.legend(frameon=False, fontsize=7, loc="lower left")
    both = pairs(runs)
    curves = [
        (validation(one)[0], np.subtract(validation(one)[1], validation(other)[1]))
        for one, other in both
        if len(validation(one)[1]) == len(validation(other)[1])
    ]
    for steps, lower in curves:
        right.plot(steps, lower, lw=0.6, color=OWN, alpha=0.4)
    if curves:
        found = [
            mean_interval(part) for part in zip(*(own.tolist() for _, own in curves), strict=True)
        ]
        means = [value for value, _ in found]
        right.plot(curves[0][0], means, lw=1.8, color=OWN, label="mean over seeds", gid="deciding")
        if len(curves) > 1:
            right.fill_between(
                curves[0][0],
                [low for _, (low, _) in found],
                [high for _, (_, high) in found],
                color=OWN,
                alpha=0.15,
                label="95 % interval",
            )
        right.legend(frameon=False, fontsize=7, loc="upper right")
    shallow, deep = (run.config["layers"] for run in both[0])
    baseline(right, 0.0, f"as N = {shallow}", where=0.02)
    bound(right, MARGIN, "the least that counts", where=0.02)
    right.set(xlabel="step", ylabel=f"N = {deep} is lower by, nats per token")
    return finished(figure)


FIG4A = Experiment(
    name="fig4a",
    question="Do deeper T-Fixup models learn faster and end lower?",
    full=configs(DEPTHS, range(6), steps=300, validate_every=30),
    quick=configs((2, 6, 12), steps=60, tokens=256, validation_pairs=200, validate_every=10),
    budget=(12.0, 0.5),
    decide=decide,
    draw=draw,
)
