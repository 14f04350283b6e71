"""Kill every long command at random moments and run it again: same bits, nothing in the way.

Run as ``python -m benchmarks.faults.kills``. A kill *lands* if the command was still running. Of
`KILLS` landed kills, most hit all processes of the command at once; the last `ALONE` hit its first
process alone, whose helpers must then end by themselves. After each kill the same command is run
again in the same folder. It must end with the same exit code, leave the same files with the same
content to the last bit (`fingerprint`), show no traceback, and leave no process and no other file.
The control runs the same campaign on a store that writes in place: it must fail.
"""

import argparse
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.faults.fingerprint import fingerprint
from benchmarks.faults.forks import Ran, import_everything, in_fork, session, start, trial_folder
from benchmarks.faults.long_commands import (
    COMMANDS,
    CONTROL,
    LongCommand,
    break_the_store,
    forget_moments,
)
from benchmarks.faults.record import FOLDER, record

KILLS = 20
"""Kills that must land, of each command."""
ALONE = 4
"""How many of these hit the first process alone."""
PATIENCE = 30.0
"""Seconds in which the helpers of a killed process must end."""
MOST = 4 * KILLS
"""Attempts after which a campaign gives up."""


@dataclass(frozen=True)
class Trial:
    """One kill that landed, and what the same command made of what it left."""

    at: float
    """Seconds from the start to the kill."""
    alone: bool
    faults: tuple[str, ...]
    """What is wrong, if anything."""
    temporary: int
    """Files that the killed processes left in the folder of temporary files."""


@dataclass(frozen=True)
class Campaign:
    """All kills of one command."""

    command: str
    words: str
    seconds: float
    """Of the undisturbed command."""
    attempts: int
    landed: int
    failed: int
    trials: tuple[Trial, ...]


def campaign(command: LongCommand, kills: int, alone: int, draw: random.Random) -> Campaign:
    """Kill ``command`` until ``kills`` have landed."""
    with trial_folder() as place:
        whole = place / "whole"
        undisturbed = start(command.words, whole, prepare=command.prepare).wait()
        if undisturbed.code not in (0, 1) or undisturbed.is_crash:
            raise SystemExit(f"{command.name} must work undisturbed:\n{undisturbed.err}")
        wanted = in_fork(fingerprint, whole / "work")
        trials: list[Trial] = []
        attempts, longest = 0, undisturbed.seconds
        while len(trials) < kills and attempts < MOST:
            folder = place / f"trial{attempts}"
            at = draw.uniform(0, longest)
            one = len(trials) >= kills - alone
            attempts += 1
            found = _trial(command, folder, at, one, undisturbed, wanted)
            if found is None:
                longest = at  # the command was done by then: the first run had been slower
            else:
                trials.append(found)
            shutil.rmtree(folder)
    failed = sum(bool(trial.faults) for trial in trials)
    told = " ".join(command.words)
    return Campaign(
        command.name, told, undisturbed.seconds, attempts, len(trials), failed, tuple(trials)
    )


def _trial(
    command: LongCommand, folder: Path, at: float, alone: bool, whole: Ran, wanted: dict[str, str]
) -> Trial | None:
    """One kill and the run after it; ``None`` if the command was done before the kill."""
    running = start(command.words, folder, prepare=command.prepare)
    time.sleep(max(0.0, running.started + at - time.monotonic()))
    if running.look() is not None:
        return None
    running.kill(alone=alone)
    running.wait()
    faults = []
    if orphans := _orphans(running.pid):
        faults.append(f"{orphans} processes live on")
        running.kill()
    left = sum(1 for _ in (folder / "tmp").iterdir())
    again = start(command.words, folder, prepare=command.prepare)
    ended = again.wait()
    if ended.code != whole.code:
        faults.append(f"exit {ended.code} for {whole.code}: {ended.err[-300:]}")
    if ended.is_crash:
        faults.append("a traceback")
    if _orphans(again.pid):
        faults.append("processes live on after the run")
        again.kill()
    faults += _compared(command, folder, wanted)
    if sum(1 for _ in (folder / "tmp").iterdir()) > left:
        faults.append("the run left temporary files")
    return Trial(at, alone, tuple(faults), left)


def _compared(command: LongCommand, folder: Path, wanted: dict[str, str]) -> list[str]:
    strange = {path.name for path in (folder / "work").iterdir()} - set(command.stored)
    faults = [f"left {name}" for name in sorted(strange)]
    try:
        found = in_fork(fingerprint, folder / "work")
    except RuntimeError as error:
        return [*faults, f"what is stored cannot be read: {error}"]
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            kind = "differs" if name in found and name in wanted else "is missing or left over"
            faults.append(f"{name} {kind}")
    return faults


def _orphans(leader: int) -> int:
    """Processes of a session that has lost its leader, after all patience."""
    until = time.monotonic() + PATIENCE
    while (living := len(session(leader))) and time.monotonic() < until:
        time.sleep(0.05)
    return living


def main() -> None:
    """Kill all commands, then those of the control, and record what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER / "kills.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--alone", type=int, default=ALONE)
    parser.add_argument("--commands", nargs="+", default=[one.name for one in COMMANDS])
    options = parser.parse_args()
    started = time.perf_counter()
    import_everything()
    draw = random.Random(options.seed)
    known = {one.name: one for one in (*COMMANDS, CONTROL)}
    config = {"kills": options.kills, "alone": options.alone, "commands": options.commands}
    found: list[Campaign] = []
    controls: list[Campaign] = []

    def note() -> None:
        content = {
            "landed": sum(one.landed for one in found),
            "failed": sum(one.failed for one in found),
            "controls_caught": sum(one.failed > 0 for one in controls),
            "commands": [asdict(one) for one in found],
            "controls": [asdict(one) for one in controls],
        }
        seconds = time.perf_counter() - started
        record(options.out, content, config=config, seed=options.seed, seconds=seconds)

    for name in options.commands:
        found.append(campaign(known[name], options.kills, options.alone, draw))
        print(_told(found[-1]), flush=True)
        note()
    controls_of = (
        (CONTROL, "a store that writes in place", break_the_store),
        (known["train"], "moments forgotten", forget_moments),
    )
    for one, what, plant in controls_of:
        broken = replace(one, name=f"{one.name}, {what}", prepare=plant)
        controls.append(campaign(broken, options.kills // 2, 0, draw))
        print("control: " + _told(controls[-1]), flush=True)
        note()
    short = [one.command for one in found if one.landed < options.kills]
    blind = [one.command for one in controls if not one.failed]
    if short or blind or any(one.failed for one in found):
        raise SystemExit(f"failed, or too few kills: {short}, or blind: {blind}")


def _told(one: Campaign) -> str:
    shown: Sequence[str] = sorted({fault for trial in one.trials for fault in trial.faults})
    return f"{one.command}: {one.landed} landed, {one.failed} failed {'; '.join(shown)[:600]}"


if __name__ == "__main__":
    main()
