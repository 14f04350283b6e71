"""Fill the disk under every command that stores something: one line, nothing lost, and it goes on.

Run as ``python -m benchmarks.faults.full_disk``. A file that would grow beyond a limit ends in
``EFBIG`` (``RLIMIT_FSIZE`` with its signal ignored), which reaches the program on the same path as
``ENOSPC``, and needs no right to mount anything. Limits from nothing to the size of the largest
file are tried. Then the same command is given again without a limit: it must end as on an empty
disk, with the same bits. ``/dev/full``, whose every write ends in ``ENOSPC``, is tried as the
target of each option that names a file. The control is a store that writes in place.
"""

import argparse
import resource
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.faults.fingerprint import fingerprint
from benchmarks.faults.forks import Ran, import_everything, in_fork, start, trial_folder
from benchmarks.faults.long_commands import (
    COMMANDS,
    CONTROL,
    LongCommand,
    words,
    write_in_place,
)
from benchmarks.faults.record import FOLDER, record

ROOM = (0, 1, 200, 1_000, 4_000, 10_000, 20_000, 40_000, 100_000)
"""Bytes that a file may have."""
INTO_FULL = (
    words("verify --claims tfixup.decoder-scale --workers 1 --json /dev/full"),
    words("audit benchmarks.faults.stack:stack --recipe gpt2 --values 2 --json /dev/full"),
)


@dataclass(frozen=True)
class Trial:
    """One command on one full disk, and the same command with room."""

    command: str
    room: int
    """Bytes that a file might have; -1 for /dev/full."""
    code: int
    told: str
    faults: tuple[str, ...]


def limited(room: int, before: Callable[[], object]) -> Callable[[], None]:
    """What limits the size of files in a fork."""

    def prepare() -> None:
        before()
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))

    return prepare


def one_line(ran: Ran) -> list[str]:
    """What is wrong with how a command told that the disk is full."""
    told = [line for line in ran.err.splitlines() if line.startswith("tfixup: error:")]
    faults = []
    if ran.is_crash:
        faults.append("a traceback")
    if ran.code not in (2, 3) or len(told) != 1:
        faults.append(f"exit {ran.code} with {len(told)} lines of error")
    return faults


def trials(command: LongCommand, rooms: tuple[int, ...]) -> list[Trial]:
    """The command on disks of every size."""
    found = []
    with trial_folder() as place:
        whole = place / "whole"
        undisturbed = start(command.words, whole, prepare=command.prepare).wait()
        wanted = in_fork(fingerprint, whole / "work")
        largest = max(path.stat().st_size for path in (whole / "work").rglob("*") if path.is_file())
        for room in (room for room in rooms if room < largest):
            folder = place / str(room)
            full = start(command.words, folder, prepare=limited(room, command.prepare)).wait()
            faults = one_line(full) if full.code else []
            again = start(command.words, folder, prepare=command.prepare).wait()
            if again.code != undisturbed.code or again.is_crash:
                faults.append(f"with room: exit {again.code}: {again.err[-200:]}")
            try:
                if in_fork(fingerprint, folder / "work") != wanted:
                    faults.append("with room: other bits or other files")
            except RuntimeError as error:
                faults.append(f"with room: unreadable: {error}")
            shutil.rmtree(folder)
            found.append(Trial(command.name, room, full.code, full.err[-200:], tuple(faults)))
    return found


def into_full() -> list[Trial]:
    """Files that are devices without room: the work is shown all the same."""
    found = []
    with trial_folder() as place:
        for number, given in enumerate(INTO_FULL):
            ran = start(given, place / str(number)).wait()
            faults = one_line(ran)
            if not ran.out.strip():
                faults.append("the work is not shown")
            found.append(Trial(" ".join(given), -1, ran.code, ran.err[-200:], tuple(faults)))
    return found


def main() -> None:
    """Fill the disk under all commands, then under the control, and record what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER / "full_disk.json")
    parser.add_argument("--commands", nargs="+", default=["sweep", "train", "reproduce", "check"])
    options = parser.parse_args()
    started = time.perf_counter()
    import_everything()
    known = {one.name: one for one in COMMANDS}
    found: list[Trial] = []
    for name in options.commands:
        found += trials(known[name], ROOM)
        own = [trial for trial in found if trial.command == name]
        print(f"{name}: {len(own)} disks, {sum(bool(t.faults) for t in own)} failed", flush=True)
    found += into_full()
    broken = replace(CONTROL, name="sweep, broken store", prepare=write_in_place)
    control = trials(broken, (1_000, 4_000))
    bad = [trial for trial in found if trial.faults]
    content = {
        "disks": len(found),
        "full": sum(trial.code != 0 for trial in found),
        "failed": len(bad),
        "control_failed": sum(bool(trial.faults) for trial in control),
        "each": [asdict(trial) for trial in found],
        "control": [asdict(trial) for trial in control],
    }
    seconds = time.perf_counter() - started
    record(options.out, content, config={"rooms": ROOM}, seed=0, seconds=seconds)
    for trial in bad:
        print(trial)
    if bad or not content["control_failed"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
