"""Plant each fault of the table in a copy of the checkout and see whether the tests notice.

Run as ``python -m benchmarks.planted`` or ``make planted``. First the named tests of all faults run
unaltered, and all must pass. Then each fault is planted alone, and only its own tests run. It is
*caught* if the altered module was imported from the copy and the body of a named test failed: a
test that could not be collected or set up catches nothing. What happened goes to
``results/faults/planted.json``.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mutated_copy import ROOT, MutatedCopy, mutated_copy
from tests.faults.fault import Fault, planted
from tests.faults.table import FAULTS

PATIENCE = 120.0
"""Seconds that the tests of one fault may take."""


@dataclass(frozen=True)
class Caught:
    """What became of one fault."""

    name: str
    file: str
    old: str
    new: str
    caught: bool
    outcome: str
    """As `benchmarks.mutated_copy.Ran` has it."""
    imported: bool
    failed: tuple[str, ...]
    """The tests that noticed."""


def require_unaltered_pass(copy: MutatedCopy, faults: Sequence[Fault]) -> int:
    """Run the tests of all faults on the unaltered copy; how many passed.

    Raises
    ------
    SystemExit
        Unless every named test ran and passed.
    """
    tests = sorted({test for fault in faults for test in fault.tests})
    ran = copy.run(tests, seconds=1200, options=[], bytecode=True)
    if ran.outcome != "passed":
        raise SystemExit(f"unaltered, the tests must pass: {ran.outcome} {ran.failed}\n{ran.log}")
    return ran.passed


def plant(copy: MutatedCopy, fault: Fault) -> Caught:
    """Plant one fault and run its tests."""
    text = (copy.folder / fault.file).read_text("utf-8")
    with copy.altered(fault.file, planted(fault, text)):
        ran = copy.run(fault.tests, module=fault.file, seconds=PATIENCE)
    caught = ran.outcome == "failed" and ran.imported
    return Caught(
        fault.name, fault.file, fault.old, fault.new, caught, ran.outcome, ran.imported, ran.failed
    )


def main() -> None:
    """Plant all faults and record what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "faults" / "planted.json")
    options = parser.parse_args()
    start = time.perf_counter()
    with mutated_copy() as copy:
        passed = require_unaltered_pass(copy, FAULTS)
        print(f"{passed} tests pass unaltered", flush=True)
        found = []
        for fault in FAULTS:
            found.append(plant(copy, fault))
            told = "caught" if found[-1].caught else f"NOT CAUGHT ({found[-1].outcome})"
            print(f"{told}: {fault.name}", flush=True)
    _record(options.out, passed, found, time.perf_counter() - start)
    count = sum(one.caught for one in found)
    print(f"{count} of {len(found)} caught")
    if count < len(found):
        raise SystemExit(1)


def _record(target: Path, passed: int, found: Sequence[Caught], seconds: float) -> None:
    # Our own packages are imported here alone: the copy's tests import theirs.
    from numerics.stores.files import write_json
    from numerics.stores.provenance import command_line, provenance

    record = provenance(
        command=command_line(),
        config={"faults": len(found)},
        seed=0,
        device="cpu",
        dtype="none",
        seconds=seconds,
    )
    content = {
        "faults": len(found),
        "caught": sum(one.caught for one in found),
        "tests_that_pass_unaltered": passed,
        "each": [vars(one) for one in found],
        "provenance": record,
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    write_json(target, content)


if __name__ == "__main__":
    main()
