"""The figure of a check: ‖Δf‖/η over depth or width on log–log axes, with the fitted law.

Each point is one seed, and the line is the law that was chosen. The dashed line is the bound, the
value that a bounded quantity keeps: the mean at the least size, or the level at which a curve
settles.
"""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from numerics.figures.style import SERIES, STYLE, Drawing, decades
from numerics.own_model.check.types import CheckRecord, SizeSeries

GROUPS = 4


def draw_check(found: CheckRecord) -> Figure:
    """One panel per optimizer: total, and the groups with the largest shares; needs no display."""
    with mpl.rc_context(STYLE):
        count = len(found.optimizers)
        figure = Drawing(figsize=(3.4 * count + 0.4, 3.7))
        panels = figure.subplots(1, count, squeeze=False)[0]
        for panel, one in zip(panels, found.optimizers, strict=True):
            series = {"total": one.total} if not one.sites else dict(one.sites)
            if not one.sites:
                series |= {g.name: g.series for g in one.groups[:GROUPS]}
            for number, (name, values) in enumerate(series.items()):
                _draw(panel, name, values, SERIES[number % len(SERIES)], bound=number == 0)
            panel.set_title(f"{one.optimizer}: {one.verdict}", fontsize=9, loc="left")
            panel.set_xlabel(found.over)
            _axes(panel, found.sizes)
            panel.legend(
                frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2
            )
        what = r"$\|\Delta f\|/\eta$" if found.over == "depth" else r"RMS$(\Delta x)/\eta$"
        panels[0].set_ylabel(what)
        figure.tight_layout()
    return figure


def _draw(axes: Axes, name: str, series: SizeSeries, shade: str, *, bound: bool) -> None:
    kept = [(n, v) for n, v in zip(series.sizes, series.values, strict=True) if 0 < v < 1e300]
    if not kept:
        return
    axes.plot(*zip(*kept, strict=True), "o", color=shade, ms=3, mew=0, alpha=0.7)
    label = f"{name}: {series.law}"
    curve = series.law.curve
    if curve is None:
        axes.plot([], [], color=shade, label=label)
        return
    n = np.geomspace(min(series.sizes), max(series.sizes), 100)
    axes.plot(n, curve.predict([float(x) for x in n]), color=shade, lw=1.4, label=label)
    if bound:
        settled = series.law.fits.get("bounded")
        level = (
            series.first if series.law.unbounded or settled is None else settled.predict([1e9])[0]
        )
        axes.axhline(level, color=shade, lw=0.8, ls="--", label="bound")


def _axes(axes: Axes, sizes: tuple[int, ...]) -> None:
    axes.set_xscale("log")
    decades(axes)
    axes.xaxis.set_major_locator(FixedLocator(list(sizes)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.grid(axis="y", color="#ececec", linewidth=0.6)
