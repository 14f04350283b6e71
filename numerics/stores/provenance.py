"""Provenance: how a stored result came to be.

Every stored result carries the command, config, seed, versions, device, dtype, wall time and git
commit that made it.
"""

import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
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
        # Without its optional lock: one that a killed process leaves would block the user's git.
        ran = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(here), *words],
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout.strip()

    try:
        changed = "+changes" if git("status", "--porcelain", "--", ":/*.py") else ""
        return git("rev-parse", "HEAD") + changed
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def command_line() -> str:
    """The command of this process as a user would type it, not as the shell resolved it."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    if module is None or module.name == "tfixup.__main__":
        program = "tfixup" if module else Path(sys.argv[0]).name
    else:
        program = f"python -m {module.name}"
    return shlex.join([*program.split(), *sys.argv[1:]])
