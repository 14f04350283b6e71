"""How verdicts are shown: a summary that fits any terminal, a table, or plain formats for programs.

Lines are broken between words only. Nothing is drawn around them, so that they read the same in a
pipe, in a log and on a terminal of 60 columns.
"""

import csv
import io
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from theory.claims import Evidence, Verdict

STYLES: Mapping[str, str] = {
    "holds": "green",
    "holds-with": "yellow",
    "reproduced at this scale": "green",
    "not seen at this scale": "magenta",
    "fails": "red",
    "undecided": "dim",
}
"""Every outcome, in the order in which they are counted, with its colour."""
COUNTED: Mapping[str, tuple[str, str]] = {
    "holds": ("holds", "hold"),
    "holds-with": ("holds with a hypothesis", "hold with a hypothesis"),
    "reproduced at this scale": ("reproduced at this scale", "reproduced at this scale"),
    "not seen at this scale": ("not seen at this scale", "not seen at this scale"),
    "fails": ("fails", "fail"),
    "undecided": ("undecided", "undecided"),
}
"""The outcomes after the number one and after larger numbers."""
PAPERS: Mapping[str, str] = {
    "tfixup": "T-Fixup",
    "xiong": "Xiong et al.",
    "admin": "Admin",
    "radam": "RAdam",
    "fixup": "R-Fixup",
    "deepnorm": "DeepNorm",
    "dtfixup": "DT-Fixup",
    "rezero": "ReZero",
    "dsinit": "DS-Init",
    "lri": "LRI",
    "dlcl": "DLCL",
    "adminTorch": "admin-torch",
    "ours": "Our own questions",
    "modern": "Today's Transformers",
    "libraries": "Libraries",
}
WHAT_MATTERS = (
    "tfixup.goal",
    "tfixup.thm31-lower",
    "tfixup.eq6",
    "tfixup.encoder-scale",
    "tfixup.positions",
    "tfixup.adam",
    "tfixup.fig2",
    "ours.adam-scale",
)
"""The verdicts that the README shows."""
NO_BREAK = "\N{NO-BREAK SPACE}"
MARKS = {True: "", False: "−", None: "?"}
LEGEND = (
    "D derivation, P proof, M measurement, T training; − a reading that fell; ? undecided. "
    "tfixup explain CLAIM shows one claim on a page, --table every claim, --verbose every check."
)


def summary(verdicts: Sequence["Verdict"], seconds: float, width: int) -> Iterator[tuple[str, str]]:
    """Lines with their styles: counts per paper, what fails with its repair, what is open."""
    papers = dict.fromkeys(item.claim.paper for item in verdicts)
    named = {paper: PAPERS.get(paper, paper) for paper in papers}
    margin = max(map(len, named.values()), default=0) + 2
    for paper, name in named.items():
        own = [item for item in verdicts if item.claim.paper == paper]
        yield from hanging(f"{name:<{margin}}", counts(own), width, "")
    for title, outcomes in (
        ("What fails, and what holds instead", ("fails",)),
        ("Not seen in runs of this scale", ("not seen at this scale",)),
        ("Undecided, and why", ("undecided",)),
    ):
        chosen = [item for item in verdicts if str(item.outcome) in outcomes]
        if chosen:
            yield "", ""
            yield title, "bold"
            for item in chosen:
                yield from row(item, width)
    yield "", ""
    evidence = [item for verdict in verdicts for item in verdict.evidence]
    rejected = sum(item.control.rejected for item in evidence)
    yield from hanging(
        "",
        f"{_many(len(verdicts), 'claim')}: {counts(verdicts)}. {_many(len(evidence), 'check')}, "
        f"{_many(rejected, 'negative control')} rejected, {seconds:.0f}{NO_BREAK}s.",
        width,
        "",
    )
    yield from hanging("", LEGEND, width, "dim")
    for verdict in verdicts:
        for item in verdict.evidence:
            if not item.control.rejected:
                yield from hanging("", f"{verdict.claim.id}: {check(item)}", width, "red")


def counts(verdicts: Iterable["Verdict"]) -> str:
    """How many claims have each outcome, as words; outcomes that no claim has are left out."""
    found = [str(item.outcome) for item in verdicts]
    return ", ".join(
        f"{many} {words[many > 1]}"
        for name, words in COUNTED.items()
        if (many := found.count(name))
    )


