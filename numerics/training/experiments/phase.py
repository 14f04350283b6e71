"""Depth × learning rate × scheme → trained, stuck or diverged, all without warm-up.

It asks at which depth Post-LN stops training without warm-up, and whether T-Fixup goes on.

It also shows whether a scheme bounds Adam's updates at any depth: then the largest rate that trains
does not fall with depth. If updates grow as √N it falls as N^(-1/2).

Reduced: 64-128-2, generated sentences with a vocabulary of 200, 50 steps of 256 tokens. A run that
trains more slowly than that allows counts as stuck, so "stops training" means "in 50 steps".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from numerics.statistics.exponents import NoExponent, power_law
from numerics.training.config import TrainConfig
from numerics.training.experiments.experiment import (
    SMALL,
    Experiment,
    ExperimentAnswer,
    ExperimentFinding,
)
from numerics.training.experiments.panels import (
    GREY,
    MARKS,
    SHADES,
    depth_ticks,
    finished,
    outcomes_legend,
    panels,
)
from numerics.training.experiments.selection import matching, range_of, values_of
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import RecordedRun

SCHEMES = ("tfixup", "tfixup-adam", "post-ln", "pre-ln", "admin", "deepnorm", "xavier")
BUDGET: Mapping[str, Any] = {
    **SMALL,
    "steps": 50,
    "tokens": 256,
    "vocabulary": 200,
    "validation_pairs": 100,
    "validate_every": 25,
}
"""Settings of short runs that say trained or not: T-Fixup needs about 20 of the steps."""
HALF_WAY = -0.25
"""Between η ∝ N^0 of bounded updates and η ∝ N^(-1/2) of updates that grow as √N."""


def configs(
    schemes: Sequence[str], depths: Sequence[int], rates: Sequence[float], **settings: Any
) -> tuple[TrainConfig, ...]:
    """The runs of every combination of scheme, depth and rate."""
    base = {**BUDGET, **settings}
    return tuple(
        TrainConfig(scheme=scheme, layers=depth, lr=lr, **base)
        for scheme in schemes
        for depth in depths
        for lr in rates
    )


def deepest_trained(runs: Sequence[RecordedRun]) -> Mapping[str, int]:
    """The largest depth of each scheme at which some learning rate trained, 0 for none."""
    found = {str(run.config["scheme"]): 0 for run in runs}
    for run in runs:
        if run.outcome is RunOutcome.TRAINED:
            scheme = str(run.config["scheme"])
            found[scheme] = max(found[scheme], int(run.config["layers"]))
    return found


def decide(runs: Sequence[RecordedRun]) -> ExperimentFinding:
    """Reproduced if T-Fixup trains at every depth, with some rate, and Post-LN does not."""
    depths = sorted({int(run.config["layers"]) for run in runs})
    deepest = deepest_trained(runs)
    told = "deepest that trained with some rate, of N = " + ", ".join(map(str, depths)) + ": "
    told += ", ".join(f"{scheme} {depth or 'none'}" for scheme, depth in deepest.items())
    trained = {
        int(run.config["layers"])
        for run in runs
        if run.config["scheme"] == "tfixup" and run.outcome is RunOutcome.TRAINED
    }
    if trained != set(depths):
        return ExperimentFinding(ExperimentAnswer.NOT_REPRODUCED, told, scope=range_of(runs))
    post_ln_stops = deepest.get("post-ln", depths[-1]) < depths[-1]
    answer = ExperimentAnswer.REPRODUCED if post_ln_stops else ExperimentAnswer.UNDECIDED
    return ExperimentFinding(answer, told, scope=range_of(runs))


def largest_rates(runs: Sequence[RecordedRun], scheme: str) -> dict[int, float]:
    """By depth, the largest learning rate at which ``scheme`` trained, 0 for none."""
    own = matching(runs, scheme=scheme)
    return {
        depth: max(
            (
                float(run.config["lr"])
                for run in matching(own, layers=depth)
                if run.outcome is RunOutcome.TRAINED
            ),
            default=0.0,
        )
        for depth in values_of(own, "layers")
    }


def bounded_at_any_depth(runs: Sequence[RecordedRun], scheme: str) -> ExperimentFinding:
    """Whether the largest rate that trains stays as depth grows, by its exponent in N.

    Reproduced if the 95 % interval of the exponent p in η_max ~ N^p lies above −1/4, half way to
    what updates of √N need; not reproduced if it lies below −1/4, or no rate trains at some depth
    beyond one that has some; else undecided.

    Parameters
    ----------
    runs
        Runs over depths and rates.
    scheme
        Whose.
    """
    rates, scope = largest_rates(runs, scheme), range_of(matching(runs, scheme=scheme))
    line = f"{scheme}: largest rate that trains " + ", ".join(
        f"{rate:.0e} at N = {depth}" if rate else f"none at N = {depth}"
        for depth, rate in rates.items()
    )
    if not all(rates.values()):
        some = any(rates.values())
        answer = ExperimentAnswer.NOT_REPRODUCED if some else ExperimentAnswer.UNDECIDED
        return ExperimentFinding(answer, line, scope=scope)
    fit = power_law(list(rates), list(rates.values()))
    if isinstance(fit, NoExponent):
        return ExperimentFinding(ExperimentAnswer.UNDECIDED, f"{line}; {fit.reason}", scope=scope)
    low, high = fit.interval
    line += f"; ~ N^{fit.value:+.2f} [{low:+.2f}, {high:+.2f}]"
    if low > HALF_WAY:
        answer = ExperimentAnswer.REPRODUCED
    else:
        answer = ExperimentAnswer.NOT_REPRODUCED if high < HALF_WAY else ExperimentAnswer.UNDECIDED
    return ExperimentFinding(answer, line, fit.value, fit.interval, scope=scope)


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """One panel per scheme: depth across, learning rate up, the outcome as mark and colour.

    The line joins the largest rates that train; the dashed one, from its first point on, falls as
    N^(-1/4), half way to what updates of √N need.
    """
    schemes = list(dict.fromkeys(str(run.config["scheme"]) for run in runs))
    across = min(len(schemes), 4)
    down = -(-len(schemes) // across)
    figure, axes = panels(
        across, down, figsize=(2.6 * across, 2.4 * down + 0.4), sharex=True, sharey=True
    )
    for panel in axes.flat[len(schemes) :]:
        panel.set_visible(False)
    for panel, scheme in zip(axes.flat, schemes, strict=False):
        own = matching(runs, scheme=scheme)
        for outcome, shade in SHADES.items():
            mine = [run for run in own if run.outcome is outcome]
            panel.scatter(
                [run.config["layers"] for run in mine],
                [run.config["lr"] for run in mine],
                color=shade,
                s=32,
                marker=MARKS[outcome],
            )
        largest = {depth: rate for depth, rate in largest_rates(runs, scheme).items() if rate}
        panel.plot(list(largest), list(largest.values()), color="black", lw=1.2, gid="deciding")
        if largest:
            first, rate = next(iter(largest.items()))
            ends = np.array([first, values_of(own, "layers")[-1]], dtype=float)
            panel.axhline(rate, color=GREY, lw=0.8, ls=":", gid="baseline", zorder=0)
            panel.plot(
                ends, rate * (ends / first) ** HALF_WAY, color=GREY, lw=1.0, ls="--", gid="bound"
            )
        panel.set(title=scheme, yscale="log")
        depth_ticks(panel, values_of(runs, "layers"))
        panel.tick_params(labelbottom=True, labelsize=7.5)
    for row in axes:
        row[0].set_ylabel("learning rate")
    figure.supxlabel("layers N", fontsize=9, y=0.06)
    outcomes_legend(
        figure,
        largest_rate_that_trains=("-", "black"),
        **{"the same at every N": (":", GREY), "∝ N^(−1/4)": ("--", GREY)},
    )
    return finished(figure, below=0.07)


PHASE = Experiment(
    name="phase",
    question="At which depth does Post-LN stop training without warm-up, and does T-Fixup go on?",
    full=configs(SCHEMES, (2, 4, 8, 16, 24, 48), (3e-4, 1e-3, 3e-3, 1e-2)),
    quick=configs(
        ("tfixup", "post-ln", "xavier"), (2, 6, 12), (1e-3, 5e-3), steps=25, validate_every=25
    ),
    budget=(26.0, 1.5),
    decide=decide,
    draw=draw,
)
