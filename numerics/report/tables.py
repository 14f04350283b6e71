"""Tables that fit their terminal: no word, number or formula in them is broken or cut short.

A table that is too wide loses its formulas first, which are then listed by name below it. Next it
loses its frame. What is still too wide is printed as one paragraph for each row.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from numerics.report.verdicts import NO_BREAK, hanging, show

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_WIDTH = 100
"""Columns of what goes to a file or a pipe, where no terminal sets them."""
_LEAST_PROSE = 16
"""Columns below which a column of prose is a column of single words."""


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading and what its cells are."""

    heading: str
    prose: bool = False
    """Whether its cells may continue on the next line, between words."""
    formula: bool = False
    """Whether its cells may be listed below the table."""


def output_console() -> "Console":
    """A console for standard output; into a pipe it prints lines of at most 100 columns."""
    from rich.console import Console

    console = Console(highlight=False, emoji=False)
    if not sys.stdout.isatty():
        given = console.width if "COLUMNS" in os.environ else PIPE_WIDTH
        console.width = min(given, PIPE_WIDTH)
    return console


def say(console: "Console", first: str, text: str, indent: int | None = None) -> None:
    """Print ``text`` behind ``first``, broken between words, further lines indented."""
    show(console, hanging(first, text, console.width, indent=indent))


def print_table(
    console: "Console",
    title: str,
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    name: int = 0,
) -> None:
    """Print rows as a table, or in the first other way in which they fit the console.

    Parameters
    ----------
    console
        Where to.
    title
        What stands above the table.
    columns
        One for each cell of a row; a column whose cells are all empty is left out.
    rows
        Their cells as plain text.
    name
        Index of the cell that names a row where its formula is listed below the table.
    """
    cells = [tuple(row) for row in rows]
    kept = [i for i in range(len(columns)) if i == name or any(row[i] for row in cells)]
    named = kept.index(name)
    columns, cells = [columns[i] for i in kept], [tuple(row[i] for i in kept) for row in cells]
    short = [i for i, column in enumerate(columns) if not column.formula]
    few = [columns[i] for i in short]
    fewer = [tuple(row[i] for i in short) for row in cells]
    listed = len(short) > 1 and len(short) < len(columns)
    tries = [(columns, cells, True), *([(few, fewer, True)] if listed else ())]
    tries.append((few, fewer, False) if listed else (columns, cells, False))
    for shown, texts, framed in tries:
        table = _table(title, shown, texts, framed=framed)
        if _width(console, table) <= console.width:
            console.print(table)
            break
    else:
        shown = few if listed else columns
        show(console, paragraphs(title, shown, fewer if listed else cells, console.width))
    if len(shown) < len(columns):
        for i, column in enumerate(columns):
            if column.formula:
                show(console, formulas(column.heading, [(r[named], r[i]) for r in cells], console))


def formulas(
    heading: str, named: Iterable[tuple[str, str]], console: "Console"
) -> Iterator[tuple[str, str]]:
    """``name: formula`` under a heading; a formula that does not fit behind its name goes below it.

    There it is broken between words, outside a terminal only if it has more than 100 columns.
    """
    yield f"{heading}:", "bold"
    for name, formula in named:
        first = f"  {name}: "
        width = console.width
        if len(first) + len(formula) > width:
            yield first.rstrip(), ""
            first, width = "    ", width if console.is_terminal else PIPE_WIDTH
        yield from hanging(first, formula, width)


def paragraphs(
    title: str, columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int
) -> Iterator[tuple[str, str]]:
    """A paragraph for each row: its first cell, then the other cells behind their headings.

    Examples
    --------
    >>> columns = (Column("role"), Column("std"), Column("rate"))
    >>> [line for line, _ in paragraphs("scales", columns, [("out", "N^(-1/2)", "1")], 40)]
    ['scales', '  out: std N^(-1/2), rate 1']
    """
    yield from hanging("", title, width, "bold")
    for first, *others in rows:
        pairs = zip(columns[1:], others, strict=True)
        told = (f"{column.heading} {cell}".strip() for column, cell in pairs if cell)
        kept = ", ".join(pair.replace(" ", NO_BREAK) for pair in told)
        yield from hanging("  ", f"{first}: {kept}", width, indent=4)


def _table(
    title: str, columns: Sequence[Column], rows: Iterable[Sequence[str]], *, framed: bool
) -> "Table":
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    style = box.HEAVY_HEAD if framed else None
    padding = (0, 1) if framed else (0, 1, 0, 0)
    table = Table(title=escape(title), box=style, padding=padding, pad_edge=framed)
    cells = list(rows)
    for i, column in enumerate(columns):
        words = [word for row in cells for word in row[i].split()] if column.prose else []
        whole = [row[i] for row in cells]
        longest = max(map(len, words or whole), default=0)
        if column.prose:
            longest = max(longest, min(_LEAST_PROSE, max(map(len, whole), default=0)))
        heading = max(map(len, column.heading.split()), default=0)
        table.add_column(column.heading, overflow="fold", min_width=max(longest, heading))
    for row in cells:
        table.add_row(*map(escape, row))
    return table


def _width(console: "Console", table: "Table") -> int:
    """Columns of the widest line of a table as the console would print it."""
    from rich.segment import Segment

    unbounded = console.options.update(width=console.width, overflow="ignore", no_wrap=False)
    lines = Segment.split_lines(console.render(table, unbounded))
    return max((Segment.get_line_length(line) for line in lines), default=0)
