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

    The checks of this claim are made; recorded runs are read.
    """

    claim: Positional[Annotated[str, arg(metavar="CLAIM")]]
    """Identifier of a claim, such as tfixup.eq6; eq6 where only one claim ends so."""
    results: Path | None = None
    """Folder of recorded runs; beside the packages unless given."""

    def run(self) -> int:
        """Check the claim and print its page; 1 if a control was not rejected."""
        from rich.console import Console

        from numerics.record_folder import record_folder
        from numerics.report.verdicts import show
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
    if item.qualification:
        yield from hanging("Holds        ", item.qualification, width)
    for number, one in enumerate(item.evidence, start=1):
        yield "", ""
        yield from evidence(number, one, width)
    yield "", ""
    yield from hanging("Repeat       ", f"tfixup verify --claims {claim.id} --verbose", width)
    if any(one.kind == "derivation" for one in item.evidence):
        yield from hanging("             ", f"tfixup derive {claim.id}", width)


def evidence(number: int, one: "Evidence", width: int) -> Iterator[tuple[str, str]]:
    """One check: what was tested and found, over which range, with which control."""
    from numerics.report.verdicts import hanging

    mark = {True: "passed", False: "failed", None: "undecided"}[one.passed]
    style = {True: "green", False: "red", None: "dim"}[one.passed]
    reading = f"{one.reading}: {one.reading_text}" if one.reading_text else str(one.reading)
    yield f"{number}. {one.kind}, {mark}", style
    yield from hanging("   tested    ", reading, width)
    yield from hanging("   found     ", one.summary, width)
    if one.interval is not None:
        low, high = one.interval
        told = f"{one.value} [{low:.4g}, {high:.4g}]"
        wanted = "" if one.expected is None else f", expected {one.expected}"
        within = "" if one.tolerance is None else f" ± {one.tolerance:g}"
        yield from hanging("   number    ", told + wanted + within, width)
    if one.scope:
        yield from hanging("   range     ", one.scope, width)
    if one.neighbourhood:
        yield from hanging("   tried over", f" {one.neighbourhood}", width)
    rejected = "rejected" if one.control.rejected else "NOT REJECTED"
    yield from hanging("   control   ", f"{one.control.description}: {rejected}", width)
    if one.source != "computed":
        yield from hanging("   source    ", one.source, width)
