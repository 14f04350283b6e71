"""Figs. 2 and 3a,b of T-Fixup: gradients, Adam's updates and layer-norm inputs at the start.

Three models: Post-LN with warm-up, Post-LN without, T-Fixup without. The claim read off the
encoder's embedding table, comparing the last fifth of the steps with the first:
without warm-up Post-LN's gradients vanish (fall tenfold or more) while neither of the other two
models' do. Adam's updates and the norms are told beside it.
"""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from numerics.training.config import TrainConfig
from numerics.training.experiments.curves import draw_signals, read_log
from numerics.training.experiments.experiment import SMALL, Answer, Experiment, Finding
from numerics.training.recorded import RecordedRun

VANISHED = 0.1
"""Share of its first size below which a gradient counts as vanished."""
COLUMNS = (
    "gradient_encoder",
    "gradient_decoder",
    "adam_update_encoder",
    "norm_input_encoder",
    "norm_input_decoder",
)


def configs(layers: int, warmup: int, **settings: Any) -> tuple[TrainConfig, ...]:
    """Post-LN with and without warm-up, T-Fixup without."""
    base = {**SMALL, "layers": layers, **settings}
    return tuple(
        TrainConfig(scheme=scheme, warmup=steps, signals=True, **base)
        for scheme, steps in (("post-ln", warmup), ("post-ln", 0), ("tfixup", 0))
    )


def change(run: RecordedRun, column: str) -> float:
    """Geometric mean of a column over the last fifth of the steps over that of the first fifth."""
    values = read_log(run)[column].drop_nulls()
    part = max(1, len(values) // 5)
    first, last = (piece.log().mean() for piece in (values[:part], values[-part:]))
    assert isinstance(first, float)
    assert isinstance(last, float)
    return math.exp(last - first)


def decide(runs: Sequence[RecordedRun]) -> Finding:
    """Reproduced if the gradients vanish in Post-LN without warm-up, and there alone."""
    told = "; ".join(
        f"{_name(run)}: gradient × {change(run, 'gradient_encoder'):.2g}, "
        f"Adam's update × {change(run, 'adam_update_encoder'):.2g}"
        + (
            f", norms × {change(run, 'norm_input_encoder'):.2g} and "
            f"× {change(run, 'norm_input_decoder'):.2g}"
            if run.config["scheme"] == "post-ln"
            else ""
        )
        for run in runs
    )
    vanished = [change(run, "gradient_encoder") < VANISHED for run in runs]
    expected = [run.config["scheme"] == "post-ln" and not run.config["warmup"] for run in runs]
    return Finding(Answer.REPRODUCED if vanished == expected else Answer.NOT_REPRODUCED, told)


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """A panel a signal."""
    return draw_signals(runs, COLUMNS, _name)


def _name(run: RecordedRun) -> str:
    return f"{run.config['scheme']}, {'warm-up' if run.config['warmup'] else 'no warm-up'}"


FIG2 = Experiment(
    name="fig2",
    question="Do Post-LN's embedding gradients vanish without warm-up, and T-Fixup's not?",
    full=configs(12, 400, steps=400, pairs=20_000, vocabulary=1_000),
    quick=configs(12, 100, steps=60, validate_every=20),
    budget=(10.0, 2.0),
    decide=decide,
    draw=draw,
)
