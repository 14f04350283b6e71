"""Remembers the outcome of ``coqc`` on a file, so that an unchanged proof is not compiled again.

The key of an entry is a digest of everything on which the outcome depends: the version of ``coqc``,
the compiled files of Coquelicot (names and sizes), the file's text, and the digests of the files
that it requires. A change of any of these gives another entry. An entry whose own checksum does not
match is dropped. Outcomes that do not depend on the text alone, such as a time-out, are not kept.

The folder is ``$XDG_CACHE_HOME/tfixup/coq``, or ``~/.cache/tfixup/coq``. With ``TFIXUP_NO_CACHE=1``
nothing is read or written.
"""

import hashlib
import json
import os
import subprocess
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Compiled:
    """The outcome of ``coqc`` on one file."""

    succeeded: bool
    line: int
    """Line of the first error; 0 if there is no error, or none with a place."""
    problem: str
    output: str
    seconds: float
    """Duration of the compilation, also where the outcome was remembered."""

    @property
    def refused(self) -> bool:
        """Whether Coq found an error in the text, as opposed to being unable to look at it."""
        return not self.succeeded and self.line > 0

    @property
    def about_the_text(self) -> bool:
        """Whether the outcome would be the same again: a success, or an error with a place."""
        return self.succeeded or self.refused


def default_folder() -> Path | None:
    """The folder of remembered outcomes; ``None`` where the environment forbids it."""
    if os.environ.get("TFIXUP_NO_CACHE", "") not in ("", "0"):
        return None
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tfixup" / "coq"


@cache
def toolchain() -> str:
    """A digest of the prover: its full version and the compiled files of Coquelicot."""
    told = subprocess.run(["coqc", "--version"], capture_output=True, text=True, check=False)
    where = subprocess.run(["coqc", "-where"], capture_output=True, text=True, check=False)
    library = Path(where.stdout.strip()) / "user-contrib" / "Coquelicot"
    files = sorted(library.glob("*.vo")) if library.is_dir() else []
    listed = [f"{path.name}:{path.stat().st_size}" for path in files]
    return digest(told.stdout, *listed)


def digest(*texts: str) -> str:
    """One digest of several texts; it depends on the boundaries between them.

    Examples
    --------
    >>> digest("ab", "c") == digest("a", "bc")
    False
    """
    whole = hashlib.sha256()
    for text in texts:
        whole.update(f"{len(text)}:{text}".encode())
    return whole.hexdigest()


@dataclass(frozen=True)
class CompilationCache:
    """Outcomes remembered in one folder."""

    folder: Path

    def recall(self, key: str, compiled_file: Path) -> Compiled | None:
        """The outcome under ``key``, with its compiled file put in place; ``None`` if unknown."""
        entry, binary = self._paths(key)
        try:
            stored = json.loads(entry.read_text("utf-8"))
            found = Compiled(**stored["compiled"])
            content = binary.read_bytes() if found.succeeded else b""
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if stored["checksum"] != _checksum(found, content):
            entry.unlink(missing_ok=True)
            return None
        if found.succeeded:
            compiled_file.write_bytes(content)
        return found

    def keep(self, key: str, compiled: Compiled, compiled_file: Path) -> None:
        """Remember an outcome that depends on the text alone; an unwritable folder is no error."""
        if not compiled.about_the_text:
            return
        entry, binary = self._paths(key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            content = compiled_file.read_bytes() if compiled.succeeded else b""
            if compiled.succeeded:
                _replace(binary, content)
            told = {"compiled": asdict(compiled), "checksum": _checksum(compiled, content)}
            _replace(entry, json.dumps(told).encode())
        except OSError:
            return

    def _paths(self, key: str) -> tuple[Path, Path]:
        return self.folder / f"{key}.json", self.folder / f"{key}.vo"


def _checksum(compiled: Compiled, content: bytes) -> str:
    told = json.dumps(asdict(compiled), sort_keys=True)
    return digest(told, hashlib.sha256(content).hexdigest())


def _replace(path: Path, content: bytes) -> None:
    """Write a file atomically: readers see the old content or the new one."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)
