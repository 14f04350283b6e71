"""The pages of the derivations: one for each paper, with the outcome of each step's check."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from formulas import shown
from papers import heading
from recorded_tables import table

OPENING = """# The derivations

SymPy checked each step when these pages were built. It also rejected a false variant of each step.
The words in italics say how far a check goes: for all values of the symbols, at stated values, or
at exact sample points. The same derivations print in a terminal by `tfixup derive CLAIM`.

"""
FORMS = {"repaired": "in a repaired form"}
"""Readings whose name does not fit the sentence."""


def write_derivations(folder: Path) -> None:
    """Write ``derivations.md`` and a page for each paper into ``folder``."""
    from theory.arguments import ARGUMENTS
    from theory.arguments.render import as_json

    (document,) = as_json(ARGUMENTS)
    papers: dict[str, list[Mapping[str, Any]]] = {}
    for derivation in json.loads(document):
        paper = heading(derivation["claim"].partition(".")[0])
        papers.setdefault(paper, []).append(derivation)
    pages = {paper: _name(paper) for paper in papers}
    for paper, derivations in papers.items():
        lines = [f"# Derivations: {paper}", ""]
        for derivation in derivations:
            lines += _derivation(derivation)
        (folder / f"{pages[paper]}.md").write_text("\n".join(lines), "utf-8")
    contents = ["```{toctree}", ":maxdepth: 2", "", *pages.values(), "```", ""]
    (folder / "derivations.md").write_text(OPENING + "\n".join(contents), "utf-8")


def _name(paper: str) -> str:
    """A page's file name.

    Examples
    --------
    >>> _name("T-Fixup (Huang et al. 2020)")
    'derivations-t-fixup-huang-et-al-2020'
    """
    return "derivations-" + "-".join(re.findall(r"[a-z0-9]+", paper.lower()))


def _derivation(derivation: Mapping[str, Any]) -> Iterable[str]:
    """One derivation: the statement, what is shown about it, the symbols, the steps."""
    verb = "refutes" if derivation["refutes"] else "establishes"
    reading = f": {derivation['reading_text']}" if derivation["reading_text"] else ""
    yield f"## {derivation['title']}"
    yield ""
    yield f"The statement is `{derivation['claim']}` ({derivation['where']}):"
    form = FORMS.get(derivation["reading"], derivation["reading"])
    yield f"{derivation['statement']}. This derivation {verb} it {form}{reading}."
    yield ""
    if derivation["symbols"]:
        yield table(
            ("symbol", "meaning", "taken to be"),
            (
                (_symbol(name), _plain(told["meaning"]), _plain(told["assumed"] or ""))
                for name, told in derivation["symbols"].items()
            ),
        )
        yield ""
    for number, step in enumerate(derivation["steps"], start=1):
        mark = step["checked"] if step["holds"] else "FAILS"
        yield f"{number}. {step['because']} *({mark})*"
        yield ""
        yield "   $$"
        yield f"   {shown(step['latex'])}"
        yield "   $$"
        yield ""
        for hypothesis in step["given"]:
            yield f"   Given: {hypothesis}"
            yield ""


def _symbol(name: str) -> str:
    r"""A symbol's name in math mode.

    Examples
    --------
    >>> _symbol("v_d"), _symbol("|aM|^2")
    ('$v_{d}$', '$\\vert aM\\vert ^{2}$')
    """
    import sympy as sp

    from theory.arguments.latex import formula

    return f"${formula(sp.Symbol(name)).strip().replace('|', chr(92) + 'vert ')}$"


def _plain(words: str) -> str:
    """Words in which asterisks and underscores are themselves."""
    return re.sub(r"([*_\\])", r"\\\1", words)
