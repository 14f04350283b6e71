"""The parts of what a notebook shows of a verdict or a derivation, in HTML.

Nothing here knows what is shown: `Verdict` and `Derivation` say their texts, and these functions
colour and arrange them.
"""

from collections.abc import Iterable, Sequence
from html import escape

_SHADES = {True: "#0b6e4f", False: "#d1495b", None: "#777777"}
_CELL = 'style="text-align:left;vertical-align:top;padding:3px 8px"'


def marked(text: str, passed: bool | None) -> str:
    """A text coloured by how a check ended; ``None`` is a check that could not decide.

    Examples
    --------
    >>> marked("a < b", False)
    '<span style="color:#d1495b">a &lt; b</span>'
    """
    return f'<span style="color:{_SHADES[passed]}">{escape(text)}</span>'


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    heads = "".join(f"<th {_CELL}>{name}</th>" for name in columns)
    lines = ("".join(f"<td {_CELL}>{cell}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