def _many(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def row(item: "Verdict", width: int) -> Iterator[tuple[str, str]]:
    """One claim: its id, verdict and kinds of evidence; the statement; what holds instead."""
    for text, style in decided(item, width - 2):
        yield f"  {text}", style
    yield from hanging("      ", f"{item.claim.statement} ({item.claim.where})", width, "")
    scopes = scope_of(item)
    # A negative result of training is qualified by its range alone, which the last line gives.
    if item.qualification and item.qualification not in scopes:
        yield from hanging("    → ", item.qualification, width, STYLES[str(item.outcome)])
    elif str(item.outcome) in ("fails", "not seen at this scale"):
        fallen = next((one.summary for one in item.evidence if one.passed is False), "")
        yield from hanging("      ", f"found: {fallen}", width, STYLES[str(item.outcome)])
    if scopes:
        yield from hanging("      ", f"seen over {scopes}", width, "dim")


def decided(item: "Verdict", width: int) -> Iterator[tuple[str, str]]:
    """One verdict as soon as it is known: its id, outcome and kinds of evidence."""
    head = f"{item.claim.id}: {item.outcome}"
    kinds = kinds_of(item)
    yield from hanging("", f"{head} ({kinds})" if kinds else head, width, STYLES[str(item.outcome)])


def kinds_of(item: "Verdict") -> str:
    """The kinds of evidence, each with a minus where a reading of it fell."""
    return " ".join(MARKS[one.passed] + one.kind[0].upper() for one in item.evidence)


def scope_of(item: "Verdict") -> str:
    """The ranges that measurements and runs covered."""
    return "; ".join(dict.fromkeys(one.scope for one in item.evidence if one.scope))


def check(item: "Evidence") -> str:
    """One check in one line."""
    mark = {True: "passed", False: "failed", None: "undecided"}[item.passed]
    source = "" if item.source == "computed" else f" [{item.source}]"
    return (
        f"{item.kind}, {item.reading}, {mark}: {item.summary}{source}; control: {item.control.told}"
    )


def hanging(
    first: str, text: str, width: int, style: str = "", indent: int | None = None
) -> Iterator[tuple[str, str]]:
    """``text`` behind ``first``; further lines are indented, unless told to where the text begins.

    A no-break space keeps its words on one line and is printed as a space.
    """
    lines = textwrap.wrap(
        text,
        width=max(width, 40),
        initial_indent=first,
        subsequent_indent=" " * (len(first) if indent is None else indent),
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines or [first]:
        yield line.replace(NO_BREAK, " "), style


def show(console: "Console", lines: Iterable[tuple[str, str]]) -> None:
    """Print lines as they are: no markup is read in them and none is broken."""
    for line, style in lines:
        console.print(line, style=style or None, markup=False, highlight=False, soft_wrap=True)


def every_row(verdicts: Iterable["Verdict"], width: int) -> Iterator[tuple[str, str]]:
    """Every claim, paper by paper."""
    paper = ""
    for item in verdicts:
        if item.claim.paper != paper:
            paper = item.claim.paper
            yield PAPERS.get(paper, paper), "bold"
        yield from row(item, width)
        yield "", ""


_FINDING = re.compile(r"; (?![^(]*\))")
"""What separates two findings: a semicolon that is not inside parentheses."""


def markdown(verdicts: Iterable["Verdict"]) -> str:
    """A Markdown table: statement, verdict, what the evidence says.

    The third column is what holds instead, where there is such a statement. Elsewhere it is the
    first finding of a measurement, or of another check where nothing was measured. ``tfixup explain
    CLAIM`` prints all findings.
    """
    lines = ["| statement | verdict | what the evidence says |", "|---|---|---|"]
    for item in verdicts:
        found = item.qualification or _first_finding(item)
        cells = (f"{item.claim.statement} ({item.claim.where})", f"**{item.outcome}**", found)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _first_finding(item: "Verdict") -> str:
    """The first finding of a measurement, or of another check where nothing was measured."""
    measured = [one for one in item.evidence if str(one.kind) == "measurement"]
    told = measured or list(item.evidence)
    return _FINDING.split(told[-1].summary)[0] if told else ""


def as_csv(verdicts: Iterable["Verdict"]) -> str:
    """One row per claim: id, where, statement, verdict, qualification, evidence, scope."""
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(("id", "where", "statement", "verdict", "qualification", "evidence", "scope"))
    for item in verdicts:
        claim = item.claim
        told = (str(item.outcome), item.qualification, kinds_of(item), scope_of(item))
        table.writerow((claim.id, claim.where, claim.statement, *told))
    return written.getvalue().rstrip("\n")
