"""No circle of imports, whether at the top of a module, inside a function or for types alone."""

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest


def circle(*packages: str) -> list[str]:
    """The modules of a circle, each imported by the one before; empty where there is none."""
    graph = grimp.build_graph(*packages, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as found:
        return found.args[1]
    return []


def test_the_packages_have_no_circle():
    assert circle("tfixup", "theory", "proofs", "numerics") == []


TOP = "from {package}.first import x\n"
LAZY = "def f():\n    from {package}.first import x\n    return x\n"
TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {package}.first import x\n"


@pytest.mark.parametrize(
    ("package", "text"), [("circle_top", TOP), ("circle_lazy", LAZY), ("circle_types", TYPES)]
)
def test_a_circle_is_found_through_every_kind_of_import(tmp_path, monkeypatch, package, text):
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "first.py").write_text(f"from {package}.second import y\nx = y\n")
    (folder / "second.py").write_text("y = 1\n")
    (folder / "third.py").write_text(text.format(package=package))
    monkeypatch.syspath_prepend(tmp_path)
    assert circle(package) == []
    (folder / "second.py").write_text("y = 1\n" + text.format(package=package))
    assert set(circle(package)) == {f"{package}.first", f"{package}.second"}
