"""``tfixup report``: one HTML page about runs, to read, to filter, to print and to send on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from theory.errors import InputError


@dataclass(frozen=True)
class Report:
    """Write one HTML page about verdicts and runs; it needs no network and no other file.

    It has a summary, then a card per claim, per optimizer of a checked model, per audited model,
    per pair of scheme and optimizer of a sweep, per training run and per experiment.
    """

    runs: Positional[Annotated[tuple[Path, ...], arg(metavar="RUN…", help_behavior_hint="")]]
    """JSON files of verify, check or audit; folders of check, sweep, train or reproduce."""
    out: Path = Path("report.html")
    """The HTML file to write."""
    against: Path | None = None
    """An earlier run of the same kind as one of them; the page says what changed since."""

    def run(self) -> int:
        """Read every run, compare, and write the page whole or not at all."""
        from datetime import UTC, datetime

        from numerics.report.changes import changes
        from numerics.report.page import render
        from numerics.report.readers import read_run
        from numerics.stores.files import atomically, require_writable
        from numerics.stores.provenance import versions

        self._check()
        require_writable(self.out)
        runs = [read_run(path, place) for place, path in enumerate(self.runs)]
        changed = None
        if self.against is not None:
            changed = changes(read_run(self.against, len(runs)), runs)
        made = f"Made by tfixup {versions()['tfixup']}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
        page = render(runs, changed, made=made)
        with atomically(self.out) as path:
            path.write_text(page, encoding="utf-8")
        cards = sum(len(run.cards) for run in runs)
        turned = "" if changed is None else f", {_turned(changed.found)} changed"
        print(f"{self.out}: {cards} verdict{'' if cards == 1 else 's'}{turned}")
        return 0

    def _check(self) -> None:
        from numerics.stores.files import resolved

        if not self.runs:
            raise InputError("report needs at least one run, got none")
        places = [resolved(path) for path in self.runs]
        for path, place in zip(self.runs, places, strict=True):
            if places.count(place) > 1:
                raise InputError(f"every run must be named once, got {path} twice")
        read = [*places, *([resolved(self.against)] if self.against else [])]
        if resolved(self.out) in read:
            raise InputError(f"out must not be a file that is read, got {self.out}")


def _turned(found: "tuple") -> int:
    return sum(change.kind == "verdict" for change in found)
