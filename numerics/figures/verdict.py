"""The figure of a verdict: every measured value with its interval, beside what the claim asks.

A panel is one piece of evidence with a number and an interval. The strip is what the statement
asks, with its tolerance; the statement passes where the whole interval lies within it.
"""

import math
import textwrap

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numerics.figures.style import BAD, GOOD, GREY, STYLE, Drawing
from theory.claims import Evidence, Verdict
from theory.errors import InputError

_LETTERS = 96


def draw_verdict(found: Verdict) -> Figure:
    """One panel per piece of evidence that has a number and an interval; needs no display.

    Raises
    ------
    InputError
        If no evidence has both: derivations and proofs have none.
    """
    items = [item for item in found.evidence if _numbers(item)]
    if not items:
        raise InputError(f"nothing to plot: no evidence on {found.claim.id} has an interval")
    with mpl.rc_context(STYLE):
        figure = Drawing(figsize=(7.2, 0.92 * len(items) + 0.5))
        panels = figure.subplots(len(items), 1, squeeze=False)[:, 0]
        for panel, item in zip(panels, items, strict=True):
            _draw(panel, item)
        figure.suptitle(f"{found.claim.id}: {found.outcome}", fontsize=9.5, x=0.01, ha="left")
        figure.tight_layout()
    return figure


def _numbers(item: Evidence) -> bool:
    if not isinstance(item.value, int | float) or item.interval is None:
        return False
    return all(math.isfinite(number) for number in (item.value, *item.interval))


def _draw(axes: Axes, item: Evidence) -> None:
    assert isinstance(item.value, int | float)
    assert item.interval is not None
    shade = {True: GOOD, False: BAD, None: GREY}[item.passed]
    if isinstance(item.expected, int | float):
        reach = item.tolerance or 0.0
        axes.axvspan(item.expected - reach, item.expected + reach, color=GOOD, alpha=0.13, lw=0)
        axes.axvline(item.expected, color=GREY, lw=0.8, ls="--")
    axes.plot(item.interval, [0, 0], color=shade, lw=1.6)
    axes.plot(item.value, 0, "o", color=shade, ms=4.5, mew=0)
    axes.set_yticks([])
    axes.set_ylim(-1, 1)
    axes.spines["left"].set_visible(False)
    axes.tick_params(labelsize=7.5, length=2.5)
    said = textwrap.shorten(item.summary, _LETTERS, placeholder=" …").replace("$", r"\$")
    axes.set_title(said, fontsize=7.5, loc="left", color=GREY)
