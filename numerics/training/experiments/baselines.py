"""Which named baselines train without warm-up, at 6, 12, 24 and 50 layers.

The baselines are Fixup (R-Fixup), DS-Init, DLCL, LRI, DeepNorm, ReZero, DT-Fixup and admin-torch's
ω. All use Adam at one rate from the first step. A baseline *trains without warm-up* if it trains
at every depth and seed. It does not if some run diverges, or is stuck at a depth where
T-Fixup trains in as many steps. Xavier without layer norm is the control: it must not train at the
greatest depth. T-Fixup's own runs bound what the budget allows: a depth at which T-Fixup is stuck
decides nothing.

The scale is reduced: 64-128-2, generated sentences of a small vocabulary, 50 steps of 256 tokens.
Most of these schemes are published with a warm-up; this experiment says nothing about that case
(`tables.py` does).
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from numerics.training.config import TrainConfig
from numerics.training.experiments.experiment import Experiment, ExperimentAnswer, ExperimentFinding
from numerics.training.experiments.panels import (
    GREY,
    MARKS,
    SHADES,
    depth_ticks,
    finished,
    loss_lines,
    outcomes_legend,
    panels,
)
from numerics.training.experiments.phase import BUDGET
from numerics.training.experiments.power import neighbourhood_told
from numerics.training.experiments.selection import (
    Runs,
    all_trained,
    diverged,
    matching,
    none_trained,
    range_of,
    told,
    values_of,
)
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import RecordedRun

SCHEMES = (
    "r-fixup",
    "ds-init",
    "dlcl-pre",
    "lri",
    "deepnorm",
    "rezero",
    "dt-fixup",
    "admin-log",
)
"""Schemes of other papers, each with a row ``ours.SCHEME-trains`` in the ledger."""
REFERENCE, CONTROL = "tfixup", "xavier"
DIVERGED = RunOutcome.DIVERGED


def configs(
    depths: Sequence[int], seeds: Sequence[int] = (0,), **settings: Any
) -> tuple[TrainConfig, ...]:
    """Every baseline and T-Fixup at every depth and seed, the control at the greatest depth."""
    base = {**BUDGET, **settings}
    runs = [(s, depth, seed) for s in (*SCHEMES, REFERENCE) for depth in depths for seed in seeds]
    runs.append((CONTROL, depths[-1], seeds[0]))
    return tuple(
        TrainConfig(scheme=scheme, layers=depth, seed=seed, **base) for scheme, depth, seed in runs
    )


def trains(runs: Runs, scheme: str) -> ExperimentFinding:
    """Reproduced if ``scheme`` trains wherever T-Fixup does, all seeds, and at some depth at all.

    Parameters
    ----------
    runs
        The experiment's runs.
    scheme
        Name of the initialisation scheme.
    """
    reference = matching(runs, scheme=REFERENCE)
    depths = [d for d in values_of(runs, "layers") if all_trained(matching(reference, layers=d))]
    own = matching(runs, scheme=scheme)
    scope = range_of(own)
    line = f"{scheme}: " + "; ".join(
        f"N = {depth} {told(matching(own, layers=depth))}" for depth in values_of(own, "layers")
    )
    cost = f"; {neighbourhood_told([*own, *reference])}"
    if diverged(own):
        return ExperimentFinding(ExperimentAnswer.NOT_REPRODUCED, line + cost, scope=scope)
    if not depths or not own:
        return ExperimentFinding(ExperimentAnswer.UNDECIDED, line, scope=scope)
    trained = [all_trained(matching(own, layers=depth)) for depth in depths]
    if all(trained):
        return ExperimentFinding(ExperimentAnswer.REPRODUCED, line, scope=scope)
    stuck = any(none_trained(matching(own, layers=depth)) for depth in depths)
    if stuck:
        return ExperimentFinding(ExperimentAnswer.NOT_REPRODUCED, line + cost, scope=scope)
    return ExperimentFinding(ExperimentAnswer.UNDECIDED, line, scope=scope)


def decide(runs: Runs) -> ExperimentFinding:
    """Reproduced if every baseline trains without warm-up while the control does not."""
    found = [trains(runs, scheme) for scheme in SCHEMES]
    line = "; ".join(f"{one.answer}: {one.line}" for one in found)
    control = matching(runs, scheme=CONTROL)
    line += f"; control {CONTROL} {told(control)}"
    answers = {one.answer for one in found}
    if ExperimentAnswer.NOT_REPRODUCED in answers:
        return ExperimentFinding(ExperimentAnswer.NOT_REPRODUCED, line, scope=range_of(runs))
    good = answers == {ExperimentAnswer.REPRODUCED} and none_trained(control)
    answer = ExperimentAnswer.REPRODUCED if good else ExperimentAnswer.UNDECIDED
    return ExperimentFinding(answer, line, scope=range_of(runs))


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """Draw one panel per scheme: its loss at the end over depth, with T-Fixup's as a line."""
    schemes = list(dict.fromkeys(str(run.config["scheme"]) for run in runs))
    across = min(len(schemes), 5)
    down = -(-len(schemes) // across)
    figure, axes = panels(across, down, figsize=(2.4 * across, 2.5 * down + 0.3), sharey=True)
    top = max(run.uniform_loss for run in runs)
    reference = [run for run in matching(runs, scheme=REFERENCE) if run.outcome is not DIVERGED]
    depths = values_of(reference, "layers")
    means = [fmean(r.validation_loss for r in matching(reference, layers=d)) for d in depths]
    for panel in axes.flat[len(schemes) :]:
        panel.set_visible(False)
    for place, (panel, scheme) in enumerate(zip(axes.flat, schemes, strict=False)):
        for run in matching(runs, scheme=scheme):
            loss = top if run.outcome is DIVERGED else run.validation_loss
            panel.plot(
                [run.config["layers"]],
                [loss],
                ls="",
                marker=MARKS[run.outcome],
                ms=5,
                color=SHADES[run.outcome],
                gid="deciding",
            )
        panel.plot(depths, means, color=GREY, lw=0.9)
        # The first panel names the lines; in others a name would hide marks.
        loss_lines(panel, runs[0], where=0.02, named=not place)
        depth_ticks(panel, values_of(runs, "layers"))
        panel.set(title=scheme)
    for row in axes:
        row[0].set_ylabel("validation loss, nats")
    figure.supxlabel("layers N", fontsize=9, y=0.05)
    outcomes_legend(figure, **{"T-Fixup's mean": ("-", GREY)})
    return finished(figure, below=0.06)


BASELINES = Experiment(
    name="baselines",
    question="Which named baselines train without warm-up at 6, 12, 24 and 50 layers?",
    full=configs((6, 12, 24, 50), (0,)) + configs((6, 12, 24), (1,))[:-1],
    quick=configs((2, 4), steps=20, validation_pairs=50, validate_every=10),
    budget=(14.0, 1.0),
    decide=decide,
    draw=draw,
)
