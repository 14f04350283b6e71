"""CPU time of ``tfixup --help`` beyond that of an interpreter that does nothing.

Children's CPU time is read from the operating system, so that a busy machine does not count. The
goal is under half a second.
"""

import os
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from numerics.stores.files import write_json
from numerics.stores.provenance import command_line, provenance

HELP = "from numerics.cli.main import run; run(['--help'])"


@dataclass(frozen=True)
class Startup:
    """Medians in seconds of CPU time."""

    interpreter: float
    help: float
    beyond: float
    repeats: int


def cpu_seconds(code: str) -> float:
    """User and system time of a fresh interpreter that runs ``code``."""
    before = os.times()
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    user = after.children_user - before.children_user
    return user + after.children_system - before.children_system


def measure(repeats: int = 9) -> Startup:
    """Interleaved repeats, after one of each to fill the caches."""
    cpu_seconds("pass")
    cpu_seconds(HELP)
    pairs = [(cpu_seconds("pass"), cpu_seconds(HELP)) for _ in range(repeats)]
    bare = statistics.median(pair[0] for pair in pairs)
    full = statistics.median(pair[1] for pair in pairs)
    return Startup(bare, full, full - bare, repeats)


def main() -> None:
    found = measure()
    print(
        f"tfixup --help: {found.help:.2f} s of CPU time, the bare interpreter "
        f"{found.interpreter:.2f} s: {found.beyond:.2f} s beyond it (goal: under 0.5 s)"
    )
    record = provenance(
        command=command_line(),
        config={"repeats": found.repeats},
        seed=0,
        device="cpu",
        dtype="none",
        seconds=found.repeats * (found.help + found.interpreter),
    )
    path = Path("results/benchmarks/startup.json")
    write_json(path, {"result": asdict(found), "provenance": asdict(record)})


if __name__ == "__main__":
    main()
