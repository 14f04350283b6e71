"""Figures of a sweep: ‖Δf‖/η against depth N, log–log, by part and optimizer.

A line is the geometric mean over seeds, and its band is their range. The number at its end is the
depth exponent p of N^p. A scheme that leaves the frame or stops being finite ends in an arrow at
the upper edge. One that falls out of the frame has its exponent at the lower edge, behind ▼.
"""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    NullFormatter,
    NullLocator,
    StrMethodFormatter,
)

from numerics.figures.style import COLOURS, STYLE, Drawing, colour, marker
from numerics.models.roles import ALL_PARTS
from numerics.statistics.exponents import Exponent
from numerics.statistics.row_exponents import row_exponent
from theory.errors import InputError

LEGEND_COLUMNS = 9
NOTE_CHARACTERS = 14
"""Characters of the note below a figure that fit an inch."""
LABELLED = 8
"""Most schemes whose lines carry their exponents; `numerics.figures.exponents` shows more."""
PANELS = tuple(part for part in ALL_PARTS if part not in ("encoder", "decoder"))
WIDEST = len(PANELS)
"""Most panels side by side."""
TITLES = {"update": r"$\|\Delta f\|/\eta$", "gradient_energy": r"$\|J^\top u\|^2$"}
STEPS = {"sgd": "SGD step", "sign": "sign step (Adam's first)"}
DECADES = 6.0
"""A scheme whose values span more decades than this does not set a panel's limits."""


def draw_sweep(
    rows: pl.DataFrame,
    *,
    quantity: str = "update",
    from_depth: int = 6,
    panels: Sequence[str] = PANELS,
) -> Figure:
    """The figure of a sweep's rows, a panel for each part of ``panels``; needs no display."""
    kept = rows.filter((pl.col("quantity") == quantity) & pl.col("error").is_null())
    if kept.is_empty():
        raise InputError(f"nothing to plot: the sweep has no finished rows of {quantity}")
    # A stack alone has 0 layers of the other: N is the larger number.
    kept = kept.with_columns(n_encoder=pl.max_horizontal("n_encoder", "n_decoder"))
    parts = [part for part in panels if part in set(kept["part"])]
    schemes = [*COLOURS, *sorted(set(kept["scheme"]) - set(COLOURS))]
    schemes = [scheme for scheme in schemes if scheme in set(kept["scheme"])]
    across = [parts[first : first + WIDEST] for first in range(0, len(parts), WIDEST)]
    lines = [(optimizer, some) for optimizer in sorted(set(kept["optimizer"])) for some in across]
    width = len(across[0])
    with mpl.rc_context(STYLE):
        figure = Drawing(figsize=(2.15 * width + 0.6, 2.7 * len(lines) + 0.9))
        axes = figure.subplots(len(lines), width, squeeze=False, sharex=True)
        for number, (line, (optimizer, some)) in enumerate(zip(axes, lines, strict=True)):
            for panel, part in zip(line, some, strict=False):
                chosen = kept.filter((pl.col("optimizer") == optimizer) & (pl.col("part") == part))
                curves = {s: chosen.filter(pl.col("scheme") == s) for s in schemes}
                _panel(panel, curves, from_depth)
                if len(across) > 1 or not number:
                    panel.set_title(part.replace("_", "-").replace(".", "\n"), fontsize=9)
                # Rows of several lines of panels are long, and their last line may be short.
                panel.tick_params(labelbottom=len(across) > 1 or number == len(lines) - 1)
            for panel in line[len(some) :]:
                panel.set_visible(False)
            line[0].set_ylabel(f"{STEPS.get(optimizer, optimizer)}\n{TITLES[quantity]}")
        for panel in axes[-1]:
            panel.set_xlabel("layers N")
        _legend(figure, schemes, kept, from_depth)
    return figure


def signed(exponent: float) -> str:
    """An exponent to two decimals, with its sign unless it rounds to zero.

    Examples
    --------
    >>> signed(0.5), signed(-0.249), signed(-0.001)
    ('+0.50', '−0.25', '0.00')
    """
    text = f"{exponent:+.2f}".replace("-", "−")
    return "0.00" if text[1:] == "0.00" else text


