"""How every figure looks: its fonts, lines and colours, and how it is stored or shown.

A scheme has the same colour in every figure, and with its marker no two schemes look alike. Colours
of schemes that are compared most differ in lightness too, so that they can be told apart without
colour vision.
"""

import math
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from numerics.schemes import SCHEMES
from numerics.stores.files import atomically
from theory.errors import InputError

SUFFIXES = (".svg", ".png", ".pdf")
COLOURS = {
    "tfixup": "#0b6e4f",
    "tfixup-code": "#3fb68b",
    "tfixup-adam": "#1f77b4",
    "post-ln": "#d1495b",
    "pre-ln": "#e8963a",
    "xavier": "#6c5b9e",
}
OTHER_COLOURS = ("#444444", "#8c564b", "#b5a642", "#7f7f7f", "#17becf", "#e377c2", "#2b2d77")
MARKERS = ("o", "s", "D", "v", "X", "P", "*")
SERIES = ("#0b6e4f", "#d1495b", "#1f77b4", "#e8963a", "#6c5b9e", "#444444", "#8c564b", "#17becf")
"""Colours of curves that do not stand for schemes, in the order of use."""
GOOD, BAD, GREY = "#0b6e4f", "#d1495b", "#555555"
"""Colours of what is as it should be, of what is not, and of everything else."""
FAMILY = "'DejaVu Sans', Verdana, sans-serif"
LONG = 1000
"""Characters above which the points of a path are those of a curve."""
STYLE: Any = {
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.edgecolor": "#555555",
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "svg.hashsalt": "tfixup",
    "svg.fonttype": "none",
}


class Drawing(Figure):
    """A figure of matplotlib that a notebook shows as SVG, whose text stays text."""

    def _repr_svg_(self) -> str:
        return svg(self)


def svg(figure: Figure) -> str:
    """The figure as an SVG element, the same for the same figure.

    Examples
    --------
    >>> svg(Figure(figsize=(1, 1))).startswith("<svg")
    True
    """
    buffer = BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue().decode()
    # Hundredths of a point suffice, tenths for a curve of many points. Spaces between elements say
    # nothing. Numbered names have no use, and two figures on a page would share them. The font is
    # named once, and a turn by zero is none. Together this is more than half of the size.
    text = re.sub(r"<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"(?<= (?:d|x|y)=\")[^\"]*", lambda found: _rounded(found[0]), text)
    text = re.sub(r" id=\"[A-Za-z0-9.]+_\d+\"", "", text)
    text = re.sub(r" ?font-family: 'DejaVu Sans'[^;\"]*;?", "", text)
    text = text.replace("<svg", f'<svg font-family="{FAMILY}"', 1)
    text = re.sub(r" transform=\"rotate\(-?0 [^\"]*\"", "", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"(?<= style=\")[^\"]*", lambda found: re.sub(r"([:;]) ", r"\1", found[0]), text)
    return re.sub(r">\s+<", "><", text).strip()


def _rounded(coordinates: str) -> str:
    digits = 1 if len(coordinates) > LONG else 2
    return re.sub(rf"(\.\d{{{digits}}})\d+", r"\1", coordinates.replace("\n", ""))


def decades(axes: Axes) -> None:
    """A logarithmic y axis with a tick per power of ten where it spans two or more of them.

    On a shorter axis matplotlib's own ticks between the powers stay, because one tick is no scale.
    """
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if math.log10(high / low) >= 2:
        axes.yaxis.set_major_locator(LogLocator(numticks=8))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(_power))


def _power(value: float, _: object = None) -> str:
    """A power of ten as text.

    Examples
    --------
    >>> _power(0.01), _power(1.0), _power(1e12)
    ('10⁻²', '1', '10¹²')
    """
    power = round(math.log10(value))
    raised = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return {0: "1", 1: "10"}.get(power, f"10{raised}")


def require_suffix(path: Path) -> None:
    """Raise `InputError` unless a figure can have that name."""
    if path.suffix not in SUFFIXES:
        raise InputError(f"a figure must end in {', '.join(SUFFIXES)}, got {path.name!r:.60}")


def save(figure: Figure, path: Path) -> None:
    """Write the figure, whole or not at all, in the format of the suffix.

    Raises
    ------
    InputError
        If the suffix is not one of `SUFFIXES`.
    """
    require_suffix(path)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    with mpl.rc_context(STYLE), atomically(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=160, metadata=metadata)


def colour(scheme: str) -> str:
    """A scheme's colour, the same in every figure.

    Examples
    --------
    >>> colour("tfixup")
    '#0b6e4f'
    """
    return COLOURS.get(scheme, OTHER_COLOURS[_place(scheme) % len(OTHER_COLOURS)])


def marker(scheme: str) -> str:
    """A scheme's marker: with the colour it tells apart what the colour alone does not."""
    if scheme in COLOURS:
        return "o"
    return MARKERS[_place(scheme) // len(OTHER_COLOURS) % len(MARKERS)]


def _place(scheme: str) -> int:
    """The scheme's place among those without a colour of their own; any number for a stranger."""
    others = sorted(set(SCHEMES) - set(COLOURS))
    return others.index(scheme) if scheme in others else sum(scheme.encode())
