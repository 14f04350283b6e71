"""``tfixup verify``: the whole ledger, claim by claim, with verdicts."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from theory.claims import Verdict

_STYLES = {
    "holds": "green",
    "holds-with": "yellow",
    "reproduced at this scale": "green",
    "not seen at this scale": "magenta",
    "fails": "red",
    "undecided": "dim",
}


@dataclass(frozen=True)
class Verify:
    """Check every claim of the ledger and print a verdict for each.

    A claim that turns out false is a result. The exit code is 1 only if a check could not be made
    or a negative control was not rejected.
    """

    level: Literal["quick", "full"] = "quick"
    """How much work: quick trains nothing and reads recorded runs."""
    claims: str = "*"
    """Which claims: ids or shell patterns, comma-separated, such as 'tfixup.eq*'."""
    json: Path | None = None
    """Write everything to this file as JSON; '-' prints it instead of the table."""
    results: Path | None = None
    """Folder of recorded runs; results in this folder, else beside the packages."""
    rerun: bool = False
    """Repeat recorded training runs on the generated data instead of reading them."""
    seed: int = 0
    """Root of every random stream."""
    workers: int | None = None
    """Processes; one a core unless set."""
    verbose: bool = False
    """Show each piece of evidence under its claim."""

    def run(self) -> int:
        """Run the checks; 0 if all could be made and every control was rejected."""
        import json
        import os
        import time

        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        from numerics.results import jsonable, write_json
        from numerics.verify import as_document, selected, verify
        from proofs import hints
        from theory.claims import Context, Level
        from theory.errors import require_positive

        workers = (os.cpu_count() or 1) if self.workers is None else self.workers
        require_positive(workers=workers)
        chosen = selected(self.claims)
        recorded = _recorded_results(self.results)
        context = Context(Level(self.level), self.seed, recorded, self.rerun)
        start = time.perf_counter()
        columns = (TextColumn("checking"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            line = bar.add_task("", total=None)
            verdicts = verify(
                chosen,
                context,
                workers=workers,
                on_done=lambda done, total: bar.update(line, completed=done, total=total),
            )
        seconds = time.perf_counter() - start
        if self.json == Path("-"):
            print(json.dumps(jsonable(as_document(verdicts, context)), indent=1, allow_nan=False))
        else:
            if self.json is not None:
                write_json(self.json, as_document(verdicts, context))
            _show(Console(), verdicts, seconds, verbose=self.verbose)
            for hint in hints():
                Console().print(hint, soft_wrap=True)
        return 0 if all(item.sound for item in verdicts) else 1


def _recorded_results(asked: Path | None) -> Path:
    from theory.errors import InputError

    if asked is None:
        here = Path("results")
        return here if here.is_dir() else Path(__file__).parents[2] / "results"
    if not asked.is_dir():
        raise InputError(f"results must be a folder of recorded runs, got {asked}")
    return asked


def _show(
    console: "Console", verdicts: "tuple[Verdict, ...]", seconds: float, *, verbose: bool
) -> None:
    from rich.markup import escape

    for paper in dict.fromkeys(item.claim.paper for item in verdicts):
        rows = [item for item in verdicts if item.claim.paper == paper]
        if decided := [row for row in rows if row.evidence]:
            console.print(table(paper, decided))
        if bare := [row.claim.id.partition(".")[2] for row in rows if not row.evidence]:
            console.print(f"[dim]no evidence yet: {', '.join(bare)}[/]")
    if verbose:
        for row in verdicts:
            for item in row.evidence:
                console.print(f"[bold]{row.claim.id}[/] ", escape(_line(item)), soft_wrap=True)
    counts = {name: sum(str(item.outcome) == name for item in verdicts) for name in _STYLES}
    evidence = [item for row in verdicts for item in row.evidence]
    rejected = sum(item.control.rejected for item in evidence)
    console.print(
        f"{len(verdicts)} claims: "
        + ", ".join(f"[{_STYLES[name]}]{count} {name}[/]" for name, count in counts.items())
        + f"; {len(evidence)} checks, {rejected} negative controls rejected; {seconds:.0f} s"
    )
    console.print(
        "[dim]D derivation, P proof, M measurement, T training; − a reading that fell, "
        "? undecided; --verbose shows each[/]"
    )
    for row in verdicts:
        for item in row.evidence:
            if not item.control.rejected:
                console.print(f"[red]{row.claim.id}: {escape(_line(item))}[/]")


def table(paper: str, rows: "list[Verdict]") -> "Table":
    """The verdicts of one paper; evidence kinds are D, P, M, T, a minus where a reading fell."""
    from rich.markup import escape
    from rich.table import Table

    shown = Table(title=f"{paper}: does it hold?", expand=True)
    shown.add_column("claim", no_wrap=True)
    shown.add_column("verdict", max_width=11)
    shown.add_column("evidence", max_width=11)
    shown.add_column("statement → with · repaired · missing", ratio=1)
    for row in rows:
        style = _STYLES[str(row.outcome)]
        finding = f"\n[{style}]→ {escape(row.qualification)}[/]" if row.qualification else ""
        shown.add_row(
            row.claim.id.partition(".")[2],
            f"[{style}]{row.outcome}[/]",
            " ".join(
                {True: "", False: "−", None: "?"}[item.passed] + item.kind[0].upper()
                for item in row.evidence
            ),
            escape(f"{row.claim.statement} ({row.claim.where})") + finding,
        )
    return shown


def _line(item: object) -> str:
    from theory.claims import Evidence

    assert isinstance(item, Evidence)
    mark = {True: "passed", False: "failed", None: "undecided"}[item.passed]
    source = "" if item.source == "computed" else f" [{item.source}]"
    control = "rejected" if item.control.rejected else "NOT REJECTED"
    return (
        f"{item.kind} {item.reading}, {mark}: {item.summary}{source}; "
        f"control ({item.control.description}): {control}"
    )
