"""Where training moves the attention blocks: alignment and growth along the skip path.

The runs log three quantities of a stack's attention products W_l = W_o W_v after every step: their
mean coherence ρ with the identity, their strength, and the growth ‖Π (I + W_l)‖_F²/d of a random
token through the products alone. By `theory.residual_stream.coherence`, blocks of T-Fixup's
strength give growth Θ(1) in the number L of blocks if and only if ρ = O(L^(-1/2)). The question is
whether *trained* stacks obey it: r = ρ √L and the growth, over depth, at the end of T-Fixup's
training. The contrast is (1 + s)^{2L}, the growth of equally strong blocks that are fully aligned.

Reduced: 64-128-2, generated sentences, 150 steps of 256 tokens.
"""

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from numerics.statistics.exponents import Exponent, fitted, power_law
from numerics.statistics.tolerances import tolerance
from numerics.training.config import TrainConfig
from numerics.training.experiments.experiment import Experiment, ExperimentAnswer, ExperimentFinding
from numerics.training.experiments.fig4a import configs as tfixup_configs
from numerics.training.experiments.panels import (
    COLD,
    GREY,
    OWN,
    WARM,
    depth_ticks,
    finished,
    panels,
)
from numerics.training.experiments.selection import Runs, matching, range_of, values_of
from numerics.training.recorded import RecordedRun, read_log

RunGrowth = Callable[[RecordedRun, str], float]
"""A run's growth along the skip path of a stack."""
BLOCKS = {"encoder": 1, "decoder": 2}
"""Attention blocks per layer."""
TOP = 100
"""Where the figure ends: growth beyond it is an arrow at the edge."""
COLUMNS = tuple(
    f"{quantity}_{stack}" for stack in BLOCKS for quantity in ("coherence", "skip_growth")
)


def configs(
    depths: Sequence[int], seeds: Sequence[int] = (0,), **settings: Any
) -> tuple[TrainConfig, ...]:
    """T-Fixup at every depth with every seed, with signals."""
    return tfixup_configs(depths, seeds, signals=True, **settings)


def at_end(run: RecordedRun, column: str) -> float:
    """The last value of a column."""
    return float(read_log(run.path)[column].drop_nulls()[-1])


def aligned_growth(run: RecordedRun, stack: str) -> float:
    """Growth at full alignment of blocks as strong as the trained ones, (1 + s)^{2L} at ρ = 1."""
    blocks = BLOCKS[stack] * int(run.config["layers"])
    return (1 + at_end(run, f"strength_{stack}")) ** (2 * blocks)


def trained_growth(run: RecordedRun, stack: str) -> float:
    """Growth along the skip path at the end of training."""
    return at_end(run, f"skip_growth_{stack}")


def coherent_growth(run: RecordedRun, stack: str) -> float:
    """Bound on the growth at the trained coherence, √(1 + ρ²L)."""
    count = BLOCKS[stack] * int(run.config["layers"])
    return math.hypot(1, at_end(run, f"coherence_{stack}") * count**0.5)


def exponents(
    runs: Runs, stack: str, growth_of: RunGrowth = trained_growth
) -> tuple[Exponent, Exponent, Exponent]:
    """The powers of L in √(1 + ρ²L), in the growth as trained, and in the growth of aligned blocks.

    The first stays bounded exactly where r = ρ√L does, and is positive where ρ is not.
    """
    blocks = [float(BLOCKS[stack] * run.config["layers"]) for run in runs]
    first, second, third = (
        fitted(power_law(blocks, [size(run, stack) for run in runs]))
        for size in (coherent_growth, growth_of, aligned_growth)
    )
    return first, second, third


