"""The figure of an audit: every tensor's standard deviation over the one that is asked.

Each row is a role, and each point is a tensor, darker for deeper layers. The line at 1 is where a
tensor is drawn as asked. A cross is a tensor whose difference is not chance.
"""

import math

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from numerics.figures.style import BAD, GOOD, GREY, STYLE, Drawing
from numerics.own_model.audit.record import AuditRecord
from theory.errors import InputError

_NARROW = 1.1
"""The axis shows at least this factor both ways."""


def draw_audit(found: AuditRecord) -> Figure:
    """One row per role; needs no display.

    Raises
    ------
    InputError
        If no tensor has a standard deviation to be compared with.
    """
    rows = [(row, row.factor) for row in found.rows if row.factor is not None and row.factor > 0]
    if not rows:
        raise InputError("nothing to plot: no tensor has a standard deviation that a recipe asks")
    roles = list(dict.fromkeys(row.place.role for row, _ in rows))
    deepest = max(row.place.layer or 0 for row, _ in rows)
    with mpl.rc_context(STYLE):
        figure = Drawing(figsize=(6.4, 0.26 * len(roles) + 1.2))
        axes = figure.subplots()
        axes.axvline(1.0, color=GREY, lw=0.9)
        for row, factor in rows:
            share = (row.place.layer or 0) / deepest if deepest else 0.5
            height = roles.index(row.place.role) + 0.5 * (share - 0.5)
            wrong = bool(row.problem)
            axes.plot(
                factor,
                height,
                "x" if wrong else "o",
                color=BAD if wrong else GOOD,
                ms=4.5 if wrong else 3.5,
                mew=1.2 if wrong else 0,
                alpha=0.45 + 0.55 * share,
            )
        axes.set_yticks(range(len(roles)), roles)
        axes.set_ylim(len(roles) - 0.4, -0.6)
        factors = [factor for _, factor in rows]
        low, high = min(1 / _NARROW, *factors) / 1.05, max(_NARROW, *factors) * 1.05
        axes.set_xscale("log", base=2)
        axes.set_xlim(low, high)
        axes.xaxis.set_major_locator(_factors(low, high))
        axes.xaxis.set_major_formatter(FuncFormatter(_factor))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(axis="y", color="#ececec", linewidth=0.6)
        axes.set_axisbelow(True)
        name = found.recipe.name if found.recipe else "no recipe"
        axes.set_xlabel(f"standard deviation ÷ the one {name} asks   (● as asked, × not)")
        axes.set_title(found.summary, fontsize=9, loc="left")
        figure.tight_layout()
    return figure


def _factors(low: float, high: float) -> FixedLocator:
    """Few ticks: powers of 2 on a wide axis, hundredths around 1 on a narrow one."""
    if high / low < 2:
        return FixedLocator([0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2])
    least, most = math.ceil(math.log2(low)), math.floor(math.log2(high))
    step = max(1, math.ceil((most - least) / 8))
    powers = [power for power in range(least, most + 1) if power % step == 0]
    return FixedLocator([2.0**power for power in powers])


def _factor(value: float, _: object = None) -> str:
    """A factor as a person says it.

    Examples
    --------
    >>> _factor(0.0625), _factor(4.0), _factor(0.95)
    ('1/16', '4', '0.95')
    """
    whole = round(1 / value)
    return f"1/{whole}" if whole > 1 and abs(whole * value - 1) < 1e-9 else f"{value:.3g}"
