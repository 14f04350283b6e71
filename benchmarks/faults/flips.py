"""Flip a byte in every kind of stored file: refused in one line, or the answer stays the same.

Run as ``python -m benchmarks.faults.flips``. A command that reads the file is run before and after
the flip. *Refused*: exit code 2 or 3, one line on standard error, and no traceback. *Unchanged*:
the same exit code, and the same output and stored files to the last bit, times apart. Everything
else fails. A checkpoint is read by a run that goes on from it; with an older one beside it, falling
back on that is unchanged too. The control reads the same files with the checksums switched off.
"""

import argparse
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.faults.fingerprint import fingerprint
from benchmarks.faults.forks import Ran, import_everything, in_fork, start, trial_folder
from benchmarks.faults.long_commands import SIZES, TRAINING, words
from benchmarks.faults.record import FOLDER, record
from numerics.stores import seals
from numerics.sweeps import shard, store
from numerics.training import checkpoint, loop, recorded

FLIPS = 16
"""Bytes flipped of each kind of file, each in a fresh copy."""
SWEEP = ("sweep", *SIZES, *words("--schemes tfixup,xavier --depths 1,2 --seeds 2 --workers 1"))
TRAIN = ("train", *TRAINING, *words("--steps 12 --checkpoint-every 3 --validate-every 6 --out out"))


@dataclass(frozen=True)
class Kind:
    """A kind of stored file, how it comes to be, and the command that reads it."""

    name: str
    file: str
    """A pattern below the working directory; the first match is damaged."""
    made_by: tuple[str, ...]
    read_by: tuple[str, ...]
    stopped: str = ""
    """``tasks`` or ``steps`` where the maker is stopped half-way, so that shards or only a
    checkpoint are left."""


SWEPT = (*SWEEP, "--no-progress", "--out", "out")
AUDIT = words("audit benchmarks.faults.stack:stack --recipe gpt2 --values 2 --json audit.json")
CHECK = words("check benchmarks.faults.stack:stack --values 1,2,3 --seeds 1 --optimizers sgd")
VERIFY = words("verify --claims tfixup.decoder-scale --workers 1 --json verdicts.json")
KINDS = (
    Kind("shard", "out/shards/*.parquet", SWEPT, SWEPT, "tasks"),
    Kind("merged rows", "out/rows.parquet", SWEPT, SWEPT),
    Kind("manifest", "out/manifest.json", SWEPT, SWEPT),
    Kind("checkpoint", "out/checkpoint.pt", TRAIN, TRAIN, "steps"),
    Kind("older checkpoint", "out/checkpoint-1.pt", TRAIN, TRAIN, "steps"),
    Kind("config", "out/config.json", TRAIN, TRAIN),
    Kind("outcome", "out/outcome.json", TRAIN, TRAIN),
    Kind("log", "out/log.parquet", TRAIN, words("plot out --out loss.svg")),
    Kind("provenance", "out/provenance.json", TRAIN, TRAIN),
    Kind("verdicts", "verdicts.json", VERIFY, words("verify --recorded verdicts.json --verbose")),
    Kind("audit", "audit.json", AUDIT, words("report audit.json --out page.html")),
    Kind("check", "out/check.json", (*CHECK, "--out", "out"), words("report out --out page.html")),
)


CONTROLLED = ("merged rows", "checkpoint", "verdicts", "check")
"""Kinds that the control reads: tables, weights and JSON."""


def _stop_half_way(kind: Kind) -> Callable[[], None]:
    """What stops the maker in its fork."""

    def plant() -> None:
        if kind.stopped == "tasks":
            store.SweepStore.complete = _interrupted  # type: ignore[method-assign]
        if kind.stopped == "steps":
            loop.judge = _interrupted

    return plant


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def without_checksums() -> None:
    """Switch the checksums off: the control, in which damage must be believed somewhere."""

    def believed(content: bytes) -> bytes:
        return content[: -seals._FOOTER]

    def accepted(*_: object) -> None:
        return None

    seals.check_object = store.check_object = accepted
    store.check_file = recorded.check_file = accepted
    checkpoint.opened = believed
    shard.CHECKSUM_LETTERS = 0


@dataclass(frozen=True)
class Flip:
    """One flipped bit, and what came of it."""

    kind: str
    file: str
    byte: int
    bit: int
    ended: str
    """``refused``, ``unchanged``, or what is wrong."""
    shown: str