def decide(runs: Runs, *, growth_of: RunGrowth = trained_growth) -> ExperimentFinding:
    """Reproduced if, in both stacks, the growth is flat in L where √(1 + ρ²L) is, and only there.

    An exponent is *flat* if its 95 % interval lies within the tolerance, and not flat if it lies
    outside. Otherwise the answer is undecided. ``growth_of`` replaces the trained growth: the
    growth at ρ = 1, which the trained ρ does not explain, is the control.
    """
    margin, told, agree = tolerance("trained-growth-exponent"), [], []
    decisive = None
    for stack in BLOCKS:
        r, growth, alike = exponents(runs, stack, growth_of)
        flat = [fit.equivalent(0.0, margin) for fit in (r, growth)]
        agree.append(None if None in flat else flat[0] == flat[1])
        ends = ", ".join(_at_depth(runs, depth, stack) for depth in values_of(runs, "layers"))
        told.append(
            f"{stack}: √(1 + ρ²L) ~ L^{r.value:+.2f}, growth ~ L^{growth.value:+.2f} "
            f"(aligned it would be L^{alike.value:+.2f}); {ends}"
        )
        decisive = decisive or growth
    assert decisive is not None
    if None in agree and False not in agree:
        answer = ExperimentAnswer.UNDECIDED
    else:
        answer = ExperimentAnswer.REPRODUCED if all(agree) else ExperimentAnswer.NOT_REPRODUCED
    return ExperimentFinding(
        answer, "; ".join(told), decisive.value, decisive.interval, scope=range_of(runs)
    )


def _at_depth(runs: Runs, depth: int, stack: str) -> str:
    """Coherence at the start and at the end, and growth, of the first run at a depth."""
    run = matching(runs, layers=depth)[0]
    start = read_log(run.path)[f"coherence_{stack}"][0]
    return (
        f"N = {depth} ρ {start:+.3f} → {at_end(run, f'coherence_{stack}'):+.3f}, growth "
        f"{at_end(run, f'skip_growth_{stack}'):.2f}"
    )


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """Growth and √(1 + ρ²L) against L in each stack, with the cone in which both count as flat."""
    margin = tolerance("trained-growth-exponent")
    figure, (row,) = panels(2, sharey=True)
    for panel, (stack, blocks) in zip(row, BLOCKS.items(), strict=True):
        count = [blocks * int(run.config["layers"]) for run in runs]
        for size, mark, shade, name in (
            (trained_growth, "o", OWN, "growth as trained"),
            (coherent_growth, "s", WARM, "√(1 + ρ²L)"),
            (aligned_growth, "v", COLD, "growth if aligned"),
        ):
            found = [size(run, stack) for run in runs]
            panel.plot(count, found, mark, ms=4, color=shade, label=name, gid="deciding")
        depths = np.unique(count).astype(float)
        middle = fmean(trained_growth(run, stack) for run in runs)
        spread = (depths / depths[0]) ** margin
        panel.axhline(middle, color=GREY, lw=0.8, ls=":", gid="baseline", label="flat")
        panel.plot(depths, middle * spread, color=GREY, lw=1.0, ls="--", gid="bound")
        panel.plot(
            depths,
            middle / spread,
            color=GREY,
            lw=1.0,
            ls="--",
            label=f"L^±{margin:g}: still flat",
        )
        panel.set(yscale="log", ylim=(0.5, TOP), title=stack, xlabel="attention blocks L")
        aligned = [aligned_growth(run, stack) for run in runs]
        above = sorted({n for n, size in zip(count, aligned, strict=True) if size > TOP})
        told = f"more than {TOP}"
        panel.plot(above, [TOP] * len(above), "^", ms=6, color=COLD, clip_on=False, label=told)
        depth_ticks(panel, [int(depth) for depth in depths])
    row[0].set_ylabel("growth along the skip path at the end")
    row[0].legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(0, 0.97))
    return finished(figure)


COHERENCE = Experiment(
    name="coherence",
    question="Do T-Fixup's blocks stay incoherent, and their skip path Θ(1), in training?",
    full=configs((6, 12, 24, 48), (0, 1), steps=120, tokens=256, validation_pairs=100),
    quick=configs((3, 6, 12), (0, 1), steps=20, tokens=256, validation_pairs=50),
    budget=(5.0, 0.4),
    decide=decide,
    draw=draw,
)
