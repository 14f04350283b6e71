"""Stored results: provenance, and writes that never leave half a file.

Every stored result carries the command, config, seed, versions, device, dtype, wall time and git
commit that made it.
"""

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Provenance:
    """How a stored result came to be."""

    command: str
    """The command that anyone can run to repeat it."""
    config: Mapping[str, object]
    """Every setting, resolved."""
    seed: int
    device: str
    dtype: str
    seconds: float
    """Wall time."""
    versions: Mapping[str, str]
    """Python and the libraries that the numbers depend on."""
    commit: str
    """Git commit of the code, with ``+changes`` if the tree differed, or ``unknown``."""
    created: str
    """UTC, ISO 8601."""


def provenance(
    *, command: str, config: object, seed: int, device: str, dtype: str, seconds: float
) -> Provenance:
    """Collect the provenance of a result made by the running process."""
    settings = asdict(config) if is_dataclass(config) and not isinstance(config, type) else config
    assert isinstance(settings, Mapping)
    return Provenance(
        command=command,
        config=dict(settings),
        seed=seed,
        device=device,
        dtype=dtype,
        seconds=seconds,
        versions=versions(),
        commit=commit(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def versions() -> dict[str, str]:
    """Versions of Python, this package and the libraries that numbers depend on."""
    names = ("tfixup", "torch", "numpy", "scipy", "sympy", "polars")
    found = {name: _version(name) for name in names}
    return {"python": platform.python_version(), **found, "machine": platform.machine()}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def commit() -> str:
    """Git commit of the source tree, ``unknown`` outside a checkout."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        ran = subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
        )
        return ran.stdout.strip()

    try:
        changed = "+changes" if git("status", "--porcelain", "--", "*.py") else ""
        return git("rev-parse", "HEAD") + changed
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def command_line() -> str:
    """The command of this process as a user would type it, not as the shell resolved it."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    program = Path(sys.argv[0]).name if module is None else f"python -m {module.name}"
    return shlex.join([*program.split(), *sys.argv[1:]])


@contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that replaces it only if the block succeeds.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with atomically(target) as path:
    ...     _ = path.write_text("whole")
    >>> target.read_text(), len(list(target.parent.iterdir()))
    ('whole', 1)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Write ``content`` as JSON, whole or not at all; NaN and infinities become strings."""
    with atomically(path) as temporary:
        temporary.write_text(json.dumps(jsonable(content), indent=1, allow_nan=False) + "\n")


def jsonable(value: object) -> object:
    """``value`` with dataclasses, paths and non-finite numbers made fit for strict JSON.

    Examples
    --------
    >>> jsonable({"a": float("inf"), "b": (1, Path("x"))})
    {'a': 'inf', 'b': [1, 'x']}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return jsonable(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
