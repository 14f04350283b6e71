"""Finds the folder of recorded runs, and tells ours from any other folder of the same name.

Records are read where the user says, or else beside the packages, as in a checkout, or else inside
the package, as after an installation from a wheel. Only where there are neither is ``results`` in
the working directory looked at. It is read only if it holds records of this tool: a record's
provenance names the version of ``tfixup`` that made it.
"""

import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from theory.errors import InputError

BESIDE = Path(__file__).parents[2] / "results"
"""Where a checkout keeps its records."""
INSIDE = Path(__file__).parents[2] / "tfixup" / "records"
"""Where a wheel keeps the same, without figures (``pyproject.toml`` maps the one to the other)."""
_PATTERNS = ("*/manifest.json", "manifest.json", "*/*/provenance.json", "*/provenance.json")
_LOOKED_AT = 20
"""Files that are opened before a folder counts as not ours."""


@dataclass(frozen=True)
class RecordFolder:
    """Where recorded runs are read, and why there."""

    path: Path
    """The folder; it does not exist where no records were found."""
    found: bool
    told: str
    """One line for the reader."""


def record_folder(asked: Path | None, here: Path = Path()) -> RecordFolder:
    """Choose the folder of recorded runs.

    Parameters
    ----------
    asked
        The folder that the user names.
    here
        The working directory.

    Raises
    ------
    InputError
        If the folder asked for is none, or holds no record of this tool.
    """
    if asked is not None:
        if not asked.is_dir():
            raise InputError(f"results must be a folder of recorded runs, got {asked}")
        if not is_ours(asked):
            raise InputError(f"results must hold runs that tfixup recorded, and {asked} has none")
        return RecordFolder(asked, True, f"recorded runs: {asked.resolve()}")
    if is_ours(BESIDE):
        return RecordFolder(BESIDE, True, f"recorded runs: {BESIDE}, beside the packages")
    if is_ours(INSIDE):
        return RecordFolder(INSIDE, True, f"recorded runs: {INSIDE}, part of the package")
    own = here / "results"
    if is_ours(own):
        return RecordFolder(own, True, f"recorded runs: {own.resolve()}, in the working directory")
    other = f"; {own.resolve()} holds none of this tool's" if own.is_dir() else ""
    return RecordFolder(
        BESIDE,
        False,
        f"no recorded runs: none beside the packages ({BESIDE}) or in them{other}; what rests on "
        "them has no evidence here; name a folder with --results",
    )


def is_ours(folder: Path) -> bool:
    """Whether a folder holds a record whose provenance names this tool.

    Examples
    --------
    >>> import tempfile
    >>> is_ours(Path(tempfile.mkdtemp()))
    False
    """
    if not folder.is_dir():
        return False
    paths = (path for pattern in _PATTERNS for path in sorted(folder.glob(pattern)))
    return any(_names_us(path) for path in islice(paths, _LOOKED_AT))


def _names_us(path: Path) -> bool:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(content, dict):
        return False
    if str(content.get("kind", "")).startswith("tfixup"):
        return True
    versions = content.get("versions")
    return isinstance(versions, dict) and "tfixup" in versions


def records() -> Path:
    """The folder of the runs that come with the project: sweeps and training runs by name.

    Raises
    ------
    InputError
        If there is none, as in a package that was built without them.

    Examples
    --------
    >>> (records() / "sweep" / "manifest.json").is_file()
    True
    """
    found = record_folder(None)
    if not found.found:
        raise InputError(found.told)
    return found.path
