"""A derivation as text, LaTeX or JSON; each step is checked as it is rendered.

A renderer yields lines and returns whether every step held and every altered step was rejected.
"""

import json
import textwrap
from collections.abc import Callable, Generator, Iterable, Iterator

import sympy as sp

from theory.arguments import Argument
from theory.arguments.formula_lines import formula_lines
from theory.arguments.latex import PREAMBLE, formula, prose
from theory.arguments.legends.symbols import legend
from theory.claims import Reading
from theory.derivations.derivation import Derivation
from theory.derivations.statements import relation_sign
from theory.errors import nearest
from theory.ledger import claim_named

Lines = Generator[str, None, bool]
Renderer = Callable[[Iterable[Argument]], Lines]
WIDTH = 100
"""Columns of the text where no terminal sets them."""
LEAST_WIDTH = 40
STEP = " " * 6
"""What stands in front of a step's formula and of its hypotheses."""


def _legend(derivation: Derivation) -> list[tuple[str, str]]:
    """Every name with its meaning and the sign it is taken to have."""
    return [
        (item.name, f"{item.meaning}{f' ({item.sign})' if item.sign else ''}")
        for item in legend(derivation.claim, derivation.steps)
    ]


def _purpose(argument: Argument) -> str:
    """What the derivation does to which reading; a statement of ours is printed nowhere else."""
    verb = "refutes" if argument.refutes else "establishes"
    if claim_named(argument.claim).where == "ours" and argument.reading is Reading.PRINTED:
        return f"{verb} the statement"
    extra = f": {argument.reading_text}" if argument.reading_text else ""
    return f"{verb} the statement {argument.reading}{extra}"


def _wrapped(first: str, words: str, width: int) -> Iterator[str]:
    """``words`` behind ``first``, broken between words, further lines indented to where they begin.

    No line has more than ``width`` columns unless a word is longer.
    """
    yield from textwrap.wrap(
        words,
        width,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )


def text(arguments: Iterable[Argument], width: int = WIDTH, *, use_unicode: bool = True) -> Lines:
    """Lines for a terminal, of at most ``width`` columns unless a word or a number is longer."""
    sound = True
    width = max(width, LEAST_WIDTH)
    for argument in arguments:
        claim, derivation = claim_named(argument.claim), argument.build()
        yield from _wrapped("", f"{claim.id} ({claim.where}): {claim.statement}", width)
        yield from _wrapped("  ", derivation.title, width)
        yield from _wrapped("  ", _purpose(argument), width)
        names = _legend(derivation)
        if names:
            yield ""
            yield "  symbols"
            widest = max(len(name) for name, _ in names)
            for name, meaning in names:
                yield from _wrapped(f"    {name:{widest}}  ", meaning, width)
        for number, checked in enumerate(derivation.check(), start=1):
            sound = sound and checked.sound
            yield ""
            if checked.step.section:
                yield from _wrapped("  ", checked.step.section, width)
                yield ""
            told = f"{checked.step.because}  [{checked.told}]"
            yield from _wrapped(f"  {number:2}. ", told, width)
            statement, room = checked.step.statement, width - len(STEP)
            drawn = formula_lines(statement, room, use_unicode=use_unicode)
            yield from (f"{STEP}{line}".rstrip() for line in drawn)
            for hypothesis in checked.step.given:
                yield from _wrapped(f"{STEP}given: ", hypothesis, width)
        yield ""
    return sound


def latex(arguments: Iterable[Argument]) -> Lines:
    """Lines of a LaTeX document."""
    sound = True
    yield PREAMBLE
    for argument in arguments:
        derivation = argument.build()
        yield rf"\section*{{{prose(derivation.title)}}}"
        yield rf"\texttt{{{prose(argument.claim)}}}: {prose(_purpose(argument))}."
        names = _legend(derivation)
        if names:
            yield r"\begin{description}"
            yield from (
                rf"\item[\texttt{{{prose(name)}}}] {prose(meaning)}" for name, meaning in names
            )
            yield r"\end{description}"
        yield r"\begin{enumerate}"
        for checked in derivation.check():
            sound = sound and checked.sound
            if checked.step.section:
                yield rf"\item[] \textbf{{{prose(checked.step.section)}}}"
            yield rf"\item {prose(checked.step.because)} (\emph{{{prose(checked.told)}}})"
            yield rf"\[ \fit{{{formula(checked.step.statement)}}} \]"
            yield from (rf"Given: {prose(hypothesis)}." for hypothesis in checked.step.given)
        yield r"\end{enumerate}"
    yield r"\end{document}"
    return sound


def as_json(arguments: Iterable[Argument]) -> Lines:
    """One JSON array: every argument with its steps and the outcome of each check.

    A definition has no altered version, so that its control is null.
    """
    documents, sound = [], True
    for argument in arguments:
        claim, derivation = claim_named(argument.claim), argument.build()
        steps = tuple(derivation.check())
        sound = sound and all(checked.sound for checked in steps)
        documents.append(
            {
                "claim": claim.id,
                "where": claim.where,
                "statement": claim.statement,
                "title": derivation.title,
                "reading": str(argument.reading),
                "reading_text": argument.reading_text,
                "refutes": argument.refutes,
                "symbols": {
                    item.name: {"meaning": item.meaning, "assumed": item.sign}
                    for item in legend(derivation.claim, derivation.steps)
                },
                "steps": [
                    {
                        "section": checked.step.section,
                        "because": checked.step.because,
                        "relation": relation_sign(checked.step.statement),
                        "statement": sp.sstr(checked.step.statement),
                        "latex": formula(checked.step.statement),
                        "checked": checked.step.checked,
                        "given": list(checked.step.given),
                        "holds": checked.holds,
                        "control": None
                        if checked.control_rejected is None
                        else {
                            "statement": sp.sstr(checked.step.false),
                            "rejected": checked.control_rejected,
                        },
                    }
                    for checked in steps
                ],
            }
        )
    yield json.dumps(documents, indent=1, ensure_ascii=False)
    return sound


RENDERERS: dict[str, Renderer] = {"text": text, "latex": latex, "json": as_json}


def renderer_named(name: str) -> Renderer:
    """Look a format up; an unknown one is an error that offers the nearest."""
    if name not in RENDERERS:
        raise nearest(name, RENDERERS, "format")
    return RENDERERS[name]
