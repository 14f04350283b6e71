"""``tfixup verify``: the whole ledger, claim by claim, with verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console

    from theory.claims import Claim, Context, Verdict

NARROW = 72
"""Columns below which the bar leaves out the time that has passed, to cut nothing short."""


@dataclass(frozen=True)
class Verify:
    """Check every claim of the ledger and print the verdicts.

    A claim that turns out false is a result. The exit code is 1 only if a check could not be made
    or a negative control was not rejected.
    """

    level: Literal["quick", "full"] = "quick"
    """How much work: quick trains nothing and reads recorded runs."""
    claims: str = "*"
    """Which claims: ids or shell patterns, comma-separated, such as 'tfixup.eq*'."""
    format: Literal["summary", "table", "json", "markdown", "csv"] = "summary"
    """Summary: counts and what fails. Table: every claim. The others are for programs."""
    table: bool = False
    """The same as --format table."""
    verbose: bool = False
    """Show each check under the verdicts."""
    json: Path | None = None
    """Write everything to this file as JSON too; '-' prints it instead."""
    recorded: Path | None = None
    """Show the verdicts that an earlier --json wrote to this file, and compute nothing."""
    results: Path | None = None
    """Folder of recorded runs; beside the packages unless given."""
    rerun: bool = False
    """Repeat recorded training runs on the generated data instead of reading them."""
    seed: int = 0
    """Root of every random stream."""
    workers: int | None = None
    """Processes; one per core unless set."""

    def run(self) -> int:
        """Run the checks; exit with 0 if all could be made and every control was rejected."""
        import json
        import time

        from rich.console import Console

        from numerics.stores.files import jsonable, require_writable
        from numerics.stores.record_folder import BESIDE, record_folder
        from numerics.stores.seals import write_sealed
        from numerics.verify import as_document, from_document, selected
        from theory.claims import Context, Level

        self._check()
        chosen = selected(self.claims)
        to_screen = self.json == Path("-") or self.format == "json"
        if self.json is not None and self.json != Path("-"):
            require_writable(self.json)
        start = time.perf_counter()
        if self.recorded is not None:
            context, verdicts = from_document(self.recorded, chosen)
            told = f"recorded verdicts: {self.recorded}; nothing was computed"
        else:
            records = record_folder(self.results)
            context = Context(Level(self.level), self.seed, records.path, self.rerun)
            verdicts = self._computed(chosen, context)
            told = records.told
        seconds = time.perf_counter() - start
        # A stored document names the folder as it stands in the checkout, on whatever machine.
        stored = told.replace(f"{BESIDE.parent}/", "")
        document = as_document(verdicts, context) | {"records": stored}
        Console(stderr=True).print(told, style="dim", markup=False, soft_wrap=True)
        if to_screen:
            print(json.dumps(jsonable(document), indent=1, allow_nan=False))
        else:
            self._show(Console(), verdicts, seconds)
        if self.json is not None and self.json != Path("-"):
            write_sealed(self.json, document)
        return 0 if all(item.sound for item in verdicts) else 1

    def _check(self) -> None:
        """Raise for a seed out of range, or for an option that recorded verdicts do not read."""
        from theory.errors import InputError, require_within

        require_within(0, 2**63 - 1, seed=self.seed)
        if self.workers is not None:
            require_within(1, 1_000, workers=self.workers)
        if self.recorded is None:
            return
        for option, given in (
            ("--results", self.results is not None),
            ("--rerun", self.rerun),
            ("--seed", self.seed != Verify.seed),
            ("--level", self.level != Verify.level),
            ("--workers", self.workers is not None),
        ):
            if given:
                raise InputError(f"{option} is not read with --recorded, which computes nothing")

    def _computed(self, chosen: "tuple[Claim, ...]", context: "Context") -> "tuple[Verdict, ...]":
        """The verdicts; each as it is decided, the work and the time left go to standard error."""
        import os

        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        from numerics.report import verdicts as shown
        from numerics.verify import verify

        workers = (os.cpu_count() or 1) if self.workers is None else self.workers
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            *(() if console.width < NARROW else (TimeElapsedColumn(),)),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            line = bar.add_task("checking", total=None)

            def on_done(done: int, total: int, claims: Sequence[str]) -> None:
                bar.update(line, completed=done, total=total, description=f"{claims[0]:<24.24}")

            def on_decided(item: "Verdict") -> None:
                shown.show(bar.console, shown.decided(item, bar.console.width))

            return verify(chosen, context, workers=workers, on_done=on_done, on_decided=on_decided)

    def _show(self, console: "Console", verdicts: "tuple[Verdict, ...]", seconds: float) -> None:
        from numerics.report import verdicts as shown
        from proofs import hints

        if self.format == "markdown":
            print(shown.markdown(verdicts))
        elif self.format == "csv":
            print(shown.as_csv(verdicts))
        else:
            if self.table or self.format == "table":
                shown.show(console, shown.every_row(verdicts, console.width))
            if self.verbose:
                for item in verdicts:
                    for one in item.evidence:
                        told = f"{item.claim.id} "
                        shown.show(console, shown.hanging(told, shown.check(one), console.width))
            shown.show(console, shown.summary(verdicts, seconds, console.width))
            for hint in hints():
                shown.show(console, shown.hanging("", hint, console.width))
