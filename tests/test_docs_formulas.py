"""Formulas of the documentation: broken where they are too wide, and otherwise as they were."""

import doctest
import re
import sys
from pathlib import Path

import pytest
import sympy as sp

from theory.arguments import ARGUMENTS
from theory.arguments.latex import formula

sys.path.insert(0, str(Path(__file__).parent.parent / "docs"))
import derivation_pages  # pyright: ignore[reportMissingImports]
import formulas  # pyright: ignore[reportMissingImports]
import papers  # pyright: ignore[reportMissingImports]

BREAK = re.compile(r"\\begin\{aligned\}& |\\end\{aligned\}| ?\\\\ & (?:\\quad (?!\\text))?")


def joined(latex):
    """A broken formula in one line again."""
    return re.sub(r"\s+", " ", BREAK.sub(" ", latex)).strip()


@pytest.mark.parametrize("module", [derivation_pages, formulas, papers])
def test_the_examples_run(module):
    assert doctest.testmod(module).failed == 0


@pytest.fixture(scope="module")
def drawn():
    statements = (step.statement for argument in ARGUMENTS for step in argument.build().steps)
    return [formula(statement) for statement in statements]


def test_breaking_changes_no_symbol_and_cuts_no_bracket(drawn):
    broken = [(one, formulas.shown(one)) for one in drawn if formulas.shown(one) != one]
    assert len(broken) > 20
    for latex, shown in broken:
        if "underbrace" not in shown:
            assert joined(shown) == re.sub(r"\s+", " ", latex).strip()
        for line in shown.split(r"\\ &"):
            assert line.count(r"\left") == line.count(r"\right"), line


def test_lines_fit_unless_a_bracket_or_a_fraction_is_wider(drawn):
    lines = [line for one in drawn for line in formulas.shown(one).split(r"\\ &")]
    wide = [line for line in lines if formulas.width(line) > formulas.WIDTH + 10]
    assert len(wide) < 0.02 * len(lines), wide
    assert max(map(formulas.width, drawn)) > 2 * formulas.WIDTH, "nothing would have to be broken"


def test_a_long_number_shows_its_ends():
    number = "12345678" + "0" * 60 + "87654321"
    shown = formulas.shown(f"x = {number}")
    assert number not in shown
    assert r"12345678\ldots87654321" in shown
    assert "76" in shown


def test_names_stand_upright_and_commands_stay():
    rate, ratio, share = sp.symbols("rate[encoder.in] ratio share_y")
    assert formula(rate) == r"\mathrm{rate[encoder.in]}"
    assert formula(sp.Eq(ratio, sp.sqrt(share), evaluate=False)) == (
        r"\mathrm{ratio} = \sqrt{\mathrm{share}_{y}}"
    )
    assert formula(sp.Symbol("DeltaG")) == r"\Delta G"
    assert formula(sp.Symbol("alpha") * sp.Symbol("dm")) == r"\alpha dm"
