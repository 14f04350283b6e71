"""The lower bounds of the dependencies are the versions that were tested."""

import json
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from benchmarks.versions import EXTRAS, PINNED, pinned

ROOT = Path(__file__).parent.parent


def bounds() -> dict[str, Version]:
    """The lower bound of every distribution that the tests at either end install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    words = [*project["dependencies"], *(w for e in ("train", "proofs") for w in optional[e])]
    asked = [Requirement(word) for word in words]
    return {one.name.lower(): Version(str(one.specifier).removeprefix(">=")) for one in asked}


def test_the_lower_bounds_are_the_oldest_versions_of_the_constraints():
    assert {"train", "proofs"} <= set(EXTRAS.split(","))
    assert bounds() == {name: Version(version) for name, version in pinned().items()}


def test_the_oldest_versions_passed():
    stored = json.loads((ROOT / "results" / "versions" / "oldest.json").read_text())
    assert stored["result"]["passed"]
    installed = stored["provenance"]["versions"]
    assert installed["python"].startswith("3.11.")
    # A local part, such as +cpu, names the build and not the version.
    assert {name: installed[name].partition("+")[0] for name in pinned()} == pinned()


def test_the_newest_versions_passed():
    stored = json.loads((ROOT / "results" / "versions" / "newest.json").read_text())
    assert stored["result"]["passed"]
    installed = stored["provenance"]["versions"]
    assert Version(installed["python"]) >= Version("3.13")
    for name, bound in bounds().items():
        assert Version(installed[name]) >= bound, name


def test_the_pinned_versions_passed_on_the_python_between():
    stored = json.loads((ROOT / "results" / "versions" / "pinned.json").read_text())
    assert stored["result"]["passed"]
    installed = stored["provenance"]["versions"]
    assert installed["python"].startswith("3.12.")
    # What is pinned for the documents and the tests alone is not installed there.
    pins = {name: version for name, version in pinned(PINNED).items() if name in installed}
    assert set(bounds()) <= set(pins)
    differs = {
        name: (version, installed[name])
        for name, version in pins.items()
        if installed[name].partition("+")[0] != version.partition("+")[0]
    }
    assert not differs
