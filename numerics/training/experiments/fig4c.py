"""Fig. 4c of T-Fixup: batches of 1, 2, 4 and 8 times the size, everything else fixed, no warm-up.

The paper's rate and number of updates stay as the batch grows, and BLEU hardly changes; so here.
Reproduced if T-Fixup trains at every size and seed, while Post-LN without warm-up, the control,
trains at neither end; not reproduced if T-Fixup diverges; else undecided.

Reduced: 64-128-2 at 12 + 12 layers, generated sentences, 150 updates, 256 to 2,048 tokens for
25,000 to 200,000.
"""

from collections.abc import Sequence
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
    courses,
    finished,
    in_order,
    legend_beside,
    loss_lines,
    panels,
    validation,
)
from numerics.training.experiments.selection import (
    Runs,
    all_trained,
    diverged,
    matching,
    mean_interval,
    none_trained,
    range_of,
    told,
    values_of,
)
from numerics.training.recorded import RecordedRun

FACTORS = (1, 2, 4, 8)
CONTROL = "post-ln"


def configs(
    layers: int, tokens: int, seeds: Sequence[int] = (0,), **settings: Any
) -> tuple[TrainConfig, ...]:
    """T-Fixup at every batch size and seed, Post-LN at the smallest and the largest."""
    base = {**SMALL, "layers": layers, **settings}
    runs = [("tfixup", factor, seed) for factor in FACTORS for seed in seeds]
    runs += [(CONTROL, factor, seeds[0]) for factor in (FACTORS[0], FACTORS[-1])]
    return tuple(
        TrainConfig(scheme=scheme, seed=seed, **{**base, "tokens": factor * tokens})
        for scheme, factor, seed in runs
    )


def decide(runs: Runs) -> ExperimentFinding:
    """Reproduced if T-Fixup trains at every batch size and the control does not."""
    own, control = matching(runs, scheme="tfixup"), matching(runs, scheme=CONTROL)
    sizes = values_of(own, "tokens")
    line = "; ".join(f"{size} tokens {told(matching(own, tokens=size))}" for size in sizes)
    line += f"; control {CONTROL} {told(control)}"
    value, interval = mean_interval(
        [
            small.validation_loss - large.validation_loss
            for small in matching(own, tokens=sizes[0])
            for large in matching(own, tokens=sizes[-1], seed=small.config["seed"])
        ]
    )
    line += f"; × {sizes[-1] // sizes[0]} ends {value:.2f} nats per token lower"
    if diverged(own):
        return ExperimentFinding(
            ExperimentAnswer.NOT_REPRODUCED, line, value, interval, scope=range_of(own)
        )
    good = all_trained(own) and none_trained(control)
    answer = ExperimentAnswer.REPRODUCED if good else ExperimentAnswer.UNDECIDED
    return ExperimentFinding(answer, line, value, interval, scope=range_of(own))


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """Losses by batch size, seeds thin, beside the control's."""
    figure, ((axes,),) = panels(1, figsize=(7.4, 3.8))
    own, control = matching(runs, scheme="tfixup"), matching(runs, scheme=CONTROL)
    sizes = values_of(own, "tokens")
    for size, shade in in_order(sizes).items():
        name = f"T-Fixup, {size:,} tokens"
        courses(axes, matching(own, tokens=size), validation, shade, name, gid="deciding")
    for run, dash in zip(control, ("-", "--"), strict=False):
        name = f"Post-LN, {run.config['tokens']:,} tokens"
        courses(axes, [run], validation, COLD, name, ls=dash)
    axes.set_xlim(right=1.12 * axes.get_xlim()[1])  # Room for the names of the lines.
    loss_lines(axes, runs[0])
    axes.set(xlabel="step", ylabel="validation loss, nats per token")
    legend_beside(axes)
    return finished(figure)


FIG4C = Experiment(
    name="fig4c",
    question="Does T-Fixup train without warm-up on batches of up to eight times the size?",
    full=configs(12, 256, (0, 1), steps=150, validate_every=25),
    quick=configs(12, 128, steps=40, validation_pairs=100, validate_every=20),
    budget=(4.0, 0.8),
    decide=decide,
    draw=draw,
)
