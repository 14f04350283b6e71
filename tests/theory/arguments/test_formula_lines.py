"""Formulas broken at operators: every sign of the picture is printed, and none twice."""

import re
from collections import Counter
from unicodedata import combining

import pytest
import sympy as sp
from sympy.printing.pretty.pretty_symbology import pretty_use_unicode

from theory.arguments import ARGUMENTS
from theory.arguments.formula_lines import INDENT, formula_lines, in_one_row
from theory.derivations.statements import (
    Asked,
    Between,
    Computed,
    Definition,
    OrderEquality,
    Rounded,
    at,
)

x, y, long_name = sp.symbols("x y long_name", positive=True)


def columns(line: str) -> int:
    return sum(not combining(sign) for sign in line)


def signs(lines: list[str]) -> Counter[str]:
    return Counter("".join("".join(lines).split()))


def whole(statement: sp.Basic) -> list[str]:
    return sp.pretty(statement, use_unicode=True, wrap_line=False).splitlines()


@pytest.mark.parametrize("claim", sorted({argument.claim for argument in ARGUMENTS}))
def test_what_is_printed_is_what_was_checked(claim):
    for argument in ARGUMENTS:
        if argument.claim != claim:
            continue
        for step in argument.build().steps:
            drawn = whole(step.statement)
            for width in (54, 94):
                lines = formula_lines(step.statement, width)
                if max(map(columns, drawn)) <= width:
                    assert lines == drawn
                elif signs(lines) == signs(drawn):
                    assert max(map(columns, lines)) <= width
                else:  # not to be cut: in one row, where a long number stands alone
                    assert "".join("".join(lines).split()) == in_one_row(step.statement).replace(
                        " ", ""
                    )
                    assert all(
                        columns(line) <= width or re.fullmatch(r"[\w()]+", line.strip())
                        for line in lines
                    ), lines


def test_every_piece_begins_with_an_operator():
    statement = sp.Le(sum(sp.symbols("a:z")), x + y**2, evaluate=False)
    pieces = "\n".join(formula_lines(statement, 30)).split("\n\n")
    assert len(pieces) > 3
    begins = re.compile(rf"^ {{{INDENT}}}[+≤] ", re.MULTILINE)
    assert all(begins.search(piece) for piece in pieces[1:])


def test_a_bracket_is_cut_only_where_nothing_outside_it_can_be():
    inner = x + y + long_name
    statement = sp.Eq(2 * inner, sp.Mul(3, inner, evaluate=False), evaluate=False)
    drawn = formula_lines(statement, columns(whole(statement)[0]) - 1)
    assert [line.count("(") - line.count(")") for line in drawn] == [0] * len(drawn)


def test_columns_are_counted_without_accents():
    mean = sp.Symbol("mbar")
    statement = sp.Eq(mean**2 + mean * x + y, (mean + 1) ** 2 * long_name**2, evaluate=False)
    above, below = formula_lines(statement, 24)[-2:]
    # The exponent stands right of the bracket that it belongs to.
    assert above.rindex("2") == columns(below[: below.index(")")]) + 1


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        (at(sp.Le(x, 2, evaluate=False), {x: sp.Integer(1)}), "x ≤ 2 at x = 1"),
        (Asked(sp.Eq(x, 2, evaluate=False)), "x = 2 (asked)"),
        (Between(x, y, 3 * x), "x ≤ y ≤ 3*x"),
        (Computed(x, y**2, evaluate=False), "x = y**2"),
        (Definition(x, y**2), "x ≔ y**2"),
        (OrderEquality(x + 1, x, x), "x + 1 ≍ x (x → ∞)"),
        (Rounded(sp.pi, sp.Rational("3.14")), "pi ≈ 3.14"),
    ],
)
def test_every_kind_of_statement_can_be_written_in_one_row(statement, row):
    assert in_one_row(statement) == row


def test_a_formula_is_drawn_alike_whatever_standard_output_takes():
    statement = sp.Eq((x**2 + y) * long_name, (x**2 + y) * long_name**2, evaluate=False)
    drawn = formula_lines(statement, 30)
    before = pretty_use_unicode(False)
    try:
        assert formula_lines(statement, 30) == drawn
        assert pretty_use_unicode() is False
    finally:
        pretty_use_unicode(before)


def test_brackets_in_ascii_are_seen_too():
    inner = x**2 + y**2 + long_name**2
    statement = sp.Eq(2 * inner, sp.Mul(3, inner, evaluate=False), evaluate=False)
    whole_width = max(map(columns, formula_lines(statement, 200, use_unicode=False)))
    drawn = formula_lines(statement, whole_width - 1, use_unicode=False)
    assert all(line.isascii() for line in drawn)
    mains = [line for line in drawn if "+" in line]
    assert [main.count("+") for main in mains] == [2, 2]
    assert mains[1].startswith(" " * INDENT + "= ")
