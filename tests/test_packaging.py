"""The packages' names, their import contracts, and what starting the command loads."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("theory", "proofs", "numerics")


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running ``code``."""
    report = (
        "import json, sys; print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(json.loads(ran.stdout.splitlines()[-1]))


def test_no_other_distribution_owns_our_package_names():
    owners = metadata.packages_distributions()
    for package in PACKAGES:
        assert set(owners.get(package, ["tfixup"])) == {"tfixup"}


def test_our_packages_are_the_ones_of_this_checkout():
    for package in PACKAGES:
        found = loaded_by(f"import {package}; assert {package}.__file__.startswith({str(ROOT)!r})")
        assert package in found


def test_theory_and_proofs_import_no_torch():
    loaded = loaded_by(
        "import theory, theory.arguments, theory.arguments.render, proofs.smt, proofs.intervals"
    )
    assert "sympy" in loaded
    assert "torch" not in loaded


HELP = """
from numerics.cli.main import run
try:
    run(['--help'])
except SystemExit as done:
    assert done.code == 0
"""


def test_help_imports_neither_torch_nor_sympy():
    heavy = {"torch", "sympy", "polars", "numpy", "scipy", "matplotlib", "z3", "flint"}
    assert not loaded_by(HELP) & heavy


def test_the_control_of_the_import_checks_sees_torch():
    assert "torch" in loaded_by("import numerics.models")


def test_imports_run_one_way():
    lint = pytest.importorskip("importlinter.cli")
    assert lint.lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


MODEL = ("attention", "history", "layers", "positions", "transformer", "wiring")
"""What computes in a model: all wirings and traits together are read in one sitting."""


def test_every_file_stays_readable():
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 400, path
    computes = (ROOT / "numerics/models" / f"{name}.py" for name in MODEL)
    assert sum(len(path.read_text().splitlines()) for path in computes) < 800


def test_the_classifier_that_keeps_the_names_off_the_index():
    assert '"Private :: Do Not Upload"' in (ROOT / "pyproject.toml").read_text()
