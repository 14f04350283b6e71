"""One folder of results: whose it is, who may write to it, and what a killed process left there.

A folder is *new*, *ours* (its marker file is there), or somebody else's. A process that was killed
at its first file leaves only an unfinished marker; such a folder is new.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from numerics.stores.files import leftover_of, require_utf8
from theory.errors import InputError

_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENFILE, errno.EMFILE)
"""What keeps a folder from being made although its name is sound."""


@dataclass(frozen=True)
class ResultFolder:
    """A folder that holds one kind of result."""

    path: Path
    marker: str
    """Name of the file whose presence says that the folder is ours."""
    kind: str
    """What it holds, for messages: ``sweep``, ``run``."""
    files: tuple[str, ...]
    """Shell patterns of the names of the files that are written into it or its subfolders."""

    @property
    def is_ours(self) -> bool:
        """Whether the marker is there."""
        return (self.path / self.marker).exists()

    def require_usable(self) -> None:
        """Raise unless the folder is new, empty or ours; nothing is changed.

        Raises
        ------
        InputError
            If the path is a file, or a folder with other people's files and no marker.
        """
        self._require_folder()
        if not self.path.exists() or self.is_ours:
            return
        strangers = sorted(
            entry.name for entry in self.path.iterdir() if not self._is_leftover(entry)
        )
        if strangers:
            raise InputError(
                f"{self.path} must be a new folder or hold this very {self.kind}: "
                f"it has no {self.marker} and holds {strangers[0]}"
            )

    def _require_folder(self) -> None:
        require_utf8(self.path)
        if os.path.lexists(self.path) and not self.path.is_dir():
            raise InputError(f"the output must be a folder, got the file {self.path}")

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep other processes from writing, and remove what a killed one left unfinished.

        The lock is the kernel's, on the folder itself: a process that dies lets go of it. Folders
        that were made for it are removed again if nothing was written into them.

        Raises
        ------
        InputError
            If the path is a file, or another process writes to the folder.
        """
        self._require_folder()
        made = [one for one in (self.path, *self.path.parents) if not one.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in _OF_THE_MACHINE:
                raise
            raise InputError(f"cannot write to {self.path}: {error.strerror}") from None
        handle = os.open(self.path, os.O_RDONLY)
        try:
            self._lock(handle)
            for entry in self.path.rglob(".*.part"):
                if self._is_leftover(entry):
                    entry.unlink(missing_ok=True)
            yield
        finally:
            for one in made:
                with suppress(OSError):  # it holds something
                    one.rmdir()
            os.close(handle)

    def _lock(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"another {self.kind} is writing to {self.path}: wait for its end"
            ) from error
        except OSError as error:
            # Some network file systems have no locks. One writer at a time is then up to the user.
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise

    def _is_leftover(self, entry: Path) -> bool:
        """Whether a plain file is an unfinished one of ours, by the name that it was to have."""
        name = leftover_of(entry.name)
        known = name is not None and any(fnmatchcase(name, one) for one in self.files)
        return known and entry.is_file() and not entry.is_symlink()
