"""What the experiments' figures are made of: courses over seeds, bounds, depths as ticks.

Every figure shows the curve that decides with the decision's *baseline*, what it is compared with,
and its *bound*, where the answer turns. The three are marked as such in the file (``gid``), so that
a test can look for them.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from numerics.figures.style import COLOURS, STYLE, Drawing
from numerics.training.experiments.selection import Runs
from numerics.training.outcome import DIVERGED_MARGIN, STUCK_MARGIN, RunOutcome, best_constant
from numerics.training.recorded import RecordedRun, read_log

COLD, WARM, OWN, THIRD = "#d1495b", "#2e6f95", "#0b6e4f", "#e8963a"
"""Without warm-up, with it, T-Fixup, and what else there is."""
GREY = "#555555"
PALETTE = (
    *("#8c564b", "#b5a642", "#17becf", "#e377c2", "#2b2d77", "#444444"),
    *("#7fb800", "#a05195", "#ff7c43", "#488f9a", "#000000", "#b0b0b0"),
)
MARKS = {RunOutcome.TRAINED: "o", RunOutcome.STUCK: "s", RunOutcome.DIVERGED: "X"}
SHADES = {
    RunOutcome.TRAINED: "#0b6e4f",
    RunOutcome.STUCK: "#e8c07d",
    RunOutcome.DIVERGED: "#d1495b",
}
Values = Callable[[RecordedRun], tuple[Sequence[float], Sequence[float]]]
"""Steps and values of a run's course."""


def panels(across: int, down: int = 1, **settings: Any) -> tuple[Figure, Any]:
    """A figure with its axes, in the project's style."""
    with mpl.rc_context(STYLE):
        figure = Drawing(figsize=settings.pop("figsize", (4.6 * across, 3.5 * down)))
        axes = figure.subplots(down, across, squeeze=False, **settings)
    return figure, axes


def finished(figure: Figure, *, below: float = 0.0, above: float = 0.0) -> Figure:
    """The figure with its panels fitted into it, but for shares of its height kept free."""
    with mpl.rc_context(STYLE):
        figure.tight_layout(rect=(0, below, 1, 1 - above))
    return figure


def distinct(names: Iterable[str]) -> dict[str, str]:
    """A colour by name, no two alike.

    Examples
    --------
    >>> found = distinct(["tfixup", "radam", "r-fixup", "rezero"])
    >>> found["tfixup"], len(set(found.values()))
    ('#0b6e4f', 4)
    """
    listed = list(dict.fromkeys(names))
    free = iter(PALETTE)
    return {name: COLOURS[name] if name in COLOURS else next(free) for name in listed}


def in_order(values: Sequence[Any]) -> dict[Any, str]:
    """A colour by value, from dark to light in the order given.

    Examples
    --------
    >>> list(in_order([6, 12]))
    [6, 12]
    """
    shades = mpl.colormaps["viridis"](np.linspace(0.0, 0.87, len(values)))
    return {one: to_hex(shade) for one, shade in zip(values, shades, strict=True)}


def bound(axes: Axes, value: float, text: str, *, where: float = 0.99, below: bool = False) -> None:
    """A dashed line at which the answer turns, named above it at its right end, or below it.

    Without a text it has no name.
    """
    axes.axhline(value, color=GREY, lw=1.0, ls="--", gid="bound", zorder=1)
    _name(axes, value, text, where, "top" if below else "bottom")


def baseline(axes: Axes, value: float, text: str, *, where: float = 0.99) -> None:
    """A dotted line for what the deciding curve is compared with, named at its right end."""
    axes.axhline(value, color=GREY, lw=1.0, ls=":", gid="baseline", zorder=1)
    _name(axes, value, text, where)


def _name(axes: Axes, value: float, text: str, where: float, side: str = "bottom") -> None:
    if not text:
        return
    axes.text(
        where,
        value,
        text,
        transform=axes.get_yaxis_transform(),
        ha="right" if where > 0.5 else "left",
        va=side,
        fontsize=7,
        color=GREY,
        zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
    )


def courses(
    axes: Axes, runs: Runs, values: Values, colour: str, label: str, **settings: Any
) -> None:
    """Every run as a thin line and, where all have the same steps, their geometric mean."""
    found = [values(run) for run in runs]
    for steps, own in found:
        axes.plot(steps, own, lw=0.6, alpha=0.4 if len(found) > 1 else 1, color=colour)
    if not found:
        return
    count = min(len(steps) for steps, _ in found)
    stacked = np.array([own[:count] for _, own in found], dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.exp(np.log(stacked).mean(0))
    name = f"{label} ({len(found)} seeds)" if len(found) > 1 else label
    axes.plot(
        found[0][0][:count], middle, **{"lw": 1.8, "color": colour, "label": name, **settings}
    )


def validation(run: RecordedRun) -> tuple[list[int], list[float]]:
    """Steps and validation losses, without those that are not finite or far above chance."""
    log = read_log(run.path).filter(pl.col("validation_loss").is_not_null())
    top = run.uniform_loss + DIVERGED_MARGIN
    kept = log.filter(pl.col("validation_loss") <= top)
    return kept["step"].to_list(), kept["validation_loss"].to_list()


def loss_lines(axes: Axes, run: RecordedRun, *, where: float = 0.99, named: bool = True) -> None:
    """The baseline of a run's outcome, and the loss below which it counts as trained."""
    best, name = best_constant(run.unigram_loss, run.uniform_loss)
    told = "no input read" if name == "log V" else "unigram"
    baseline(axes, best, told if named else "", where=where)
    limit = (1 - STUCK_MARGIN) * best
    bound(axes, limit, "trained below" if named else "", where=where, below=True)


def legend_beside(axes: Axes) -> None:
    """A legend right of the axes, where it hides no curve, in the order in which the curves end."""

    def last(handle: Artist) -> float:
        values = np.asarray(handle.get_ydata(), dtype=float) if isinstance(handle, Line2D) else []
        return float(values[-1]) if len(values) else math.inf

    handles, labels = axes.get_legend_handles_labels()
    ordered = sorted(zip(handles, labels, strict=True), key=lambda one: -last(one[0]))
    axes.legend(
        [handle for handle, _ in ordered],
        [label for _, label in ordered],
        frameon=False,
        fontsize=7,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
    )


def depth_ticks(axes: Axes, depths: Sequence[int]) -> None:
    """A logarithmic axis whose ticks are the depths and nothing else."""
    axes.set_xscale("log")
    axes.set_xlim(depths[0] * 0.8, depths[-1] * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(list(depths)))
    axes.xaxis.set_major_formatter(FixedFormatter([str(depth) for depth in depths]))
    axes.xaxis.set_minor_locator(NullLocator())


def outcomes_legend(figure: Figure, **lines: tuple[str, str]) -> None:
    """What the marks of trained, stuck and diverged runs are, and lines of a style and colour."""
    handles = [
        Line2D([], [], ls="", marker=MARKS[one], color=SHADES[one], label=one.value)
        for one in RunOutcome
    ]
    handles += [
        Line2D([], [], ls=style, lw=1.2, color=shade, label=name.replace("_", " "))
        for name, (style, shade) in lines.items()
    ]
    figure.legend(
        handles=handles, frameon=False, fontsize=8, ncols=len(handles), loc="lower center"
    )
