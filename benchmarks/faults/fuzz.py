"""Give the command nonsense by the thousand: no traceback, no runaway, no nonsense taken.

Run as ``python -m benchmarks.faults.fuzz``. Command lines are drawn from `grammar`, a list per
seed. Besides, every value of the grammar's nonsense is tried alone, once. A line fails if it ends
in a traceback or an admitted fault, if it takes more than `LIMITS`, or if it holds a nonsense value
and does not exit with code 2. The controls are lines in which the command was broken on purpose.
"""

import argparse
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.faults import forks
from benchmarks.faults.grammar import GRAMMARS, WEIGHTS, Grammar, Option
from benchmarks.faults.long_commands import SIZES, TRAINING, tiny_experiments, words
from benchmarks.faults.record import FOLDER, record
from numerics.cli.solve import Solve

LINES = 2_000
"""Command lines per seed."""
LIMITS = forks.Limits(seconds=60, memory=4 * 2**30)
SHOWN = 400
"""Letters that the record keeps of what a failed line printed."""


@dataclass(frozen=True)
class Line:
    """A command line, and whether one of its values must be refused."""

    words: tuple[str, ...]
    nonsense: str
    """The option whose value is nonsense, or empty."""


@dataclass(frozen=True)
class Failure:
    """A command line that did what none may do."""

    words: str
    kind: str
    """``traceback``, ``time``, ``memory``, or ``accepted``."""
    code: int
    shown: str


def drawn(seed: int, count: int) -> Iterator[Line]:
    """``count`` command lines of a seed."""
    draw = random.Random(seed)
    for grammar in draw.choices(GRAMMARS, WEIGHTS, k=count):
        yield _line(grammar, draw)


def _line(grammar: Grammar, draw: random.Random) -> Line:
    most = len(grammar.options)
    chosen = draw.sample(sorted(grammar.options), min(most, draw.choice((0, 1, 1, 2, 3, 5))))
    given = {name: _value(grammar.options[name], draw) for name in chosen}
    found = list(grammar.base)
    nonsense = ""
    for name, (value, bad) in given.items():
        found += [f"{name}={value}"]
        nonsense = nonsense or (name if bad else "")
    for flag in grammar.flags:
        if draw.random() < 0.1:
            found.append(flag)
    if grammar.place != Option():
        value, bad = _value(grammar.place, draw)
        found.insert(1, value)
        nonsense = nonsense or ("the argument" if bad else "")
    return Line(tuple(found), nonsense)


def _value(option: Option, draw: random.Random) -> tuple[str, bool]:
    """A value, and whether it must be refused."""
    kinds = [kind for kind in (option.good, option.nonsense, option.odd) if kind]
    kind = draw.choices(kinds, [3 if kind is option.good else 2 for kind in kinds])[0]
    return draw.choice(kind), kind is option.nonsense


def alone() -> list[Line]:
    """Every nonsense value in a command line that is good otherwise."""
    lines = []
    for grammar in GRAMMARS:
        place = [grammar.place.good[0]] if grammar.place.good else []
        head, tail = grammar.base[:1], grammar.base[1:]
        for name, option in grammar.options.items():
            for value in option.nonsense:
                lines.append(Line((*head, *place, *tail, f"{name}={value}"), name))
        lines += [Line((*head, value, *tail), "the argument") for value in grammar.place.nonsense]
    return lines


def judged(line: Line, ran: forks.Ran) -> Failure | None:
    """What is wrong with what a command line did."""
    kind = ran.stopped
    if not kind and ran.is_crash and not _asked_for(line, ran):
        kind = "traceback"
    if not kind and line.nonsense and ran.code != 2:
        kind = "accepted"
    if not kind:
        return None
    told = " ".join(word if word.isprintable() and word else repr(word) for word in line.words)
    shown = (ran.err or ran.out)[-SHOWN:].encode(errors="replace").decode()
    return Failure(told[:SHOWN].encode(errors="replace").decode(), kind, ran.code, shown)


def _asked_for(line: Line, ran: forks.Ran) -> bool:
    """Whether the traceback is the one of the user's own code that ``--traceback`` shows."""
    admitted = "a fault of this program" in ran.out + ran.err
    return "--traceback" in line.words and ran.code == 2 and not admitted


class Ground:
    """The folder in which each line runs: finished results, and files of every odd kind."""

    def __init__(self, place: Path) -> None:
        self.place, self.whole = place, place / "whole"
        small = words("--depths 1,2 --seeds 1 --workers 1 --schemes tfixup --no-progress")
        for given in (
            ("sweep", *SIZES, *small, "--out", "swept"),
            ("train", *TRAINING, "--steps", "3", "--out", "trained"),
            words("verify --claims tfixup.decoder-scale --workers 1 --json verdicts.json"),
        ):
            ran = forks.start(given, self.whole).wait()
            if ran.code:
                raise SystemExit(f"the ground must be sound: {' '.join(given)}: {ran.err}")
        self._odd_files(self.whole / "work")

    def _odd_files(self, work: Path) -> None:
        (work / "plain").write_text("text\n")
        (work / "empty.json").touch()
        (work / "torn.json").write_text((work / "verdicts.json").read_text()[:500])
        (work / "list.json").write_text("[1, 2]")
        (work / "deep.json").write_text("[" * 100_000)
        (work / "folder").mkdir()
        (work / "folder" / "thesis.txt").write_text("chapter 1\n")
        (work / "locked").mkdir(0o500)
        (work / "dangling").symlink_to("nowhere")
        (work / "loop").symlink_to("loop")

    def new(self, number: int) -> Path:
        """A folder for one line."""
        folder = self.place / str(number)
        shutil.copytree(self.whole / "work", folder / "work", symlinks=True)
        os.mkfifo(folder / "work" / "fifo")
        return folder


