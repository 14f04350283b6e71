"""A formula as lines of text that fit a width, broken in front of its operators.

SymPy draws a formula as a picture of several rows. The picture is cut between two columns in front
of an operator on its main row, where nothing else is drawn above or below. So the pieces together
show exactly what the picture shows. A picture that cannot be cut so is written in one row instead.
"""

import re
import textwrap
import unicodedata

import sympy as sp
from sympy.printing.pretty.pretty import PrettyPrinter
from sympy.printing.pretty.pretty_symbology import pretty_use_unicode

from theory.derivations.statements import (
    Asked,
    At,
    Between,
    Computed,
    OrderEquality,
    Rounded,
    decimal_text,
    relation_sign,
    sides,
)

INDENT = 4
"""Columns by which the second and further pieces are indented."""
_OPERATOR = re.compile(r" (?=(?:[-+=≤≥<>≠≈≍⪯≔∈]|[<>!=]=) )| (?=at |\(asked\)|\([^()]* → )|(?<=,) ")
_PRODUCT = re.compile(r"(?=⋅|(?<!\*)\*(?!\*))")
_FACTOR = re.compile(r"/|(?<!\*)\*(?!\*)")
_SLASHES = ("/", "|", "\\")
_OPENING, _CLOSING = "([{⎛⎜⎝⎡⎢⎣⎧⎪⎨⎩", ")]}⎞⎟⎠⎤⎥⎦"
_PRODUCT_DEPTH = 100
"""A product is cut only where no sum and no relation can be."""
_LEAST = 8
"""Columns that a piece should have at least, so that no name stands alone."""


def formula_lines(statement: sp.Basic, width: int, *, use_unicode: bool = True) -> list[str]:
    r"""A statement in lines of at most ``width`` columns, unless a name or number is longer.

    Without Unicode it is drawn in ASCII, as SymPy draws it.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> long = sp.Eq((x + y) ** 3, x**3 + 3 * x**2 * y + 3 * x * y**2 + y**3, evaluate=False)
    >>> print("\n".join(formula_lines(long, 28)))
           3    3      2
    (x + y)  = x  + 3⋅x ⋅y
    <BLANKLINE>
               2    3
        + 3⋅x⋅y  + y
    """
    printer = PrettyPrinter({"use_unicode": use_unicode, "wrap_line": False, "num_columns": None})
    # SymPy would go by the encoding of standard output.
    before = pretty_use_unicode(use_unicode)
    try:
        drawn = printer._print(statement)
    finally:
        pretty_use_unicode(before)
    rows = [_cells(row) for row in str(drawn).splitlines()]
    if max(map(len, rows)) <= width:
        return ["".join(row) for row in rows]
    pieces = _pieces(rows, drawn.baseline, width)
    if any(len(_cells(row)) > width for piece in pieces for row in piece):
        row = in_one_row(statement)
        if max(map(len, row.split())) > width - INDENT:
            row = _FACTOR.sub(r" \g<0> ", row)
        return textwrap.wrap(
            row,
            width,
            subsequent_indent=" " * INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
    tall = any(len(piece) > 1 for piece in pieces)
    lines: list[str] = []
    for piece in pieces:
        lines += ["", *piece] if tall and lines else piece
    return lines


def _cells(row: str) -> list[str]:
    """What stands in each column: a letter with the accents that are drawn over it."""
    cells: list[str] = []
    for sign in row:
        if cells and unicodedata.combining(sign):
            cells[-1] += sign
        else:
            cells.append(sign)
    return cells


def _pieces(rows: list[list[str]], main: int, width: int) -> list[list[str]]:
    """The picture's pieces from left to right, each without the rows that are blank in it."""
    longest = max(map(len, rows))
    rows = [row + [" "] * (longest - len(row)) for row in rows]
    cuts = _cuts(rows, main)
    pieces, start, indent = [], 0, 0
    while longest - start > width - indent:
        fitting = [cut for cut in cuts if start < cut <= start + width - indent]
        wide = [cut for cut in fitting if cut - start >= _LEAST] or fitting
        if not wide:
            wide = [min((cut for cut in cuts if cut > start), default=longest)]
        least = min(cuts.get(cut, 0) for cut in wide)
        end = max(cut for cut in wide if cuts.get(cut, 0) == least)
        pieces.append(_piece(rows, start, end, indent))
        start, indent = end, INDENT
    if start < longest:
        pieces.append(_piece(rows, start, longest, indent))
    return pieces


def _cuts(rows: list[list[str]], main: int) -> dict[int, int]:
    """Columns before which the picture may be cut, each with the brackets that are open there."""
    row = "".join(cell[0] for cell in rows[main])
    values = row.find(" at ")  # behind it stand a = 1, b = 2, which are cut at their commas
    depths, depth = [], 0
    for column in range(len(row)):
        side = _bracket(rows, main, column)
        depth = max(depth + min(side, 0), 0)  # the tip of a sum's sign looks like a bracket
        depths.append(depth)
        depth += max(side, 0)
    found: dict[int, int] = {}
    for pattern, extra in ((_PRODUCT, _PRODUCT_DEPTH), (_OPERATOR, 0)):
        for match in pattern.finditer(row):
            columns = range(match.start(), match.end() + 1)
            others = (other for i, other in enumerate(rows) if i != main)
            if all(other[column] == " " for other in others for column in columns):
                behind = 0 <= values < match.start() and row[match.start() - 1] != ","
                found[match.end()] = depths[match.start()] + extra + behind
    return found


def _bracket(rows: list[list[str]], main: int, column: int) -> int:
    r"""1 where a bracket opens on the main row, −1 where one closes, 0 elsewhere.

    A tall bracket in ASCII is a column of slashes and bars: ``/|\`` from top to bottom if it
    opens, ``\|/`` if it closes.
    """
    sign = rows[main][column][0]
    if sign not in _SLASHES:
        return (sign in _OPENING) - (sign in _CLOSING)
    top = bottom = main
    while top > 0 and rows[top - 1][column] in _SLASHES:
        top -= 1
    while bottom < len(rows) - 1 and rows[bottom + 1][column] in _SLASHES:
        bottom += 1
    ends = rows[top][column] + rows[bottom][column]
    return (ends == "/\\") - (ends == "\\/")


def _piece(rows: list[list[str]], start: int, end: int, indent: int) -> list[str]:
    cut = [(" " * indent + "".join(row[start:end])).rstrip() for row in rows]
    drawn = [i for i, row in enumerate(cut) if row]
    return cut[drawn[0] : drawn[-1] + 1] if drawn else []


def in_one_row(statement: sp.Basic) -> str:
    """A statement with powers, fractions and sums written behind one another.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> in_one_row(OrderEquality(x**2 / 2, x**2, x)), in_one_row(Asked(sp.Le(x, 2)))
    ('x**2/2 ≍ x**2 (x → ∞)', 'x ≤ 2 (asked)')
    """
    if isinstance(statement, At):
        told = ", ".join(f"{name} = {value}" for name, value in statement.values.items())
        return f"{in_one_row(statement.args[0])} at {told}"
    if isinstance(statement, Asked):
        return f"{in_one_row(statement.args[0])} (asked)"
    if isinstance(statement, Between):
        return " ≤ ".join(map(str, statement.args))
    left, right = sides(statement)
    sign = "=" if isinstance(statement, Computed) else relation_sign(statement)
    shown = decimal_text(right) if isinstance(statement, Rounded) else str(right)
    end = f" ({statement.args[2]} → ∞)" if isinstance(statement, OrderEquality) else ""
    return f"{left} {sign} {shown}{end}"
