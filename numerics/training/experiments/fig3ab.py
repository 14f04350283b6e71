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
sentences, 50 steps of 256 tokens, three seeds, nine without warm-up at the paper's ratio in narrow
models, whose growth scatters most. The warm-up is over 4,000 steps, of which 50 see the start.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from numerics.training.config import TrainConfig
from numerics.training.experiments.experiment import (
    SMALL,
    Experiment,
    ExperimentAnswer,
    ExperimentFinding,
)
from numerics.training.experiments.fig2 import above, below, shown
from numerics.training.experiments.panels import (
    GREY,
    baseline,
    bound,
    courses,
    distinct,
    finished,
    panels,
)
from numerics.training.experiments.selection import (
    Runs,
    geometric_interval,
    matching,
    neighbourhood_of,
    range_of,
    values_of,
)
from numerics.training.recorded import RecordedRun, read_log

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
    more: Sequence[int] = (),
    **settings: Any,
) -> tuple[TrainConfig, ...]:
    """Post-LN with and without warm-up at every width, rate and seed; MLPs twice as wide.

    At the paper's ratio, narrow models without warm-up have the seeds ``more`` besides.
    """
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
        for seed in (*seeds, *(more if _narrow(width, rate) and not steps else ()))
    )


def _narrow(width: int, rate: float) -> bool:
    return width < 512 and math.isclose(width * rate, PAPERS_RATIO)


def growth(run: RecordedRun, column: str = UPPER) -> float:
    """Mean over the last fifth of the steps over the first step's value."""
    values = read_log(run.path)[column].drop_nulls()
    last = values[-max(1, len(values) // 5) :].to_list()
    return geometric_interval(last)[0] / values[0]


def ratio(run: RecordedRun) -> float:
    """Learning rate times width, ηd."""
    return float(run.config["lr"]) * int(run.config["d_model"])


def at_papers_ratio(runs: Runs) -> list[RecordedRun]:
    """The runs whose ηd is the paper's."""
    return [run for run in runs if math.isclose(ratio(run), PAPERS_RATIO)]


def by_width_and_rate(runs: Runs) -> dict[tuple[int, float], list[RecordedRun]]:
    """The runs of each width and rate."""

    def key(run: RecordedRun) -> tuple[int, float]:
        return int(run.config["d_model"]), float(run.config["lr"])

    return {cell: list(own) for cell, own in groupby(sorted(runs, key=key), key)}


def decide(runs: Runs, *, grown: float = 1.0) -> ExperimentFinding:
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
            f"ηd = {rate * width:.3g} (width {width}, rate {rate:g}) × {shown(cold)} without "
            f"warm-up, × {shown(warm)} with, lower half × {lower:.2g} without"
        )
    line = "norms after self-attention, upper half of the decoder: " + "; ".join(told)
    own = at_papers_ratio(runs)
    cells = by_width_and_rate(own)
    cold = geometric_interval([grown * growth(run) for run in matching(own, warmup=0)])
    scope = range_of(runs)
    if cells and all(parts[cell] == (True, True) for cell in cells):
        return ExperimentFinding(ExperimentAnswer.REPRODUCED, line, *cold, scope=scope)
    if cells and all(False in parts[cell] for cell in cells):
        absent = all(False in found for found in parts.values())
        beyond = neighbourhood_of(runs) if absent else ""
        return ExperimentFinding(
            ExperimentAnswer.NOT_REPRODUCED, line, *cold, scope=scope, neighbourhood=beyond
        )
    return ExperimentFinding(ExperimentAnswer.UNDECIDED, line, *cold, scope=scope)


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """Norms over steps at the paper's ratio, and growth against ηd at every width."""
    figure, ((left, right),) = panels(2)
    own = at_papers_ratio(runs) or list(runs)
    shades = distinct(f"width {width}" for width in values_of(runs, "d_model"))
    for width in values_of(own, "d_model"):
        mine, name = matching(own, d_model=width), f"width {width}"
        courses(left, matching(mine, warmup=0), _over_first, shades[name], f"{name}, no warm-up")
        warm = [run for run in mine if run.config["warmup"]]
        courses(left, warm, _over_first, shades[name], f"{name}, warm-up", ls="-.")
    baseline(left, 1.0, "step 1")
    widths = values_of(runs, "d_model")
    left.set(xlabel="step", ylabel="norm after self-attention, upper half, over step 1")
    for (width, rate), mine in by_width_and_rate(runs).items():
        for steps, mark in ((0, "o"), (1, "v")):
            some = [growth(run) for run in mine if bool(run.config["warmup"]) is bool(steps)]
            value, (low, high) = geometric_interval(some)
            down, up = (value - low, high - value) if len(some) > 1 else (0.0, 0.0)
            right.errorbar(
                [rate * width * (1 + 0.035 * (widths.index(width) - (len(widths) - 1) / 2))],
                [value],
                [[down], [up]],
                fmt=mark,
                ms=5,
                capsize=2,
                color=shades[f"width {width}"],
                mfc="white" if steps else None,
                gid="deciding",
            )
    right.plot([], [], "o", color=GREY, label="no warm-up")
    right.plot([], [], "v", color=GREY, mfc="white", label="warm-up")
    right.axvline(PAPERS_RATIO, color=GREY, lw=1.0, ls="-.", label="the paper's ratio")
    right.set(xlabel="ηd, a step's size relative to the weights", ylabel="growth", xscale="log")
    right.xaxis.set_major_locator(FixedLocator(sorted({ratio(run) for run in runs})))
    right.xaxis.set_major_formatter(StrMethodFormatter("{x:.3g}"))
    right.xaxis.set_minor_locator(NullLocator())
    for axes in (left, right):
        bound(axes, GROWS, "the paper's × 2")
    left.legend(
        frameon=False, fontsize=7, loc="center right", bbox_to_anchor=(1.0, 0.36), handlelength=4
    )
    right.legend(frameon=False, fontsize=7, loc="upper left")
    return finished(figure)


def _over_first(run: RecordedRun) -> tuple[list[int], list[float]]:
    log = read_log(run.path)
    return log["step"].to_list(), (log[UPPER] / log[UPPER][0]).to_list()


FIG3AB = Experiment(
    name="fig3ab",
    question="Do the inputs of layer norm grow two- to threefold without warm-up?",
    full=configs(
        RATES, more=range(3, 9), steps=50, tokens=256, validation_pairs=100, validate_every=50
    ),
    quick=configs({64: (2e-3, 4e-3)}, seeds=(0, 1), steps=20, tokens=256, validation_pairs=30),
    budget=(25.0, 0.6),
    decide=decide,
    draw=draw,
)
