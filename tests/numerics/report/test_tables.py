"""Tables that fit: their formulas are listed below them, then the frame goes, then the table."""

import io

import pytest
from rich.console import Console

from numerics.report.tables import Column, output_console, print_table

COLUMNS = (
    Column("factor for", prose=True),
    Column(""),
    Column("value"),
    Column("empty"),
    Column("formula", formula=True),
)
FORMULA = "sqrt(3)*N_d**(1/4)/sqrt(sqrt(2)*sqrt(N_e) + 2*N_e)"
ROWS = (
    ("decoder: attention v and output", "v_d", "0.368893973233", "", FORMULA),
    ("[embeddings]", "x", "0.330520691097", "", "1"),
)


def printed(width: int, rows=ROWS, columns=COLUMNS) -> str:
    console = Console(width=width, file=io.StringIO(), highlight=False)
    print_table(console, "scales", columns, rows, name=1)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", range(44, 140, 4))
def test_no_word_is_broken_and_no_line_is_too_wide(width):
    text = printed(width)
    for row in ROWS:
        assert all(word in text for cell in row for word in cell.split())
    if width < len(FORMULA) + 4:
        # Outside a terminal a formula stays whole, on a line of its own.
        text = text.replace(f"    {FORMULA}\n", "")
    assert max(map(len, text.splitlines())) <= width


def test_what_does_not_fit_goes_in_order():
    wide, narrow, narrowest = printed(130), printed(70), printed(40)
    assert "formula:" not in wide
    assert "┃" in wide
    assert f"  v_d: {FORMULA}" in narrow
    assert "┃" in narrow
    assert "┃" not in narrowest
    assert "0.368893973233" in narrowest


def test_a_column_without_a_cell_is_left_out():
    assert "empty" not in printed(130)
    filled = tuple((*row[:3], "some", row[4]) for row in ROWS)
    assert "empty" in printed(150, filled)


def test_a_table_of_bare_numbers_loses_its_frame_and_then_its_columns():
    columns = tuple(Column(name) for name in ("role", "name", "std", "rate"))
    rows = [("attention.out", "out", "N^(-1/2)", "N^(-1)")]
    assert "┃" in printed(50, rows, columns)
    frameless = printed(35, rows, columns)
    assert "┃" not in frameless
    assert "attention.out out  N^(-1/2) N^(-1)" in frameless
    assert "  attention.out: name out," in printed(30, rows, columns)


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("200", 100), (None, 100)])
def test_a_pipe_is_at_most_100_columns_wide(monkeypatch, columns, width):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    assert output_console().width == width
