"""Every dependency is pinned, installed as pinned, under a licence that is allowed."""

import dataclasses

import pytest

from tests.dependency_audit import (
    CONSTRAINTS,
    KNOWN_BAD,
    Installed,
    faults,
    installed,
    is_allowed,
    needed,
    pins,
)


def test_the_environment_is_the_one_that_is_pinned():
    pinned = pins(CONSTRAINTS.read_text("utf-8"))
    names = needed("tfixup")
    assert {"torch", "sympy", "polars", "tyro"} <= names
    there = installed(sorted(names | pinned.keys()))
    assert len(there) > len(names) // 2
    assert faults(pinned, there) == []


GOOD = Installed("one", "1.2.3", ("MIT",))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": "1.2.4"}, "is 1.2.4 and pinned to 1.2.3"),
        ({"name": "two"}, "two is needed and not pinned"),
        ({"licences": ("AGPL-3.0-only",)}, "AGPL"),
        ({"licences": ("GPL-3.0-or-later",)}, "GPL"),
        ({"licences": ("Proprietary",)}, "Proprietary"),
        ({"licences": ("MIT AND SSPL-1.0",)}, "SSPL"),
        ({"licences": ()}, "none"),
    ],
)
def test_what_is_wrong_is_named(change, told):
    assert faults({"one": "1.2.3"}, [GOOD]) == []
    (found,) = faults({"one": "1.2.3"}, [dataclasses.replace(GOOD, **change)])
    assert told in found


def test_a_line_without_a_version_and_a_release_with_a_known_fault_are_named():
    pinned = pins("# comment\none\nTorch==2.5.0  # old\n")
    assert pinned == {"one": "", "torch": "2.5.0"}
    assert faults(pinned, []) == ["one has no exact pin", "torch 2.5.0 has a known fault"]
    assert all(releases for releases in KNOWN_BAD.values())


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("Apache-2.0 OR BSD-3-Clause", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND LGPL-3.0-or-later", True),
        ("GNU Library or Lesser General Public License (LGPL)", True),
        ("GNU General Public License v3 (GPLv3)", False),
        ("Commit licence", False),
        ("", False),
    ],
)
def test_licences(licence, allowed):
    assert is_allowed([licence]) is allowed