@dataclass
class _Lane:
    line: Line
    running: forks.Running
    fifo: int
    """Read end of the folder's FIFO: someone reads what is written into it."""

    def look(self) -> forks.Ran | None:
        with suppress(BlockingIOError):
            os.read(self.fifo, 1 << 20)
        return self.running.look()


def run_all(lines: Sequence[Line], ground: Ground, lanes: int) -> Iterator[tuple[Line, forks.Ran]]:
    """Every line with what became of it, ``lanes`` at a time."""
    waiting = list(enumerate(lines))[::-1]
    busy: list[_Lane] = []
    while waiting or busy:
        while waiting and len(busy) < lanes:
            number, line = waiting.pop()
            folder = ground.new(number)
            fifo = os.open(folder / "work" / "fifo", os.O_RDONLY | os.O_NONBLOCK)
            given = [_typed(word) for word in line.words]
            running = forks.start(given, folder, limits=LIMITS, prepare=tiny_experiments)
            busy.append(_Lane(line, running, fifo))
        for lane in list(busy):
            ran = lane.look()
            if ran is not None:
                busy.remove(lane)
                os.close(lane.fifo)
                lane.running.kill()
                shutil.rmtree(lane.running.folder, ignore_errors=True)
                yield lane.line, ran
        time.sleep(forks.POLL)


def _typed(word: str) -> str:
    """As the interpreter hands a word over: NUL cannot be typed."""
    return word.replace("\0", "")


def controls(ground: Ground) -> dict[str, bool]:
    """Whether the three kinds of failure are seen where they were planted."""

    def planted(number: int, body: str, limits: forks.Limits) -> Failure | None:
        def fail(_: Solve) -> int:
            if body == "traceback":
                raise ZeroDivisionError("planted")
            kept = []
            while body in ("time", "memory"):
                kept.append(b"x" * 20_000_000 if body == "memory" else b"")
                time.sleep(0.01)
            return 0

        def plant() -> None:
            setattr(Solve, "run", fail)  # noqa: B010 - a planted method, unknown to the type

        given = ("solve", "--layers", "6")
        folder = ground.new(10**6 + number)
        ran = forks.start(given, folder, limits=limits, prepare=plant).wait()
        return judged(Line(given, "--layers" if body == "accepted" else ""), ran)

    tight = forks.Limits(seconds=10, memory=2**30)
    kinds = ("traceback", "time", "memory", "accepted")
    found = {kind: planted(number, kind, tight) for number, kind in enumerate(kinds)}
    return {kind: one is not None and one.kind == kind for kind, one in found.items()}


def main() -> None:
    """Run the controls, the nonsense alone, and the drawn lines of every seed; record all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER / "fuzz.json")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--skip-alone", action="store_true")
    options = parser.parse_args()
    started = time.perf_counter()
    forks.import_everything()
    results = {}
    with forks.trial_folder() as place:
        ground = Ground(place)
        caught = controls(ground)
        print(f"controls caught: {caught}", flush=True)
        lists = {} if options.skip_alone else {"every nonsense value alone": alone()}
        lists |= {f"seed {seed}": list(drawn(seed, options.lines)) for seed in options.seeds}
        for name, lines in lists.items():
            codes: Counter[str] = Counter()
            failures, longest, largest = [], 0.0, 0
            for line, ran in run_all(lines, ground, options.lanes):
                codes[ran.stopped or f"exit {ran.code}"] += 1
                longest, largest = max(longest, ran.seconds), max(largest, ran.memory)
                if (failure := judged(line, ran)) is not None:
                    failures.append(failure)
                    print(f"{failure.kind}: {failure.words[:300]}\n   {failure.shown}", flush=True)
            kinds = Counter(failure.kind for failure in failures)
            results[name] = {
                "lines": len(lines),
                "with_nonsense": sum(bool(line.nonsense) for line in lines),
                "ends": dict(sorted(codes.items())),
                "failures": {k: kinds[k] for k in ("traceback", "time", "memory", "accepted")},
                "longest_seconds": longest,
                "largest_mebibytes": largest / 2**20,
                "failed": [asdict(one) for one in failures],
            }
            print(f"{name}: {len(lines)} lines, {dict(codes)}, failed {dict(kinds)}", flush=True)
            record(
                options.out,
                {"controls_caught": caught, "limits": asdict(LIMITS), "lists": results},
                config={"seeds": options.seeds, "lines": options.lines},
                seed=min(options.seeds, default=0),
                seconds=time.perf_counter() - started,
            )
    if not all(caught.values()) or any(one["failed"] for one in results.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
