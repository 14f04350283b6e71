"""Fig. 4a of T-Fixup: deeper models learn faster and end lower.

The paper has 6, 20 and 30 layers of its base model on WMT'17; here are 3, 6, 12 and 24 layers of
64-128-2, no layer norm, no warm-up, equal steps and batches. *Lower*: the validation loss at the
end of the deepest is below the shallowest's; *faster*: so is the mean over all validations. Both
are differences of runs of one seed, with the 95 % interval of their mean over seeds. Reproduced if
both intervals lie above 0, not reproduced if one lies below; the depths between are told beside.

Reduced: width 64, generated sentences, 300 steps of 512 tokens for 500,000 of 25,000.
"""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from numerics.training.config import TrainConfig
from numerics.training.experiments.curves import draw_losses, read_log
from numerics.training.experiments.experiment import SMALL, Answer, Experiment, Finding
from numerics.training.experiments.selection import (
    Runs,
    diverged,
    matching,
    mean_interval,
    values_of,
)
from numerics.training.recorded import RecordedRun

DEPTHS = (3, 6, 12, 24)


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
    losses = read_log(run)["validation_loss"].drop_nulls().to_list()
    return sum(losses) / len(losses)


def decide(runs: Runs, *, lowered: float = 0.0) -> Finding:
    """Reproduced if the deepest ends and stays lower than the shallowest, beyond seeds.

    With ``lowered`` the deepest's losses count that much less: a control.
    """
    depths = values_of(runs, "layers")
    told = "; ".join(
        f"N = {depth} ends at "
        + ", ".join(f"{run.validation_loss:.3f}" for run in matching(runs, layers=depth))
        for depth in depths
    )
    pairs = [
        (one, other)
        for one in matching(runs, layers=depths[0])
        for other in matching(runs, layers=depths[-1], seed=one.config["seed"])
    ]
    value, interval = mean_interval(
        [shallow.validation_loss - deep.validation_loss + lowered for shallow, deep in pairs]
    )
    course, (low, high) = mean_interval(
        [mean_loss(shallow) - mean_loss(deep) + lowered for shallow, deep in pairs]
    )
    told += (
        f"; the deepest ends {value:+.3f} [{interval[0]:+.3f}, {interval[1]:+.3f}] nats a token "
        f"lower, over its course {course:+.3f} [{low:+.3f}, {high:+.3f}], {len(pairs)} seeds"
    )
    if diverged(runs) or interval[1] < 0 or high < 0:
        return Finding(Answer.NOT_REPRODUCED, told, value, interval)
    good = interval[0] > 0 and low > 0
    return Finding(Answer.REPRODUCED if good else Answer.UNDECIDED, told, value, interval)


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """A curve a depth, the first seed."""
    first = matching(runs, seed=runs[0].config["seed"])
    return draw_losses(first, lambda run: f"N = {run.config['layers']}", by_depth=True)


FIG4A = Experiment(
    name="fig4a",
    question="Do deeper T-Fixup models learn faster and end lower?",
    full=configs(DEPTHS, range(6), steps=300, validate_every=30),
    quick=configs((2, 6, 12), steps=60, tokens=256, validation_pairs=200, validate_every=10),
    budget=(12.0, 0.5),
    decide=decide,
    draw=draw,
)
