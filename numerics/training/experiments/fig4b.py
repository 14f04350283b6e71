"""Fig. 4b of T-Fixup: 64-128-2 at 6 to 200 layers per side, no layer norm, no warm-up.

Reduced: generated sentences with a vocabulary of 400, 250 steps of 512 tokens (quick: 30 of 256)
for 50,000 updates. The experiment can fail, and Xavier's initialisation without layer norm must not
train at the same sizes, or nothing is decided. At full scale T-Fixup's scales meet, at 200 layers,
a learning rate ∝ N^(-1/2), and at 6, 50 and 200 their squares.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from numerics.training.config import TrainConfig
from numerics.training.experiments.experiment import (
    SMALL,
    Experiment,
    ExperimentAnswer,
    ExperimentFinding,
)
from numerics.training.experiments.panels import (
    COLD,
    GREY,
    finished,
    in_order,
    legend_beside,
    loss_lines,
    panels,
    validation,
)
from numerics.training.experiments.selection import (
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

DEPTHS = (6, 12, 25, 50, 100, 200)
CONTROL = "xavier"
SQUARED = "tfixup-adam"
RATE = 1e-3
"""Of the depths' curves."""


def configs(depths: Sequence[int], control_depth: int, **settings: Any) -> tuple[TrainConfig, ...]:
    """T-Fixup at every depth, and the control at one."""
    base = {**SMALL, "lr": RATE, "validation_pairs": 100, **settings}
    runs = [("tfixup", depth) for depth in depths] + [(CONTROL, control_depth)]
    return tuple(TrainConfig(scheme=scheme, layers=depth, **base) for scheme, depth in runs)


def variants(**settings: Any) -> tuple[TrainConfig, ...]:
    """At 200 layers η √(6/200) in the place of η; squared scales at 6, 50 and 200 layers."""
    scaled = configs((200,), 200, lr=RATE * (6 / 200) ** 0.5, **settings)[0]
    squared = configs((6, 50, 200), 200, **settings)[:-1]
    return (scaled, *(replace(one, scheme=SQUARED) for one in squared))


def decide(runs: Sequence[RecordedRun]) -> ExperimentFinding:
    """Reproduced if T-Fixup trained at every depth while the control did not train."""
    curves = [run for run in runs if run.config["scheme"] == "tfixup" and run.config["lr"] == RATE]
    controls = [run for run in runs if run.config["scheme"] == CONTROL]
    line = ", ".join(
        f"N = {run.config['layers']} {run.outcome} ({run.validation_loss:.2f})" for run in curves
    )
    line += f"; unigram {curves[0].unigram_loss:.2f} nats per token; control: " + ", ".join(
        f"{CONTROL} N = {run.config['layers']} {run.outcome}" for run in controls
    )
    others = [run for run in runs if run not in curves and run not in controls]
    if others:
        line += "; also " + ", ".join(
            f"{run.config['scheme']} N = {run.config['layers']} lr {run.config['lr']:.2g} "
            f"{run.outcome} ({run.validation_loss:.2f})"
            for run in others
        )
    if any(run.outcome is RunOutcome.DIVERGED for run in curves):
        return ExperimentFinding(ExperimentAnswer.NOT_REPRODUCED, line, scope=range_of(curves))
    blind = any(run.outcome is RunOutcome.TRAINED for run in controls)
    all_train = all(run.outcome is RunOutcome.TRAINED for run in curves)
    answer = ExperimentAnswer.REPRODUCED if all_train and not blind else ExperimentAnswer.UNDECIDED
    return ExperimentFinding(answer, line, scope=range_of(curves))


def squared_trains(runs: Sequence[RecordedRun]) -> ExperimentFinding:
    """Squared scales train under Adam's full rate at every depth that they were tried at.

    Reproduced if all trained while the control did not; not reproduced if one diverged.
    """
    own, plain = matching(runs, scheme=SQUARED), matching(runs, scheme="tfixup", lr=RATE)
    line = "; ".join(
        f"N = {run.config['layers']} squared scales {told([run])}, plain "
        f"{told(matching(plain, layers=run.config['layers']))}"
        for run in own
    )
    if diverged(own):
        return ExperimentFinding(ExperimentAnswer.NOT_REPRODUCED, line, scope=range_of(own))
    good = all_trained(own) and none_trained(matching(runs, scheme=CONTROL))
    answer = ExperimentAnswer.REPRODUCED if good else ExperimentAnswer.UNDECIDED
    return ExperimentFinding(answer, line, scope=range_of(own))


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """T-Fixup's losses by depth on the left, squared scales and the scaled rate on the right."""
    figure, ((left, right),) = panels(2, sharey=True, figsize=(10.4, 3.5))
    shades = in_order(values_of(matching(runs, scheme="tfixup"), "layers"))
    for run in runs:
        depth, scheme = run.config["layers"], run.config["scheme"]
        plain = scheme == "tfixup" and run.config["lr"] == RATE
        steps, losses = validation(run)
        name = _name(run) + ("" if len(losses) > 1 else f": {run.outcome}")
        if scheme == CONTROL:
            left.plot(steps, losses, "X-", color=COLD, ms=5, label=name)
            continue
        (left if plain else right).plot(
            steps,
            losses,
            lw=1.5,
            color=shades.get(depth, GREY),
            ls="-" if scheme == "tfixup" else "--",
            label=name,
            gid="deciding",
        )
    for axes in (left, right):
        loss_lines(axes, runs[0])
        axes.set(xlabel="step")
        if axes.get_legend_handles_labels()[0]:
            legend_beside(axes)
    left.set(ylabel="validation loss, nats per token")
    return finished(figure)


def _name(run: RecordedRun) -> str:
    rate = "" if run.config["lr"] == RATE else f", rate {run.config['lr']:.2g}"
    return f"{run.config['scheme']}, N = {run.config['layers']}{rate}"


FIG4B = Experiment(
    name="fig4b",
    question="Does T-Fixup train at 6 to 200 layers without layer norm and without warm-up?",
    full=configs(DEPTHS, 50, steps=250, validate_every=25) + variants(steps=250, validate_every=25),
    quick=configs(DEPTHS, 25, steps=30, tokens=256, vocabulary=200, validate_every=15),
    budget=(45.0, 2.0),
    decide=decide,
    draw=draw,
)
