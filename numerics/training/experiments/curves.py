"""A figure of training runs: losses over steps."""

from collections.abc import Callable, Sequence

import matplotlib as mpl
import polars as pl
from matplotlib.figure import Figure

from numerics.figures.style import STYLE, Drawing, colour
from numerics.training import recorded
from numerics.training.outcome import best_constant
from numerics.training.recorded import RecordedRun

RunName = Callable[[RecordedRun], str]
BESIDE = 5
"""Runs above which the legend stands beside the axes."""


def read_log(run: RecordedRun) -> pl.DataFrame:
    """A run's log, one row per step."""
    return recorded.read_log(run.path)


def draw_losses(runs: Sequence[RecordedRun], name: RunName, *, by_depth: bool = False) -> Figure:
    """Draw validation loss over steps, one line per run, and the best constant prediction's loss.

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
            log = read_log(run).filter(pl.col("validation_loss").is_not_null())
            shade = shades(place / max(len(runs), 1)) if by_depth else colour(_scheme(run))
            axes.plot(log["step"], log["validation_loss"], lw=1.4, color=shade, label=name(run))
        low, high = axes.get_ylim()
        axes.set_ylim(low, min(high, runs[0].uniform_loss + 1.5))
        best, baseline = best_constant(runs[0].unigram_loss, runs[0].uniform_loss)
        axes.axhline(best, color="#777777", lw=0.8, ls=":", label=baseline.removeprefix("the "))
        axes.set(xlabel="step", ylabel="validation loss, nats a token")
        where = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if beside else {}
        axes.legend(frameon=False, fontsize=7.5, **where)
        figure.tight_layout()
    return figure


def _scheme(run: RecordedRun) -> str:
    return str(run.config["scheme"])
