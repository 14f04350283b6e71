"""The notebook as it is committed; nbmake runs it, this reads what it holds."""

from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parent.parent / "paper_checks.ipynb"


@pytest.fixture(scope="module")
def cells():
    return [c for c in nbformat.read(NOTEBOOK, as_version=4).cells if c.cell_type == "code"]


def test_outputs_are_committed_and_none_is_an_error(cells):
    for cell in cells:
        assert cell.outputs, cell.source
        assert not [
            o for o in cell.outputs if o.output_type == "error" or o.get("name") == "stderr"
        ]


def test_it_reaches_the_constant_the_figure_and_a_verdict(cells):
    text = "".join(str(output.get("data", "")) for cell in cells for output in cell.outputs)
    assert "0.669628722978" in text
    assert "image/png" in text
    assert "holds-with" in text


def test_it_is_thin(cells):
    assert max(len(cell.source.splitlines()) for cell in cells) <= 20
