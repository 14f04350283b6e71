"""Whether the best learning rate carries over in depth, and the price of tuning at depth 3.

By scheme and seed the best rate of a depth is the vertex of a parabola through the lowest held-out
loss and its neighbours (`numerics.statistics.best_rate`). Its exponent p in η* ~ N^p has the
interval of `power_law` over depths and seeds. A scheme's rate carries over where that interval lies
within ± 1/4, half way to the N^(-1/2) that updates growing as √N need.

A run that diverged, or ends above log V, counts as knowing nothing: log V. A best rate at the edge
of a grid leaves the answer undecided. So does a depth whose best rate does not train, because its
plateau has no optimum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf, isfinite

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from numerics.statistics.best_rate import best_rate, price
from numerics.statistics.estimates import Estimate
from numerics.statistics.exponents import Exponent, NoExponent, power_law
from numerics.training.experiments.experiment import Experiment, ExperimentAnswer, ExperimentFinding
from numerics.training.experiments.panels import GREY, finished, in_order, panels
from numerics.training.experiments.power import minutes
from numerics.training.experiments.selection import (
    Runs,
    matching,
    neighbourhood_of,
    range_of,
    values_of,
)
from numerics.training.experiments.transfer_runs import (
    LONGER,
    LONGER_MORE_SEEDS,
    LONGER_WINDOWS,
    MORE_SEEDS,
    configs,
)
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import RecordedRun

MARGIN = 0.25
"""Half way between η* ~ N^0, which carries over, and the N^(-1/2) of updates that grow as √N."""
RULED: Mapping[str, float] = {"completep": 0.0, "depth-mup": 0.0}
"""Schemes whose papers claim that rates carry over, with the power of N in the rate beside theirs.
Both have their own factors on rates, so that nothing is left to add."""


@dataclass(frozen=True)
class Transfer:
    """What the runs of a scheme say."""

    scheme: str
    best: Mapping[int, tuple[float | None, ...]]
    """By depth, the best rate of each seed; ``None`` at an edge or where nothing trains."""
    exponent: Exponent | NoExponent
    """p of η* ~ N^p."""
    paid: Estimate | str
    """Nats per token lost at the deepest for the best rate of the shallowest."""
    paid_with_root: Estimate | str
    """The same for that rate times √(N_shallowest/N_deepest)."""


def losses(runs: Runs, depth: int) -> tuple[list[float], list[list[float]]]:
    """The rates of a depth, and a row of losses for each seed."""
    own = matching(runs, layers=depth)
    rates = values_of(own, "lr")
    rows = [
        [_loss(matching(own, seed=seed, lr=lr)) for lr in rates] for seed in values_of(own, "seed")
    ]
    return rates, rows


def transfer(runs: Runs, scheme: str) -> Transfer:
    """Best rates, their exponent and the price of tuning at the shallowest depth."""
    own = matching(runs, scheme=scheme)
    depths = values_of(own, "layers")
    grids = {depth: losses(own, depth) for depth in depths}
    best = {
        depth: tuple(
            best_rate(rates, row) if _trained(own, depth, seed) else None
            for seed, row in zip(values_of(own, "seed"), rows, strict=True)
        )
        for depth, (rates, rows) in grids.items()
    }
    pairs = [(depth, rate) for depth, rates in best.items() for rate in rates]
    known = [(depth, rate) for depth, rate in pairs if rate is not None]
    if len(known) < len(pairs):
        where = min(depth for depth, rate in pairs if rate is None)
        fit = NoExponent(f"no best rate inside the grid at N = {where}")
        paid = paid_with_root = fit.reason
    else:
        fit = power_law(*zip(*known, strict=True))
        paid, paid_with_root = (
            price(*grids[depths[-1]], *grids[depths[0]], factor)
            for factor in (1.0, (depths[0] / depths[-1]) ** 0.5)
        )
    return Transfer(scheme, best, fit, paid, paid_with_root)


def carries_over(runs: Runs, scheme: str, power: float = 0.0) -> ExperimentFinding:
    """Whether one base rate is best at every depth, where the rate is the base times N^power.

    Reproduced if the interval of p − power lies within ± 1/4, not reproduced if it lies outside;
    else undecided.

    Parameters
    ----------
    runs
        Runs over depths, rates and seeds.
    scheme
        Whose.
    power
        0 for a constant rate, −1/2 for η ∝ N^(-1/2).
    """
    own = matching(runs, scheme=scheme)
    found, scope = transfer(runs, scheme), range_of(own)
    line = told(found)
    if isinstance(found.exponent, NoExponent):
        return ExperimentFinding(ExperimentAnswer.UNDECIDED, line, scope=scope)
    low, high = (end - power for end in found.exponent.interval)
    within = Estimate(found.exponent.value - power, low, high).within(0.0, MARGIN)
    answer = {
        True: ExperimentAnswer.REPRODUCED,
        False: ExperimentAnswer.NOT_REPRODUCED,
        None: ExperimentAnswer.UNDECIDED,
    }[within]
    if answer is ExperimentAnswer.UNDECIDED:
        line += f"; {_cost(own, low, high)}"
    against = answer is ExperimentAnswer.NOT_REPRODUCED
    return ExperimentFinding(
        answer,
        line,
        found.exponent.value - power,
        (low, high),
        scope,
        neighbourhood_of(own) if against else "",
    )


def _cost(own: Runs, low: float, high: float) -> str:
    """What would decide: how many seeds bring the interval clear of the nearer bound.

    The interval narrows as 1/√n around the middle that these seeds have, which may move.
    """
    middle, half = (low + high) / 2, (high - low) / 2
    seeds = len(values_of(own, "seed"))
    apart = min(abs(middle - MARGIN), abs(middle + MARGIN))
    needed = max(seeds + 1, ceil(seeds * (half / apart) ** 2)) if apart else inf
    if not isfinite(needed):
        return "the middle lies on the bound, so that no number of seeds decides"
    return (
        f"if the middle stays where {seeds} seeds have it, {needed:,} seeds decide: "
        f"{minutes(own) / seeds * (needed - seeds):,.0f} minutes of one core more"
    )


def tilted(runs: Runs, power: float) -> list[RecordedRun]:
    """The runs under false names: each rate passes for itself times N^power."""
    return [_with(run, lr=run.config["lr"] * run.config["layers"] ** power) for run in runs]


def repeated(runs: Runs, power: float) -> list[RecordedRun]:
    """The shallowest depth's runs at every depth, each rate times N^power: known to carry over."""
    depths = values_of(runs, "layers")
    first = matching(runs, layers=depths[0])
    return [
        _with(run, layers=depth, lr=run.config["lr"] * (depth / depths[0]) ** power)
        for depth in depths
        for run in first
    ]


