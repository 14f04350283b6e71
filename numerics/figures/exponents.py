"""The depth exponents of many schemes in one figure: p of ‖Δf‖/η ~ N^p with its 95 % interval.

There is one row per scheme, ordered by the total's exponent under the first optimizer, and one
panel per part. The shaded strip is the margin within which an exponent counts as flat. A fit that
could not be made, because values were not finite or stayed zero, is written out in its row.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numerics.figures.style import SERIES, STYLE, Drawing
from numerics.statistics.tolerances import tolerance
from theory.errors import InputError

PARTS = ("total", "encoder", "decoder")
SHADES = {
    **{"sgd": "#1f77b4", "momentum": "#17becf"},
    **{"sign": "#0b6e4f", "adam": "#0b6e4f", "adamw": "#0b6e4f"},
    **{"muon": "#d1495b", "lion": "#e8963a", "lamb": "#6c5b9e"},
}
"""An optimizer's colour, the same in every figure where it can be."""
WIDEST = 4.0
"""Exponents beyond ± this are drawn at the edge with their number."""


def draw_exponents(table: pl.DataFrame, *, parts: Sequence[str] = PARTS) -> Figure:
    """The figure of `numerics.sweeps.run.exponent_table`; needs no display.

    Raises
    ------
    InputError
        If the table has no rows of the update in these parts.
    """
    kept = table.filter((pl.col("quantity") == "update") & pl.col("part").is_in(parts))
    if kept.is_empty():
        raise InputError(f"nothing to plot: the table has no exponents of {', '.join(parts)}")
    shown = [part for part in parts if part in set(kept["part"])]
    optimizers = kept["optimizer"].unique(maintain_order=True).to_list()
    schemes = _ordered(kept, optimizers[0])
    with mpl.rc_context(STYLE):
        height = 0.24 * len(schemes) + 1.6
        names = 0.068 * max(len(scheme) for scheme in schemes) + 0.25
        width = 2.6 * len(shown) + max(names, 1.4)
        figure = Drawing(figsize=(width, height))
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for panel, part in zip(panels, shown, strict=True):
            _panel(panel, kept.filter(pl.col("part") == part), schemes, optimizers)
            panel.set_title(part, fontsize=9)
        panels[0].set_yticks(range(len(schemes)), schemes)
        panels[0].set_ylim(len(schemes) - 0.4, -0.6)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.tight_layout(rect=(0, 0.55 / height, 1, 1))
        figure.subplots_adjust(left=max(names / width, figure.subplotpars.left))
        figure.legend(handles, labels, loc="lower left", ncols=len(labels), frameon=False)
        figure.text(
            0.995,
            0.1 / height,
            f"95 % intervals over seeds; strip: flat within ±{tolerance('flat-exponent')}",
            ha="right",
            fontsize=8,
            color="#555555",
        )
    return figure


def optimizer_shades(optimizers: Sequence[str]) -> dict[str, str]:
    """A colour by optimizer: its own where it is free, else the next that none of them has.

    Examples
    --------
    >>> optimizer_shades(["sgd"])["sgd"] == optimizer_shades(["adam", "muon", "sgd"])["sgd"]
    True
    >>> len(set(optimizer_shades(["adam", "adamw", "rmsprop"]).values()))
    3
    """
    found: dict[str, str] = {}
    for optimizer in optimizers:
        if (shade := SHADES.get(optimizer)) and shade not in found.values():
            found[optimizer] = shade
    every = tuple(dict.fromkeys((*SHADES.values(), *SERIES)))
    free = cycle([shade for shade in every if shade not in found.values()] or every)
    return {name: found[name] if name in found else next(free) for name in optimizers}


def _ordered(table: pl.DataFrame, optimizer: str) -> list[str]:
    """Schemes from the smallest exponent of the total to the largest, those without one last."""
    own = table.filter(pl.col("optimizer") == optimizer)
    first = own.filter(pl.col("part") == own["part"][0]).sort("exponent", nulls_last=True)
    known = first["scheme"].to_list()
    others = table["scheme"].unique(maintain_order=True).to_list()
    return [*known, *(scheme for scheme in others if scheme not in known)]


def _panel(
    axes: Axes, table: pl.DataFrame, schemes: Sequence[str], optimizers: Sequence[str]
) -> None:
    flat = tolerance("flat-exponent")
    axes.axvspan(-flat, flat, color="#0b6e4f", alpha=0.12, lw=0)
    axes.axvline(0, color="#555555", lw=0.6)
    axes.set_xlabel("exponent p")
    axes.grid(axis="y", color="#ececec", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=2.5, width=0.6, labelsize=7.5)
    shades = optimizer_shades(optimizers)
    for number, optimizer in enumerate(optimizers):
        offset = 0.16 * (2 * number - (len(optimizers) - 1))
        rows = {
            row["scheme"]: row
            for row in table.filter(pl.col("optimizer") == optimizer).iter_rows(named=True)
        }
        shade = shades[optimizer]
        axes.plot([], [], "o", color=shade, ms=4, label=optimizer)
        for place, scheme in enumerate(schemes):
            if scheme in rows:
                _row(axes, rows[scheme], place + offset, shade)


def _row(axes: Axes, row: Mapping[str, object], height: float, shade: str) -> None:
    value, low, high = row["exponent"], row["low"], row["high"]
    if not isinstance(value, float) or not isinstance(low, float) or not isinstance(high, float):
        axes.text(
            0.15, height, str(row["note"]), color=shade, fontsize=6, va="center", in_layout=False
        )
    elif abs(value) > WIDEST:
        edge = WIDEST if value > 0 else -WIDEST
        axes.plot(edge, height, ">" if value > 0 else "<", color=shade, ms=4.5, mew=0)
        axes.text(
            edge * 0.93,
            height,
            f"{value:+.1f}",
            color=shade,
            fontsize=6,
            ha="right" if value > 0 else "left",
            va="center",
            in_layout=False,
        )
    else:
        axes.plot([max(low, -WIDEST), min(high, WIDEST)], [height, height], color=shade, lw=1.3)
        axes.plot(value, height, "o", color=shade, ms=3.6, mew=0)