def _panel(axes: Axes, curves: Mapping[str, pl.DataFrame], from_depth: int) -> None:
    low, high = _limits(curves.values())
    depths = sorted({n for frame in curves.values() for n in frame["n_encoder"]})
    axes.set(xscale="log", yscale="log", ylim=(low, high))
    axes.set_xlim(depths[0] * 0.85, depths[-1] * (depths[-1] / depths[0]) ** 0.27)
    _value_ticks(axes, low, high)
    axes.xaxis.set_major_locator(FixedLocator(_thinned(depths)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    axes.tick_params(length=2.5, width=0.6, labelsize=7.5)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    labels = []
    for scheme, frame in curves.items():
        end = _curve(axes, scheme, frame, high)
        if end is not None:
            deep = frame.filter(pl.col("n_encoder") >= from_depth)
            fit = row_exponent(deep)
            text = signed(fit.value) if isinstance(fit, Exponent) else ""
            labels.append((end, text, colour(scheme)))
    if len(curves) <= LABELLED:
        _end_labels(axes, labels, depths[-1])


def _value_ticks(axes: Axes, low: float, high: float) -> None:
    """Powers of ten, or where fewer than two are in the frame, round numbers written out."""
    axes.yaxis.set_minor_formatter(NullFormatter())
    if np.floor(np.log10(high)) - np.ceil(np.log10(low)) < 1:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())


def _curve(axes: Axes, scheme: str, frame: pl.DataFrame, high: float) -> float | None:
    """Draw one scheme; its last value if it ends inside the frame."""
    if frame.is_empty():
        return None
    grouped = frame.group_by("n_encoder").agg(
        pl.col("value").log().mean().exp().alias("mean"),
        pl.col("value").min().alias("least"),
        pl.col("value").max().alias("most"),
        pl.col("finite").all(),
    )
    grouped = grouped.sort("n_encoder")
    finite = grouped.filter(pl.col("finite") & (pl.col("mean") > 0))
    n, mean = finite["n_encoder"].to_numpy(), finite["mean"].to_numpy()
    shade = colour(scheme)
    axes.fill_between(
        n, finite["least"].to_numpy(), finite["most"].to_numpy(), color=shade, alpha=0.18, lw=0
    )
    dashes = "--" if scheme.endswith("-code") else "-"
    axes.plot(n, mean, color=shade, lw=1.5, ls=dashes, marker=marker(scheme), ms=2.6, mew=0)
    outside = np.flatnonzero(mean > high)
    if len(outside) or len(finite) < len(grouped):
        inside = int(outside[0]) if len(outside) else len(mean)
        if inside:
            _leaving(axes, n, mean, inside, high, shade)
        return None
    return float(mean[-1])


def _leaving(
    axes: Axes, n: np.ndarray, mean: np.ndarray, inside: int, high: float, shade: str
) -> None:
    """An arrow head where the line crosses the upper edge."""
    x = float(n[inside - 1])
    if inside < len(n):
        x0, x1, y0, y1 = *np.log(n[inside - 1 : inside + 1]), *np.log(mean[inside - 1 : inside + 1])
        x = float(np.exp(x0 + (x1 - x0) * (np.log(high) - y0) / (y1 - y0)))
    axes.plot(x, high, marker="^", color=shade, ms=6, mew=0, clip_on=False, zorder=5)


def _limits(frames: Iterable[pl.DataFrame]) -> tuple[float, float]:
    """Limits that hold every scheme but those that explode."""
    tame: list[float] = []
    wild: list[float] = []
    for frame in frames:
        positive = frame.filter(pl.col("finite") & (pl.col("value") > 0))
        means = positive.group_by("n_encoder").agg(pl.col("value").log().mean().exp())
        values = means["value"].to_list()
        if not values:
            continue
        spans = np.log10(max(values) / min(values)) > DECADES or not frame["finite"].all()
        (wild if spans else tame).extend(values)
    used = tame or wild or [1.0]
    low, high = np.log10(min(used)), np.log10(max(used))
    pad = 0.08 * max(high - low, 0.6) + 0.1
    return float(10 ** (low - pad)), float(10 ** (high + pad))


def _thinned(depths: Sequence[int]) -> list[int]:
    """Depths whose labels do not collide on a logarithmic axis."""
    kept: list[int] = []
    for depth in reversed(depths):
        if not kept or kept[-1] / depth > 2.9:
            kept.append(depth)
    return kept


def _end_labels(axes: Axes, labels: list[tuple[float, str, str]], deepest: int) -> None:
    """Exponents beside the line ends, pushed apart where they would overlap."""
    low, high = np.log10(axes.get_ylim())
    gap = 0.062
    placed = -1.0
    for value, text, shade in sorted(labels):
        wanted = (np.log10(value) - low) / (high - low)
        if wanted < 0:
            wanted, text = 0.03, f"▼ {text}"
        placed = max(wanted, placed + gap)
        axes.text(
            deepest * 1.22,
            10 ** (low + placed * (high - low)),
            text,
            color=shade,
            fontsize=7,
            va="center",
            clip_on=False,
        )


def _seeds(rows: pl.DataFrame) -> str:
    """How many seeds a point has, or from how many to how many."""
    depths = ["scheme", "optimizer", "n_encoder", "n_decoder"]
    counts = rows.group_by(depths).agg(pl.col("seed").n_unique())["seed"].unique().sort().to_list()
    return " to ".join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))


def _legend(figure: Figure, schemes: Sequence[str], rows: pl.DataFrame, from_depth: int) -> None:
    size, seeds = rows.row(0, named=True), _seeds(rows)
    handles = [
        Line2D([], [], color=colour(s), lw=2, marker=marker(s), ms=3.5, mew=0, label=s)
        for s in schemes
    ]
    inch, labelled = 1 / figure.get_figheight(), len(schemes) <= LABELLED
    columns = min(len(handles), LEGEND_COLUMNS, max(1, int(figure.get_figwidth() / 1.25)))
    lines = -(-len(handles) // columns)
    note = (
        f"width {size['d_model']}-{size['d_ff']}-{size['heads']}, "
        f"{size['batch']} × {size['tokens']} tokens, {seeds} seeds (band: their range); "
        + (f"numbers: exponent p of $N^p$ over N ≥ {from_depth}; " if labelled else "")
        + "▲ leaves the frame"
    )
    # The note stands beside a short legend in one line, and else below it in as many as it needs.
    beside = 1.25 * columns + 6.5 < figure.get_figwidth() and lines == 1
    told = [note] if beside else wrap(note, int(NOTE_CHARACTERS * figure.get_figwidth()))
    below = 0.0 if beside else 0.09 + 0.13 * len(told)
    figure.tight_layout(rect=(0, (0.29 + 0.18 * lines + below) * inch, 1, 1), w_pad=0.6)
    corner = (0.0, below * inch)
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=corner, ncols=columns, frameon=False
    )
    figure.text(
        0.995,
        0.08 * inch,
        "\n".join(told),
        ha="right",
        va="bottom",
        fontsize=8,
        color="#555555",
    )