def _with(run: RecordedRun, **settings: object) -> RecordedRun:
    return replace(run, config=dict(run.config) | settings)


def decide(runs: Runs) -> ExperimentFinding:
    """Reproduced if the rates of every scheme that promises it carry over, not if one's do not."""
    schemes = list(dict.fromkeys(str(run.config["scheme"]) for run in runs))
    findings = {scheme: carries_over(runs, scheme) for scheme in schemes}
    line = "; ".join(found.line for found in findings.values())
    promised = [findings[scheme].answer for scheme in RULED if scheme in findings]
    answer = ExperimentAnswer.UNDECIDED
    if ExperimentAnswer.NOT_REPRODUCED in promised:
        answer = ExperimentAnswer.NOT_REPRODUCED
    elif promised and all(one is ExperimentAnswer.REPRODUCED for one in promised):
        answer = ExperimentAnswer.REPRODUCED
    return ExperimentFinding(answer, line, scope=range_of(runs))


def told(found: Transfer) -> str:
    """Best rates, exponent and prices in one line."""
    rates = ", ".join(f"{_middle(best)} at N = {depth}" for depth, best in found.best.items())
    if isinstance(found.exponent, NoExponent):
        return f"{found.scheme}: best rate {rates}; {found.exponent.reason}"
    low, high = found.exponent.interval
    return (
        f"{found.scheme}: best rate {rates}; ~ N^{found.exponent.value:+.2f} "
        f"[{low:+.2f}, {high:+.2f}]; tuned at the shallowest it costs {_nats(found.paid)}, "
        f"times N^(-1/2) {_nats(found.paid_with_root)}"
    )


