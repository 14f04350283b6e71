"""Quick tests with the oldest, the pinned and the newest supported versions of every dependency.

Each set of versions gets a virtual environment of its own. The oldest is what
``constraints-oldest.txt`` pins, on the oldest Python; the lower bounds of ``pyproject.toml`` are
read from the same file. The pinned set is that of ``constraints.txt``, with which everything else
is tested, on the Python between. The newest is whatever the package index offers to the newest
Python. What passed is recorded with the versions that were installed.

Example: ``python -m benchmarks.versions --end oldest --python python3.11``
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from numerics.stores.files import write_json
from numerics.stores.provenance import command_line, commit

ROOT = Path(__file__).parent.parent
OLDEST = ROOT / "constraints-oldest.txt"
PINNED = ROOT / "constraints.txt"
BOUNDS = {
    "oldest": ("-c", str(OLDEST)),
    "pinned": ("-c", str(PINNED)),
    "newest": ("--upgrade",),
}
"""What tells pip the versions, by the name of the set."""
EXTRAS = "train,proofs,notebook"
TOOLS = ("beartype", "hypothesis", "pytest", "pytest-xdist")
"""What the tests need beside the package; the newest at either end."""
TESTS = (
    "tfixup",
    "tests/test_face.py",
    "tests/theory/test_claims.py",
    "tests/proofs/test_smt.py",
    "tests/numerics/linearization/test_autodiff.py",
    "tests/numerics/models/test_models.py",
    "tests/numerics/statistics",
    "tests/numerics/stores",
    "tests/numerics/sweeps/test_exponent_table.py",
    "tests/numerics/figures",
    "tests/numerics/cli/test_solve.py",
    "tests/numerics/training/test_optimizers.py",
)
"""SymPy's algebra and text, torch's derivatives, tracer and loop, polars' tables, figures, files.
The face's examples call every part of the package once."""
REPORT = """
import json, platform
from importlib import metadata
names = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in metadata.distributions()}
print(json.dumps({"python": platform.python_version()} | dict(sorted(names.items()))))
"""


def pinned(path: Path = OLDEST) -> dict[str, str]:
    """The version per distribution that a constraints file names.

    Examples
    --------
    >>> pinned()["sympy"]
    '1.14.0'
    """
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    pairs = (line.split("==") for line in lines if line)
    return {name.lower(): version for name, version in pairs}


def installed(home: Path, interpreter: str, end: str) -> Path:
    """The Python of a new environment in which the package and its tests run."""
    subprocess.run([interpreter, "-m", "venv", str(home)], check=True)
    python = home / "bin" / "python"
    words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", *BOUNDS[end]]
    subprocess.run([python, *words, "-e", f"{ROOT}[{EXTRAS}]", *TOOLS], check=True)
    return python


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--end", choices=tuple(BOUNDS), required=True)
    options.add_argument("--python", default=sys.executable, help="interpreter to test with")
    options.add_argument("--venv", type=Path, help="environment; made unless it is there")
    asked = options.parse_args()
    home = asked.venv or ROOT / "build" / f"versions-{asked.end}"
    python = home / "bin" / "python"
    if not python.exists():
        python = installed(home, asked.python, asked.end)
    start = time.perf_counter()
    words = ["-m", "pytest", "-q", "-n", "2", "-m", "not slow and not models and not chromium"]
    # The run-time check of shapes is left out: it serves the code, and old versions
    # of its plugin refuse packages that a folder's conftest has imported.
    words += ["-o", "addopts=--import-mode=importlib --doctest-modules", "-p", "no:cacheprovider"]
    # Old libraries call what their newer companions deprecate.
    words += ["-W", "ignore::DeprecationWarning"]
    ran = subprocess.run([python, *words, *TESTS], cwd=ROOT, capture_output=True, text=True)
    print(ran.stdout[-4000:], ran.stderr[-2000:])
    told = subprocess.run([python, "-c", REPORT], check=True, capture_output=True, text=True)
    versions = json.loads(told.stdout)
    result = {
        "passed": ran.returncode == 0,
        "outcome": (ran.stdout.strip() or "no output").splitlines()[-1],
        "tests": list(TESTS),
    }
    record = {
        "command": command_line(),
        "config": {"end": asked.end, "extras": EXTRAS},
        "seed": 0,
        "device": "cpu",
        "dtype": "none",
        "seconds": time.perf_counter() - start,
        "versions": versions,
        "commit": commit(),
    }
    write_json(
        ROOT / "results" / "versions" / f"{asked.end}.json",
        {"result": result, "provenance": record},
    )
    sys.exit(ran.returncode)


if __name__ == "__main__":
    main()
