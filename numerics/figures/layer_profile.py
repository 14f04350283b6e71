"""Figure of a sweep by layer: every block's share of ‖Δf‖/η along its stack.

There is one panel per kind of block and one row per optimizer. The share of layer l
(from 0, drawn at (l + ½)/N) is multiplied by N. Blocks which each move the output by Θ(η/N), as
T-Fixup's Theorem 3.1 wants, then lie on one line at every depth. Lines are geometric means over
seeds, and the deeper models are darker.
"""

import matplotlib as mpl
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from numerics.figures.style import STYLE, Drawing, colour
from numerics.figures.sweep import STEPS, TITLES
from numerics.models.roles import LEAF_PARTS
from theory.errors import InputError


def profile_rows(rows: pl.DataFrame, quantity: str = "update") -> pl.DataFrame:
    """Geometric mean over seeds of N times each layer's share.

    Returns
    -------
    polars.DataFrame
        scheme, optimizer, block, depth, layer, share; layers whose value is not finite or is 0
        are left out.

    Raises
    ------
    InputError
        If the rows hold no layers.
    """
    layers = rows.filter(
        (pl.col("quantity") == quantity) & pl.col("part").str.contains(r"\.\d+$")
    ).with_columns(
        block=pl.col("part").str.replace(r"\.\d+$", ""),
        layer=pl.col("part").str.extract(r"(\d+)$").cast(pl.Int64),
        depth=pl.max_horizontal("n_encoder", "n_decoder"),
    )
    layers = layers.filter(pl.col("block").is_in(LEAF_PARTS))
    if layers.is_empty():
        raise InputError("a profile needs rows by layer: sweep with --detail layer")
    power = 1 if quantity == "update" else 2
    return (
        layers.filter(pl.col("finite") & (pl.col("value") > 0))
        .group_by("scheme", "optimizer", "block", "depth", "layer")
        .agg(share=pl.col("value").log().mean().exp())
        .with_columns(share=pl.col("share") * pl.col("depth") ** power)
        .sort("scheme", "optimizer", "block", "depth", "layer")
    )


def draw_profile(rows: pl.DataFrame, *, quantity: str = "update") -> Figure:
    """The figure of a sweep by layer; needs no display."""
    found = profile_rows(rows, quantity)
    blocks = [block for block in LEAF_PARTS if block in set(found["block"])]
    optimizers = sorted(set(found["optimizer"]))
    with mpl.rc_context(STYLE):
        figure = Drawing(figsize=(2.4 * len(blocks) + 0.6, 2.7 * len(optimizers) + 0.9))
        axes = figure.subplots(len(optimizers), len(blocks), squeeze=False, sharex=True)
        for line, optimizer in zip(axes, optimizers, strict=True):
            for panel, block in zip(line, blocks, strict=True):
                chosen = (pl.col("optimizer") == optimizer) & (pl.col("block") == block)
                _draw(panel, found.filter(chosen))
            times = "N" if quantity == "update" else "N^2"
            line[0].set_ylabel(
                f"{STEPS.get(optimizer, optimizer)}\n${times}\\times$ {TITLES[quantity]}"
            )
        for panel, block in zip(axes[0], blocks, strict=True):
            panel.set_title(block.replace("_", "-").replace(".", "\n"), fontsize=9)
        for panel in axes[-1]:
            panel.set_xlabel("place in the stack, (l + ½)/N")
        _legend(figure, found)
    return figure


def _draw(axes: Axes, found: pl.DataFrame) -> None:
    depths = sorted(set(found["depth"]))
    for (scheme, depth), line in found.group_by("scheme", "depth", maintain_order=True):
        place = (line["layer"].to_numpy() + 0.5) / depth
        strength = (1 + depths.index(depth)) / len(depths)
        axes.plot(place, line["share"].to_numpy(), color=colour(scheme), alpha=strength, lw=1.2)
    axes.set_yscale("log")
    axes.set_xlim(0, 1)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)


def _legend(figure: Figure, found: pl.DataFrame) -> None:
    schemes = list(dict.fromkeys(found["scheme"]))
    handles = [Line2D([], [], color=colour(name), lw=2, label=name) for name in schemes]
    figure.tight_layout(rect=(0, 0.075, 1, 1), w_pad=0.6)
    figure.legend(handles=handles, loc="lower left", ncols=len(handles), frameon=False)
    depths = ", ".join(str(depth) for depth in sorted(set(found["depth"])))
    figure.text(
        0.995, 0.022, f"N = {depths}, darker the deeper", ha="right", fontsize=8, color="#555555"
    )
