"""``tfixup prove``: every theorem, its axioms, and whether altered versions are rejected."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from proofs.result import Result


@dataclass(frozen=True)
class Prove:
    """Check the theorems by machine: Coq, interval arithmetic, SMT solvers.

    What is not installed is skipped with a hint, and REQUIRE_COQ=1 makes a missing Coq an error.
    The exit code is 0 if every other statement was proved and every altered one rejected; with
    --kind coq and without Coq it is 1.
    """

    kind: str | None = None
    """coq, interval or smt; all of them unless given."""
    json: bool = False
    """Print everything as JSON, certificates included."""
    fresh: bool = False
    """Compile every Coq file again, also those whose outcome with this version of Coq is stored."""

    def run(self) -> int:
        """Check the theorems; exit with 0 if all are proved, 1 if not."""
        import time

        from rich.console import Console

        from numerics.report.verdicts import hanging, show
        from proofs import KINDS, hints, results
        from proofs import coqc as coq
        from theory.errors import nearest

        if self.kind is not None and self.kind not in KINDS:
            raise nearest(self.kind, KINDS, "kind")
        chosen = KINDS if self.kind is None else (self.kind,)
        start = time.perf_counter()
        with Console(stderr=True).status("proving"):
            found = tuple(item for kind in chosen for item in results(kind, fresh=self.fresh))
        seconds = time.perf_counter() - start
        skipped = coq.unusable() and not coq.required()
        # What needs no compiler, such as the comparison of formulas, is decided without Coq too.
        left = tuple(
            item for item in found if skipped and item.machine == "coq" and item.proved is None
        )
        counted = tuple(item for item in found if item not in left)
        asked = bool(counted) and not (left and self.kind == "coq")
        passed = asked and all(item.sound for item in counted)
        if self.json:
            _print_json(found, passed=passed, seconds=seconds)
        else:
            console = Console()
            show(console, lines(counted, console.width))
            if left:
                names = ", ".join(item.name for item in left)
                show(console, hanging(f"{len(left)} not checked: ", names, console.width, "yellow"))
            show(console, _summary(found, seconds, console.width))
        for line in hints():
            if self.kind is None or line.lower().startswith(self.kind):
                Console(stderr=True).print(line, soft_wrap=True)
        return 0 if passed else 1


def _print_json(found: "tuple[Result, ...]", *, passed: bool, seconds: float) -> None:
    import json
    from dataclasses import asdict

    from numerics.stores.files import jsonable
    from numerics.stores.provenance import commit, versions
    from proofs import versions as tools

    document = {
        "version": versions()["tfixup"],
        "environment": tools() | {"commit": commit()},
        "proved": passed,
        "seconds": seconds,
        "statements": [asdict(item) | {"sound": item.sound} for item in found],
    }
    print(json.dumps(jsonable(document), indent=1, allow_nan=False))


def outcome(item: "Result") -> str:
    """The outcome of one statement in a word or two."""
    if item.proved is None:
        return "not checked"
    if not item.proved:
        return "not proved"
    return "proved" if item.sound else "control kept"


def lines(found: "Iterable[Result]", width: int) -> "Iterator[tuple[str, str]]":
    """Each statement with its outcome, its axioms and its altered versions, and their styles."""
    from numerics.report.verdicts import hanging

    styles = {"proved": "green", "not checked": "yellow"}
    for item in found:
        rejected = sum(altered.rejected for altered in item.altered)
        word = outcome(item)
        told = f"{word} by {item.machine}, {rejected} of {len(item.altered)} altered rejected"
        if item.axioms:
            told += f", {len(item.axioms)} axioms"
        yield from hanging(
            f"{item.name}: ", f"{told}, {item.seconds:.1f} s", width, styles.get(word, "red")
        )
        yield from hanging("    ", item.statement, width)
        if item.problem:
            yield from hanging("    ", item.problem, width, "dim")


def _summary(
    found: "tuple[Result, ...]", seconds: float, width: int
) -> "Iterator[tuple[str, str]]":
    from numerics.report.verdicts import NO_BREAK, hanging

    altered = [item for result in found for item in result.altered]
    axioms = dict.fromkeys(axiom for result in found for axiom in result.axioms)
    yield from hanging(
        "",
        f"{len(found)} statements: {sum(item.proved is True for item in found)} proved, "
        f"{sum(item.proved is False for item in found)} not proved, "
        f"{sum(item.proved is None for item in found)} not checked; altered statements: "
        f"{sum(item.rejected for item in altered)} of {len(altered)} rejected; "
        f"{seconds:.0f}{NO_BREAK}s",
        width,
    )
    if axioms:
        names = ", ".join(axiom.rpartition(".")[2] for axiom in axioms)
        yield from hanging("axioms of the Coq theorems: ", names, width, "dim")
