"""A copy of the checkout in which one file at a time is altered and the tests are run.

The copy is made once. Its tests run in forks of one warm process (`benchmarks.warm_pytest`), each
of which imports our packages anew from the copy. An altered file is given another time stamp, so
that Python never takes the bytecode of the unaltered one for it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.warm_pytest import ANSWER

ROOT = Path(__file__).parents[1]
LINKED = ("results", "docs")
"""Folders that tests read and nothing here alters."""


@dataclass(frozen=True)
class Ran:
    """What the tests of one request said."""

    outcome: str
    """``passed``, ``failed``, ``broken``, ``timeout`` or ``crashed``."""
    failed: tuple[str, ...]
    """Tests whose body failed."""
    broken: tuple[str, ...]
    """What could not be collected or set up."""
    passed: int
    imported: bool
    """Whether the altered module was imported from the copy."""
    taken: float
    """Seconds."""
    seconds: dict[str, float]
    """Of each test that ran."""
    log: str
    """The end of what pytest printed."""
    lines: dict[str, dict[str, list[str]]]
    """Of each watched module, the tests that reach each line."""


class MutatedCopy:
    """A copy of the checkout and the warm process that runs its tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
        self._server = subprocess.Popen(
            [sys.executable, str(folder / "benchmarks" / "warm_pytest.py")],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, tests: Sequence[str], *, module: str | None = None, seconds: float = 120, **more: Any
    ) -> Ran:
        """Run some tests of the copy as it is now."""
        request = {"tests": [*tests], "module": module, "seconds": seconds, **more}
        pipe_in, pipe_out = self._server.stdin, self._server.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        print(json.dumps(request), file=pipe_in, flush=True)
        line = next(line for line in pipe_out if line.startswith(ANSWER))
        found = json.loads(line.removeprefix(ANSWER))
        return Ran(
            found["outcome"],
            tuple(found["failed"]),
            tuple(found["broken"]),
            found["passed"],
            found["imported"],
            found["taken"],
            found.get("seconds", {}),
            found["log"],
            found.get("lines", {}),
        )

    @contextmanager
    def altered(self, file: str, text: str) -> Iterator[None]:
        """Put another text in the place of one file's, until the block ends."""
        path = self.folder / file
        whole, times = path.read_bytes(), path.stat()
        path.write_text(text, encoding="utf-8")
        os.utime(path, (times.st_atime, times.st_mtime + 100))
        try:
            yield
        finally:
            path.write_bytes(whole)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def close(self) -> None:
        """End the warm process."""
        for pipe in (self._server.stdin, self._server.stdout):
            assert pipe is not None
            pipe.close()
        self._server.wait()


@contextmanager
def mutated_copy() -> Iterator[MutatedCopy]:
    """Copy the checkout as it stands to a temporary folder, for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="mutated-") as name:
        folder = Path(name).resolve()
        for file in _files():
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, target)
        for linked in LINKED:
            (folder / linked).symlink_to(ROOT / linked)
        copy = MutatedCopy(folder)
        try:
            yield copy
        finally:
            copy.close()


def _files() -> list[str]:
    """Every file of the checkout that version control knows or would take."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    files = [file for file in listed.split("\0") if file and (ROOT / file).is_file()]
    return [file for file in files if file.split("/")[0] not in LINKED]
