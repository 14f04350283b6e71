"""Runs command lines in forks of one process that has imported everything.

Starting the interpreter and importing torch costs seconds, a fork costs milliseconds. A fork leads
a session of its own, so that all processes of one command line can be found, watched and killed.
The parent must never compute with torch or Polars: their threads do not survive a fork. What needs
them runs in a fork of its own (`in_fork`).
"""

import atexit
import importlib
import os
import pickle
import pkgutil
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from numerics.cli import main

R = TypeVar("R")
PAGE = os.sysconf("SC_PAGE_SIZE")
POLL = 0.01
"""Seconds between two looks at what runs."""
LEFT_OUT = ("lightning_watch", "trainer_watch", "__main__")
"""Modules that need an extra, or that run at import."""


def import_everything() -> None:
    """Import every module of the packages, and the libraries that they import on demand."""
    for name in ("theory", "proofs", "numerics"):
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not found.name.endswith(LEFT_OUT):
                importlib.import_module(found.name)
    for name in ("distributed", "sentencepiece", "sacrebleu", "lightning_fabric", "flint", "z3"):
        importlib.import_module(name)


@dataclass(frozen=True)
class Limits:
    """What a command line may take before it is stopped."""

    seconds: float = 600.0
    memory: int = 2**40
    """Bytes of resident memory of all its processes together."""


@dataclass(frozen=True)
class Ran:
    """What became of a command line."""

    words: tuple[str, ...]
    code: int
    """Exit code; negative for the signal that ended it, as in `subprocess`."""
    out: str
    err: str
    seconds: float
    memory: int
    """Largest resident memory seen, in bytes, of all its processes together."""
    stopped: str
    """``time`` or ``memory`` if a limit ended it, ``killed`` if `Running.kill` did, or empty."""

    @property
    def is_crash(self) -> bool:
        """Whether the program itself failed: a traceback, a fault it admits, or a strange code."""
        shown = self.out + self.err
        told = "Traceback (most recent call last)" in shown or "a fault of this program" in shown
        return not self.stopped and (told or self.code not in (0, 1, 2, 3, 130))


@dataclass
class Running:
    """A command line that runs in a fork of its own."""

    words: tuple[str, ...]
    folder: Path
    pid: int
    limits: Limits
    started: float = field(default_factory=time.monotonic)
    pipes: tuple[int, int] = (-1, -1)
    """Read ends of what it prints: pipes, since a limit on the size of files must not hit them."""
    printed: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))
    stopped: str = ""
    memory: int = 0
    looked: float = 0.0

    def look(self) -> Ran | None:
        """What became of it, or ``None`` while it runs; stops it beyond its limits."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        now = time.monotonic()
        self._drain()
        if not pid:
            if now - self.looked > 10 * POLL:
                self.looked = now
                self.memory = max(self.memory, sum(map(resident, session(self.pid))))
                if self.memory > self.limits.memory:
                    self.kill("memory")
                elif now - self.started > self.limits.seconds:
                    self.kill("time")
            return None
        for pipe in self.pipes:
            os.close(pipe)
        out, err = (part.decode(errors="replace") for part in self.printed)
        code = os.waitstatus_to_exitcode(status)
        return Ran(self.words, code, out, err, now - self.started, self.memory, self.stopped)

    def _drain(self) -> None:
        for pipe, part in zip(self.pipes, self.printed, strict=True):
            with suppress(BlockingIOError):
                while read := os.read(pipe, 1 << 16):
                    part += read

    def kill(self, reason: str = "killed", *, alone: bool = False) -> None:
        """SIGKILL to all processes of the session, or to the leader ``alone``."""
        self.stopped = reason
        for pid in [self.pid] if alone else [self.pid, *session(self.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def wait(self) -> Ran:
        """What becomes of it."""
        while (found := self.look()) is None:
            time.sleep(POLL)
        return found


@contextmanager
def trial_folder() -> Iterator[Path]:
    """A folder for trials, removed by the parent alone: `tempfile`'s own ends with every fork."""
    place = Path(tempfile.mkdtemp(prefix="tfixup-faults-"))
    owner = os.getpid()
    try:
        yield place
    finally:
        if os.getpid() == owner:
            shutil.rmtree(place, ignore_errors=True)


def start(
    words: Sequence[str],
    folder: Path,
    *,
    limits: Limits | None = None,
    prepare: Callable[[], object] = lambda: None,
) -> Running:
    """Run ``tfixup WORDS`` in a fork.

    Parameters
    ----------
    words
        The words after ``tfixup``.
    folder
        Holds ``work``, its working directory, and ``tmp``, its folder of temporary files; made
        where it is missing.
    limits
        When it is stopped.
    prepare
        Called in the fork first, as to plant a fault.
    """
    for name in ("work", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    (out, to_out), (err, to_err) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid:
        for pipe in (out, err):
            os.set_blocking(pipe, False)
        for pipe in (to_out, to_err):
            os.close(pipe)
        return Running(tuple(words), folder, pid, limits or Limits(), pipes=(out, err))
    code = 70
    try:
        _become(folder, words, to_out, to_err)
        prepare()
        code = _code(words)
    finally:
        # Not `sys.exit`: what the parent has still to do is not the fork's.
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                code = code or 120
        os._exit(code)


def _become(folder: Path, words: Sequence[str], out: int, err: int) -> None:
    os.setsid()
    os.chdir(folder / "work")
    os.environ["TMPDIR"] = str(folder / "tmp")
    os.environ["COLUMNS"] = "100"
    # Workers that are spawned import the parent's main module; the command itself has a light one.
    sys.modules["__main__"] = ModuleType("__main__")
    sys.argv = ["tfixup", *words]
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(source, target)
        os.close(source)


def _code(words: Sequence[str]) -> int:
    """The exit code as the interpreter would have it, with a traceback for what escapes."""
    try:
        return main.run(list(words))
    except SystemExit as left:
        if left.code is None or isinstance(left.code, int):
            return left.code or 0
        print(left.code, file=sys.stderr)
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        return 1


def in_fork(function: Callable[..., R], *arguments: Any) -> R:
    """``function(*arguments)``, computed in a fork.

    Raises
    ------
    RuntimeError
        If it raised; the message is what it raised.
    """
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(read)
        try:
            content: Any = (True, function(*arguments))
        except BaseException as error:
            content = (False, repr(error))
        with os.fdopen(write, "wb") as pipe:
            pickle.dump(content, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        done, value = pickle.load(pipe)
    os.waitpid(pid, 0)
    if not done:
        raise RuntimeError(value)
    return value


def session(leader: int) -> list[int]:
    """The living processes of a session, without zombies."""
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal():
            continue
        try:
            fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == leader and fields[0] not in "ZX":
            found.append(int(entry.name))
    return found


def resident(pid: int) -> int:
    """Resident bytes of a process; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:
        return 0
