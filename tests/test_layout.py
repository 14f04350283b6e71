"""A newcomer finds things: few rooms, files that can be read at once, names that mean one thing."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("tfixup", "theory", "proofs", "numerics")
LINES = 400


def rooms(package: Path) -> list[str]:
    """The modules and subpackages that stand directly in a package."""
    inside = [*package.glob("*.py"), *(path.parent for path in package.glob("*/__init__.py"))]
    return sorted(path.stem for path in inside if path.name != "__init__.py")


def long_files(paths: Iterable[Path]) -> list[str]:
    """The names of files with more lines than a reader takes in at once."""
    return [path.name for path in paths if len(path.read_text("utf-8").splitlines()) > LINES]


def defined(tree: ast.Module) -> Iterator[str]:
    """The public classes and type aliases of a module, which both are written InCapWords."""
    for node in tree.body:
        targets: list[ast.expr] = []
        if isinstance(node, ast.ClassDef):
            targets = [ast.Name(node.name)]
        elif isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        names = (target.id for target in targets if isinstance(target, ast.Name))
        yield from (name for name in names if re.fullmatch(r"[A-Z]\w*[a-z]\w*", name))


def repeated(paths: Iterable[Path]) -> dict[str, list[str]]:
    """The names that several modules define, with those modules."""
    homes: dict[str, list[str]] = {}
    for path in paths:
        for name in defined(ast.parse(path.read_text("utf-8"))):
            homes.setdefault(name, []).append(path.name)
    return {name: files for name, files in homes.items() if len(files) > 1}


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize(("package", "most"), [("theory", 14), ("proofs", 20), ("numerics", 20)])
def test_a_package_has_few_rooms(package, most):
    assert 1 < len(rooms(ROOT / package)) <= most


def test_no_file_is_too_long():
    paths = [*sources(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    assert long_files(paths) == []


def test_no_public_type_has_two_homes():
    assert len(sources()) > len(PACKAGES)
    assert repeated(sources()) == {}


def test_the_same_checks_find_what_is_planted(tmp_path):
    wing = tmp_path / "wing"
    wing.mkdir()
    (wing / "__init__.py").write_text("from wing import Alias as Alias\n")
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text("class Same: ...\nAlias = int | str\nLIMIT = 1\n" + "\n" * LINES)
    second.write_text("Same = dict[str, int]\nAlias: type = int\nLIMIT = 1\nclass Other: ...\n")
    assert rooms(tmp_path) == ["first", "second", "wing"]
    assert long_files([first, second]) == ["first.py"]
    found = ["first.py", "second.py"]
    assert repeated([wing / "__init__.py", first, second]) == {"Same": found, "Alias": found}