def flip_all(kind: Kind, place: Path, count: int, draw: random.Random, control: bool) -> list[Flip]:
    """Flip ``count`` bits, one at a time."""
    whole = place / "whole"
    start(kind.made_by, whole, prepare=_stop_half_way(kind)).wait()
    (target,) = sorted((whole / "work").glob(kind.file))[:1] or [None]
    if target is None:
        raise SystemExit(f"{kind.name}: nothing matches {kind.file}")
    name, size = target.relative_to(whole), target.stat().st_size
    wanted, held = _read(kind, whole, place / "sound", False, None)
    found = []
    for number in range(count):
        byte, bit = draw.randrange(size), draw.randrange(8)
        folder = place / str(number)
        ran, stored = _read(kind, whole, folder, control, (name, byte, bit))
        ended = _ended(ran, stored, wanted, held, str(name.relative_to("work")))
        shutil.rmtree(folder)
        found.append(Flip(kind.name, str(name), byte, bit, ended, ran.err[-300:]))
    return found


def _read(
    kind: Kind, whole: Path, folder: Path, control: bool, at: tuple[Path, int, int] | None
) -> tuple[Ran, dict[str, str] | str]:
    """What the reading command does in a copy, and what is stored then, or why it is unreadable."""
    shutil.copytree(whole / "work", folder / "work")
    if at is not None:
        name, byte, bit = at
        content = bytearray((folder / name).read_bytes())
        content[byte] ^= 1 << bit
        (folder / name).write_bytes(content)
    ran = start(kind.read_by, folder, prepare=without_checksums if control else lambda: None).wait()
    try:
        return ran, in_fork(fingerprint, folder / "work")
    except RuntimeError as error:
        return ran, str(error)


def _ended(
    ran: Ran, stored: dict[str, str] | str, wanted: Ran, held: dict[str, str] | str, damaged: str
) -> str:
    if ran.is_crash or ran.code < 0:
        return "crashed"
    if ran.code in (2, 3):
        one_line = ran.err.strip().splitlines()[-1:]
        return "refused" if one_line and "error:" in one_line[0] else "refused without a line"
    if ran.code != wanted.code:
        return f"exit {ran.code} for {wanted.code}"
    if _timeless(ran.out) != _timeless(wanted.out):
        return "another answer"
    assert isinstance(held, dict)
    if not isinstance(stored, dict):
        return "unchanged"  # the damaged file itself cannot be read, and was not needed
    differ = {name for name in stored.keys() | held.keys() if stored.get(name) != held.get(name)}
    return "other files" if differ - {damaged} else "unchanged"


def _timeless(text: str) -> str:
    return re.sub(r"[\d.,]+ (s\b|minutes|tokens/s)|\d{4}-\d\d-\d\d \d\d:\d\d", "", text)


def main() -> None:
    """Flip bits in all kinds of files, with and without checksums, and record what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER / "flips.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--flips", type=int, default=FLIPS)
    options = parser.parse_args()
    started = time.perf_counter()
    import_everything()
    draw = random.Random(options.seed)
    found: list[Flip] = []
    control: list[Flip] = []
    for kind in KINDS:
        with trial_folder() as place:
            found += flip_all(kind, place, options.flips, draw, False)
        ends = Counter(flip.ended for flip in found if flip.kind == kind.name)
        print(f"{kind.name}: {dict(ends)}", flush=True)
    for kind in (one for one in KINDS if one.name in CONTROLLED):
        with trial_folder() as place:
            control += flip_all(kind, place, options.flips, draw, True)
    bad = [flip for flip in found if flip.ended not in ("refused", "unchanged")]
    seen = [flip for flip in control if flip.ended not in ("refused", "unchanged")]
    content = {
        "flips": len(found),
        "ends": dict(Counter(f"{flip.kind}: {flip.ended}" for flip in found)),
        "failed": len(bad),
        "control_flips": len(control),
        "control_believed": len(seen),
        "each": [asdict(flip) for flip in (*bad, *found)],
        "control": [asdict(flip) for flip in seen],
    }
    seconds = time.perf_counter() - started
    config = {"flips": options.flips, "kinds": [kind.name for kind in KINDS]}
    record(options.out, content, config=config, seed=options.seed, seconds=seconds)
    print(f"{len(found)} flips, {len(bad)} failed; control: {len(seen)} of {len(control)} believed")
    if bad or not seen:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
