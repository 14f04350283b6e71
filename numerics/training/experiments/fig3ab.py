"""Fig. 3a,b of T-Fixup: the norms of layer norm's inputs, with and without warm-up.

The paper: the mean norm of what enters the layer norm after self-attention, in each decoder layer,
"increases 2x to 3x particularly in the upper layers when warmup is not used". The quantity here is
the *growth*: over the upper half of the decoder's layers, the mean of the last fifth of the steps
over the first step's value, in geometric mean over seeds.

What the paper leaves open is the rate. How far a step goes depends on its size relative to the
weights: Adam's first step has entries ±η, and such a matrix, being of rank one, has the spectral
norm ηd, where Xavier's has about 2. So η is varied at several widths d, and the *paper's ratio* is
ηd = 5e-4 · 512. Reproduced if at this ratio, at every width, the growth without warm-up lies at or
above `GROWS` and that with warm-up below; not reproduced if at this ratio, at every width, the
growth without lies below, or that with lies at or above it; by 95 % intervals over seeds. Every
other rate is told beside it.

Reduced: widths 64 and 128 beside the paper's *small* 512-1024-4, its 6 + 6 layers, generated
sentences, 50 steps of 256 tokens. The warm-up is over 4,000 steps, of which 50 see the start.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from matplotlib.figure import Figure

from numerics.training.config import TrainConfig
from numerics.training.experiments.curves import draw_signals, read_log
from numerics.training.experiments.experiment import SMALL, Answer, Experiment, Finding
from numerics.training.experiments.fig2 import above, below, shown
from numerics.training.experiments.selection import (
    Runs,
    geometric_interval,
    matching,
    neighbourhood_of,
    range_of,
)
from numerics.training.recorded import RecordedRun

UPPER, LOWER = "norm_self_attention_upper", "norm_self_attention_lower"
GROWS = 2.0
"""The lower end of the paper's 2× to 3×."""
PAPERS_RATIO = 5e-4 * 512
"""ηd of T-Fixup's *small* model at the rate that the paper names."""
RATES: Mapping[int, Sequence[float]] = {
    64: (1e-3, 2e-3, 4e-3),
    128: (5e-4, 1e-3, 2e-3),
    512: (5e-4,),
}
"""Rates by width, a factor 2 apart; the last of each has the paper's ratio."""
WARMUP = 4_000


def configs(
    rates: Mapping[int, Sequence[float]],
    warmup: int = WARMUP,
    seeds: Sequence[int] = (0, 1, 2),
    **settings: Any,
) -> tuple[TrainConfig, ...]:
    """Post-LN with and without warm-up at every width, rate and seed; MLPs twice as wide."""
    base = {**SMALL, "layers": 6, "scheme": "post-ln", "signals": True, **settings}
    return tuple(
        TrainConfig(
            d_model=width,
            d_ff=2 * width,
            heads=2 if width <= 64 else 4,
            lr=rate,
            warmup=steps,
            seed=seed,
            **base,
        )
        for width, own in rates.items()
        for rate in own
        for steps in (warmup, 0)
        for seed in seeds
    )


def growth(run: RecordedRun, column: str = UPPER) -> float:
    """Mean over the last fifth of the steps over the first step's value."""
    values = read_log(run)[column].drop_nulls()
    last = values[-max(1, len(values) // 5) :].to_list()
    return geometric_interval(last)[0] / values[0]


def ratio(run: RecordedRun) -> float:
    """ηd."""
    return float(run.config["lr"]) * int(run.config["d_model"])


def at_papers_ratio(runs: Runs) -> list[RecordedRun]:
    """The runs whose ηd is the paper's."""
    return [run for run in runs if math.isclose(ratio(run), PAPERS_RATIO)]


def by_width_and_rate(runs: Runs) -> dict[tuple[int, float], list[RecordedRun]]:
    """The runs of each width and rate."""

    def key(run: RecordedRun) -> tuple[int, float]:
        return int(run.config["d_model"]), float(run.config["lr"])

    return {cell: list(own) for cell, own in groupby(sorted(runs, key=key), key)}


def decide(runs: Runs, *, grown: float = 1.0) -> Finding:
    """Reproduced if, at the paper's ratio, norms at least double without warm-up, and only so.

    With ``grown`` the growth without warm-up counts times that: a control.
    """
    parts: dict[tuple[int, float], tuple[bool | None, bool | None]] = {}
    told = []
    for (width, rate), own in by_width_and_rate(runs).items():
        warm = geometric_interval([growth(run) for run in own if run.config["warmup"]])
        cold = geometric_interval([grown * growth(run) for run in matching(own, warmup=0)])
        lower = geometric_interval([growth(run, LOWER) for run in matching(own, warmup=0)])[0]
        parts[width, rate] = above(cold, GROWS), below(warm, GROWS)
        told.append(
            f"ηd = {rate * width:.3g} (width {width}, rate {rate:.0e}) × {shown(cold)} without "
            f"warm-up, × {shown(warm)} with, lower half × {lower:.2g} without"
        )
    line = "norms after self-attention, upper half of the decoder: " + "; ".join(told)
    own = at_papers_ratio(runs)
    cells = by_width_and_rate(own)
    cold = geometric_interval([grown * growth(run) for run in matching(own, warmup=0)])
    scope = range_of(runs)
    if cells and all(parts[cell] == (True, True) for cell in cells):
        return Finding(Answer.REPRODUCED, line, *cold, scope=scope)
    if cells and all(False in parts[cell] for cell in cells):
        absent = all(False in found for found in parts.values())
        beyond = neighbourhood_of(runs) if absent else ""
        return Finding(Answer.NOT_REPRODUCED, line, *cold, scope=scope, neighbourhood=beyond)
    return Finding(Answer.UNDECIDED, line, *cold, scope=scope)


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """Norms in both halves of the decoder, the first seed of Post-LN."""
    own = at_papers_ratio(runs) or list(runs)
    first = matching(own, seed=own[0].config["seed"])
    return draw_signals(
        first, (UPPER, LOWER), lambda run: "warm-up" if run.config["warmup"] else "no warm-up"
    )


FIG3AB = Experiment(
    name="fig3ab",
    question="Do the inputs of layer norm grow two- to threefold without warm-up?",
    full=configs(RATES, steps=50, tokens=256, validation_pairs=100, validate_every=50),
    quick=configs({64: (2e-3, 4e-3)}, seeds=(0, 1), steps=20, tokens=256, validation_pairs=30),
    budget=(25.0, 0.6),
    decide=decide,
    draw=draw,
)
