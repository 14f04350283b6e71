"""Fig. 2 of T-Fixup: gradients of the embeddings and Adam's updates in the first steps.

Three models: Post-LN with warm-up, Post-LN without, T-Fixup without. The claim is read off the
encoder's embedding table, comparing the last fifth of the steps with the first, in geometric mean
over seeds with its 95 % interval: without warm-up Post-LN's gradients vanish (fall tenfold or more)
while neither of the other two models' do, and T-Fixup's updates stay within a factor of ten. How
Post-LN's updates without warm-up compare with those under warm-up is told beside it: with equal
rates the schedule alone makes them larger.

Reduced: 64-128-2 for 512-1024-4, 12 + 12 layers for 6 + 6 (narrow Post-LN models train without
warm-up at 6), generated sentences, 200 steps of 512 tokens for 100 of 4,000, warm-up over 400.
"""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from numerics.training.config import TrainConfig
from numerics.training.experiments.curves import draw_signals, read_log
from numerics.training.experiments.experiment import SMALL, Answer, Experiment, Finding
from numerics.training.experiments.selection import Runs, geometric_interval, matching
from numerics.training.recorded import RecordedRun

VANISHED = 0.1
"""Share of its first size below which a gradient counts as vanished."""
STABLE = 10.0
"""Factor within which updates count as stable; the paper calls an order of magnitude large."""
COLUMNS = (
    "gradient_encoder",
    "gradient_decoder",
    "adam_update_encoder",
    "norm_input_encoder",
    "norm_input_decoder",
)


def configs(
    layers: int,
    warmup: int,
    seeds: Sequence[int] = (0,),
    more: Sequence[int] = (),
    **settings: Any,
) -> tuple[TrainConfig, ...]:
    """Post-LN with and without warm-up, T-Fixup without, each with every seed.

    Post-LN without warm-up, whose gradients scatter most, has the seeds ``more`` besides.
    """
    base = {**SMALL, "layers": layers, **settings}
    return tuple(
        TrainConfig(scheme=scheme, warmup=steps, signals=True, seed=seed, **base)
        for scheme, steps in (("post-ln", warmup), ("post-ln", 0), ("tfixup", 0))
        for seed in (*seeds, *(more if scheme == "post-ln" and not steps else ()))
    )


def change(run: RecordedRun, column: str) -> float:
    """Geometric mean of a column over the last fifth of the steps over that of the first fifth.

    NaN where the first is 0, such as norms at layer norms in a model without any.
    """
    values = read_log(run)[column].drop_nulls()
    part = max(1, len(values) // 5)
    first, last = (piece.to_list() for piece in (values[:part], values[-part:]))
    start = geometric_interval(first)[0]
    return geometric_interval(last)[0] / start if start else math.nan


def groups(runs: Runs) -> tuple[list[RecordedRun], list[RecordedRun], list[RecordedRun]]:
    """Post-LN with warm-up, Post-LN without, T-Fixup."""
    post_ln = matching(runs, scheme="post-ln")
    warm = [run for run in post_ln if run.config["warmup"]]
    cold = [run for run in post_ln if not run.config["warmup"]]
    return warm, cold, matching(runs, scheme="tfixup")


def decide(runs: Runs, *, faded: float = 1.0) -> Finding:
    """Reproduced if gradients vanish in Post-LN without warm-up, and there alone.

    By the 95 % intervals of the geometric means over seeds: all of it below or above the bound.
    With ``faded`` the changes of Post-LN without warm-up count times that: a control.
    """
    warm, cold, tfixup = groups(runs)
    told = "; ".join(f"{_name(group[0])}: {_signals(group)}" for group in (warm, cold, tfixup))
    value, interval = changes(cold, "gradient_encoder", faded)
    others = [changes(group, "gradient_encoder")[1] for group in (warm, tfixup)]
    low, high = changes(tfixup, "adam_update_encoder")[1]
    vanish = interval[1] < VANISHED and all(other[0] >= VANISHED for other in others)
    if vanish and low > 1 / STABLE and high < STABLE:
        answer = Answer.REPRODUCED
    elif (
        interval[0] >= VANISHED
        or any(other[1] < VANISHED for other in others)
        or not (low < STABLE and high > 1 / STABLE)
    ):
        answer = Answer.NOT_REPRODUCED
    else:
        answer = Answer.UNDECIDED
    return Finding(answer, told, value, interval)


def changes(group: Runs, column: str, factor: float = 1.0) -> tuple[float, tuple[float, float]]:
    """Geometric mean of `change`, times a factor, over seeds, and its 95 % interval."""
    return geometric_interval([factor * change(run, column) for run in group])


def _signals(group: Runs) -> str:
    """Changes of gradient and update in words."""
    gradient, (low, high) = changes(group, "gradient_encoder")
    update, _ = changes(group, "adam_update_encoder")
    count = f"{len(group)} seed{'s' if len(group) > 1 else ''}"
    return (
        f"gradient × {gradient:.2g} [{low:.2g}, {high:.2g}], Adam's update × {update:.2g}, {count}"
    )


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """A panel a signal, the first seed of each model."""
    return draw_signals([group[0] for group in groups(runs)], COLUMNS, _name)


def _name(run: RecordedRun) -> str:
    return f"{run.config['scheme']}, {'warm-up' if run.config['warmup'] else 'no warm-up'}"


FULL = configs(12, 400, (0, 1, 2), range(3, 10), steps=200)
QUICK = configs(12, 100, steps=40, validate_every=20)
FIG2 = Experiment(
    name="fig2",
    question="Do Post-LN's embedding gradients vanish without warm-up, and T-Fixup's not?",
    full=FULL,
    quick=QUICK,
    budget=(6.0, 0.6),
    decide=decide,
    draw=draw,
)
