"""A figure of training runs: losses over steps."""

from collections.abc import Callable, Sequence

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numerics.figures.style import STYLE, Drawing, colour
from numerics.training.experiments.panels import baseline, legend_beside
from numerics.training.outcome import DIVERGED_MARGIN, best_constant
from numerics.training.recorded import RecordedRun, read_log

RunName = Callable[[RecordedRun], str]
BESIDE = 5
"""Runs above which the legend stands beside the axes."""
FEW = 12
"""Validations up to which each is marked, so that a single one can be seen."""


def draw_losses(runs: Sequence[RecordedRun], name: RunName, *, by_depth: bool = False) -> Figure:
    """Draw the losses over steps, and that of the best prediction that reads no input.

    Validation losses are thick, the losses of the training batches thin and pale.

    Parameters
    ----------
    runs
        Runs on the same data.
    name
        What the legend calls a run.
    by_depth
        Whether the colour says the depth instead of the scheme.
    """
    shades = mpl.colormaps["viridis"]
    with mpl.rc_context(STYLE):
        # Beside the axes a long legend hides no curve.
        beside = len(runs) > BESIDE
        figure = Drawing(figsize=(9.4 if beside else 6.0, 3.6))
        axes = figure.subplots()
        for place, run in enumerate(runs):
            shade = shades(place / max(len(runs), 1)) if by_depth else colour(_scheme(run))
            _losses(axes, run, shade, name(run), "training batches" if place == 0 else None)
        best, told = best_constant(runs[0].unigram_loss, runs[0].uniform_loss)
        baseline(axes, best, "no input read: " + told.removeprefix("the "))
        low, high = axes.get_ylim()
        # A diverged run must not press the others flat.
        axes.set_ylim(low, min(high, runs[0].uniform_loss + DIVERGED_MARGIN))
        axes.set(xlabel="step", ylabel="loss, nats per token")
        if beside:
            legend_beside(axes)
        else:
            axes.legend(frameon=False, fontsize=7.5)
        figure.tight_layout()
    return figure


def _losses(axes: Axes, run: RecordedRun, shade: object, name: str, batches: str | None) -> None:
    """The losses of one run: of the training batches, and at the steps that were validated."""
    log = read_log(run.path)
    taken = log.filter(pl.col("loss").is_finite())
    thin = {"lw": 0.5, "alpha": 0.35, "gid": "training"}
    axes.plot(taken["step"], taken["loss"], color=shade, label=batches, **thin)
    log = log.filter(pl.col("validation_loss").is_not_null())
    mark = "o" if len(log) <= FEW else ""
    axes.plot(
        log["step"], log["validation_loss"], lw=1.4, marker=mark, ms=4, color=shade, label=name
    )


def _scheme(run: RecordedRun) -> str:
    return str(run.config["scheme"])