def draw(runs: Runs) -> Figure:
    """A panel per scheme: loss over rate, a line per depth, the best rates marked.

    The dotted vertical line is the shallowest depth's best rate, the dashed horizontal one the
    lowest mean loss of the deepest: where the two meet the deepest line, nothing is paid.
    """
    schemes = list(dict.fromkeys(str(run.config["scheme"]) for run in runs))
    across = min(len(schemes), 4)
    down = -(-len(schemes) // across)
    figure, axes = panels(
        across, down, figsize=(2.7 * across, 2.5 * down + 0.4), sharey=True, sharex=True
    )
    for panel in axes.flat[len(schemes) :]:
        panel.set_visible(False)
    for panel, scheme in zip(axes.flat, schemes, strict=False):
        own, found = matching(runs, scheme=scheme), transfer(runs, scheme)
        depths = values_of(own, "layers")
        shades = in_order(depths)
        for depth in depths:
            rates, rows = losses(own, depth)
            mean = np.mean(rows, axis=0)
            for row in rows:
                panel.plot(rates, row, color=shades[depth], lw=0.5, alpha=0.4)
            panel.plot(rates, mean, color=shades[depth], lw=1.6, label=f"N = {depth}")
            if (best := _geometric(found.best[depth])) is not None:
                low = float(np.min(mean))
                panel.plot([best], [low], marker="v", ms=7, color=shades[depth], gid="deciding")
        first = _geometric(found.best[depths[0]])
        if first is not None:
            panel.axvline(first, color=GREY, lw=1.0, ls=":", gid="baseline", zorder=0)
        _, rows = losses(own, depths[-1])
        lowest = float(np.min(np.mean(rows, axis=0)))
        panel.axhline(lowest, color=GREY, lw=0.8, ls="--", gid="bound", zorder=0)
        panel.set(title=scheme, xscale="log")
        panel.tick_params(labelbottom=True, labelsize=7.5)
    for row in axes:
        row[0].set_ylabel("held-out loss, nats per token")
    # The label stands above the legend by lengths in inches, since rows add to the height.
    height = float(figure.get_size_inches()[1])
    figure.supxlabel("learning rate", fontsize=9, y=0.32 / height)
    _legend(figure, in_order(values_of(runs, "layers")))
    return finished(figure, below=0.36 / height)


def _legend(figure: Figure, shades: Mapping[int, str]) -> None:
    """Below the panels: the depths, the mark of a best rate, and what the two grey lines are."""
    least, most = min(shades), max(shades)
    handles = [
        *(Line2D([], [], lw=1.6, color=shade, label=f"N = {n}") for n, shade in shades.items()),
        Line2D([], [], ls="", marker="v", color=GREY, label="best rate"),
        Line2D([], [], ls=":", lw=1.0, color=GREY, label=f"best rate at N = {least}"),
        Line2D([], [], ls="--", lw=0.8, color=GREY, label=f"lowest loss at N = {most}"),
    ]
    figure.legend(
        handles=handles, frameon=False, fontsize=8, ncols=len(handles), loc="lower center"
    )


def _loss(found: Runs) -> float:
    (run,) = found
    loss = run.validation_loss
    return min(loss, run.uniform_loss) if isfinite(loss) else run.uniform_loss


def _trained(own: Runs, depth: int, seed: int) -> bool:
    """Whether a seed's lowest loss at a depth is that of a run that trained."""
    lowest = min(
        matching(own, layers=depth, seed=seed),
        key=lambda run: run.validation_loss if isfinite(run.validation_loss) else np.inf,
    )
    return lowest.outcome is RunOutcome.TRAINED


def _geometric(rates: Sequence[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return float(np.exp(np.mean(np.log(known)))) if len(known) == len(rates) else None


def _middle(rates: Sequence[float | None]) -> str:
    found = _geometric(rates)
    return "open" if found is None else f"{found:.2g}"


def _nats(paid: Estimate | str) -> str:
    if isinstance(paid, str):
        return f"an unknown loss ({paid})"
    return f"{paid.value:+.3f} [{paid.low:+.3f}, {paid.high:+.3f}] nats"


TRANSFER = Experiment(
    name="transfer",
    question="Does the best learning rate carry over in depth?",
    full=configs(more=MORE_SEEDS),
    quick=configs(("completep", "tfixup"), (2, 4, 8), (0,), steps=20, validate_every=20),
    budget=(28.0, 1.5),
    decide=decide,
    draw=draw,
)
TRANSFER_LONGER = Experiment(
    name="transfer-longer",
    question="Does the best learning rate of GPT-2's rule carry over in depth, in 480 steps?",
    full=configs(tuple(LONGER_WINDOWS), more=LONGER_MORE_SEEDS, windows=LONGER_WINDOWS, **LONGER),
    quick=configs(
        ("completep",), (2, 4), (0,), windows=LONGER_WINDOWS, steps=40, validate_every=40
    ),
    budget=(40.0, 0.5),
    decide=decide,
    draw=draw,
)
