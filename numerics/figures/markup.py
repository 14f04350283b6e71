"""What a notebook shows of a result: the text that the terminal shows, and a figure.

Notebooks ask an object for HTML. The text is what the command prints, with its colours, so that
there is one wording; the figure follows it as an SVG element.
"""

import io
from collections.abc import Callable

from matplotlib.figure import Figure
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from numerics.figures.style import svg

WIDTH = 88
"""Columns of the printed text: a notebook's cell holds them."""
_PAGE = TerminalTheme(
    (255, 255, 255),
    (32, 32, 32),
    [
        *((32, 32, 32), (200, 50, 70), (11, 110, 79), (150, 100, 0)),
        *((31, 90, 160), (108, 91, 158), (0, 110, 130), (120, 120, 120)),
    ],
)
"""Colours that can be read on white: the terminal's yellow cannot."""
_TEXT = (
    '<pre style="white-space:pre;overflow-x:auto;line-height:1.25;'
    'font-family:Menlo,DejaVu Sans Mono,Consolas,monospace">{code}</pre>'
)


def printed(show: Callable[[Console], object]) -> str:
    """What ``show`` prints, as HTML.

    Examples
    --------
    >>> "<b>" in printed(lambda console: console.print("[red]<b>[/]", markup=True))
    False
    """
    console = Console(
        file=io.StringIO(), width=WIDTH, record=True, force_terminal=True, highlight=False
    )
    show(console)
    return console.export_html(theme=_PAGE, code_format=_TEXT, inline_styles=True)


def page(show: Callable[[Console], object], *figures: Figure) -> str:
    """What ``show`` prints, followed by figures."""
    drawn = "".join(f'<div style="max-width:100%">{svg(figure)}</div>' for figure in figures)
    return f"<div>{printed(show)}{drawn}</div>"
