"""The notebook as it is committed; nbmake runs it, this reads what it holds."""

import ast
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parent.parent / "paper_checks.ipynb"


@pytest.fixture(scope="module")
def every():
    return nbformat.read(NOTEBOOK, as_version=4).cells


@pytest.fixture(scope="module")
def cells(every):
    return [c for c in every if c.cell_type == "code"]


def imported(source: str) -> set[str]:
    """Top-level packages that a cell imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found


def test_outputs_are_committed_and_none_is_an_error(cells):
    for cell in cells:
        only_names = all(
            isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef)
            for node in ast.parse(cell.source).body
        )
        assert cell.outputs or only_names, cell.source
        assert not [
            o for o in cell.outputs if o.output_type == "error" or o.get("name") == "stderr"
        ]


def test_it_imports_the_face_alone(cells):
    """Of the project it imports ``tfixup``; torch is there for the reader's own model."""
    assert set().union(*(imported(cell.source) for cell in cells)) == {"tfixup", "torch"}
    assert imported("from numerics.figures import sweep") == {"numerics"}


def test_it_is_small_and_its_figures_are_drawings():
    assert NOTEBOOK.stat().st_size < 200_000
    assert "image/png" not in NOTEBOOK.read_text()
    assert NOTEBOOK.read_text().count("image/svg+xml") >= 5


def test_its_numbers_are_those_of_the_records_of_today(cells):
    """A sweep that was recorded anew makes the committed outputs old: ``make notebook`` again."""
    import tfixup

    found = tfixup.read_sweep(tfixup.records() / "sweep").exponents.filter(
        optimizer="sgd", scheme="tfixup", quantity="update", part="total"
    )
    (cell,) = (c for c in cells if c.source.startswith("exponents = "))
    shown = cell.outputs[0]["data"]["text/plain"]
    (line,) = (line for line in shown.splitlines() if line.startswith("│ total"))
    numbers = [float(word) for word in line.replace("┆", "│").split("│")[2:5]]
    expected = found.select("exponent", "low", "high").row(0)
    assert numbers == pytest.approx(expected, abs=1e-6)
    assert [2 * number for number in numbers] != pytest.approx(expected, abs=1e-6)


def test_it_reaches_the_constant_a_verdict_and_both_answers_of_a_check(cells):
    text = "".join(
        str(output.get("data", "")) + str(output.get("text", ""))
        for cell in cells
        for output in cell.outputs
    )
    assert "0.669628722978" in text
    assert "<b>fails</b>" in text
    assert "grows under sgd" in text
    assert "bounded under sgd" in text


def test_every_measurement_says_first_what_would_count_as_failure(every):
    chapters = [c.source for c in every if c.cell_type == "markdown" and "\n## " in f"\n{c.source}"]
    assert len(chapters) >= 6
    assert all("count as failure" in text or text.startswith("## 6") for text in chapters)
    assert sum("count as failure" in c.source for c in every) >= 6


def test_it_is_thin(cells):
    assert max(len(cell.source.splitlines()) for cell in cells) <= 20
