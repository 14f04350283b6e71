"""``tfixup explain CLAIM``: one statement on one page, and how to repeat what decided it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from theory.claims import Evidence, Verdict


@dataclass(frozen=True)
class Explain:
    """Show one claim on a page: the statement, what decided it, and how to repeat that.

    The claim's checks are run again; recorded training runs are read, not repeated.
    """

    claim: Positional[Annotated[str, arg(metavar="CLAIM")]]
    """Identifier of a claim, such as tfixup.eq6; the part behind the dot where no other claim ends
    so."""
    results: Path | None = None
    """Folder of recorded runs; beside the packages unless given."""

    def run(self) -> int:
        """Check the claim and print its page; exit with 1 if a control was not rejected."""
        from rich.console import Console

        from numerics.report.verdicts import show
        from numerics.stores.record_folder import record_folder
        from numerics.verify import verify
        from theory.claims import Context
        from theory.ledger import claim_named

        claim = claim_named(self.claim)
        context = Context(results=record_folder(self.results).path)
        console = Console()
        (found,) = verify((claim,), context)
        show(console, page(found, console.width))
        return 0 if found.sound else 1


def page(item: "Verdict", width: int) -> Iterator[tuple[str, str]]:
    """The lines of the page with their styles."""
    from numerics.report.verdicts import PAPERS, STYLES, hanging

    claim = item.claim
    yield f"{claim.id}: {item.outcome}", f"bold {STYLES[str(item.outcome)]}"
    yield "", ""
    paper = PAPERS.get(claim.paper, claim.paper)
    yield from hanging("Statement    ", f"{claim.statement} ({paper}, {claim.where})", width)
    for assumption in claim.assumptions:
        yield from hanging("Assumes      ", assumption, width)
    if item.qualification and not _is_repeated(item):
        label = QUALIFIED.get(str(item.outcome), "Remark")
        yield from hanging(f"{label:<13}", item.qualification, width)
    if deciding := decided_by(item):
        yield from hanging("Decided by   ", deciding, width)
    for number, one in enumerate(item.evidence, start=1):
        yield "", ""
        yield from evidence(number, one, width, repeated=item.qualification)
    yield "", ""
    yield from hanging("Repeat       ", f"tfixup verify --claims {claim.id} --verbose", width)
    if any(one.kind == "derivation" for one in item.evidence):
        yield from hanging("             ", f"tfixup derive {claim.id}", width)


QUALIFIED = {"holds-with": "Holds if", "fails": "Instead", "undecided": "Open"}
"""What the qualification of a verdict is, by the outcome."""
SUBJECTS = {
    "derivation": ("A derivation", "confirms", "refutes", "does not decide"),
    "proof": ("A machine-checked proof", "confirms", "refutes", "does not decide"),
    "measurement": ("A measurement", "agrees with", "contradicts", "does not decide"),
    "training": ("Training runs", "show", "do not show", "do not decide"),
}
"""By kind of evidence: the subject of its sentence, and the verbs for, against and undecided."""
READINGS = {
    "as printed": "the statement as printed",
    "with an extra hypothesis": "the statement with the extra hypothesis",
    "repaired": "the repaired statement",
}


def sentence(one: "Evidence") -> str:
    """What one check says about the reading that it tested.

    An example is *A derivation refutes the statement as printed*.
    """
    subject, for_it, against, neither = SUBJECTS[str(one.kind)]
    verb = {True: for_it, False: against, None: neither}[one.passed]
    return f"{subject} {verb} {READINGS[str(one.reading)]}"


def decided_by(item: "Verdict") -> str:
    """Which of the numbered checks speak against the printed statement, and which for a reading."""
    told = []
    for passed, reading, words in (
        (False, "as printed", "against the statement as printed"),
        (True, "as printed", "for the statement as printed"),
        (True, "with an extra hypothesis", "for it with the extra hypothesis"),
        (True, "repaired", "for the repaired statement"),
    ):
        numbers = [
            str(number)
            for number, one in enumerate(item.evidence, start=1)
            if one.admissible and one.passed is passed and str(one.reading) == reading
        ]
        if numbers:
            told.append(f"{', '.join(numbers)} {words}")
    return "; ".join(told)


def number_of(one: "Evidence") -> str:
    """The number found with its interval, and what the tested reading asks of it."""
    if one.interval is None:
        return ""
    low, high = one.interval
    found = _short(one.value)
    wanted = "" if one.expected is None else f"; asked {_short(one.expected)}"
    within = "" if one.tolerance is None or not wanted else f" ± {one.tolerance:g}"
    return f"{found}, interval [{low:.4g}, {high:.4g}]{wanted}{within}"


def _short(value: float | str | None) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_repeated(item: "Verdict") -> bool:
    """Whether the qualification stands in full under one of the checks."""
    return any(
        item.qualification in (one.scope, one.neighbourhood, one.summary) for one in item.evidence
    )


def evidence(
    number: int, one: "Evidence", width: int, repeated: str = ""
) -> Iterator[tuple[str, str]]:
    """One check: what was tested and found, over which range, with which control."""
    from numerics.report.verdicts import hanging

    style = {True: "green", False: "red", None: "dim"}[one.passed]
    yield from hanging(f"{number}. ", sentence(one), width, style)
    if one.reading_text and one.reading_text != repeated:
        yield from hanging("   tested    ", one.reading_text, width)
    yield from hanging("   found     ", one.summary, width)
    if found := number_of(one):
        yield from hanging("   number    ", found, width)
    if one.scope:
        yield from hanging("   range     ", one.scope, width)
    if one.neighbourhood and one.neighbourhood != one.scope:
        yield from hanging("   tried     ", one.neighbourhood, width)
    yield from hanging("   control   ", one.control.told, width)
    if one.source != "computed":
        yield from hanging("   source    ", one.source, width)
