"""The table of cases: every case has a row, and every test that a row names exists."""

import re
from pathlib import Path

import pytest

from numerics.cli.main import COMMANDS

TESTS = Path(__file__).parent
TABLE = TESTS.parent / "docs" / "results" / "cases.md"
ROW = re.compile(r"^\| ([A-J]\d+) \|.*\| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def named_after_cases() -> dict[str, set[str]]:
    """Names of tests by the case that they are named after."""
    found: dict[str, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        for name, case in re.findall(
            r"^def (test_case_([a-j]\d+)_\w+)", path.read_text("utf-8"), re.MULTILINE
        ):
            found.setdefault(case.upper(), set()).add(name)
    return found


def faults(table: str, tests: dict[str, set[str]]) -> list[str]:
    """What is wrong with a table, in words."""
    rows = ROW.findall(table)
    cases = [case for case, _, _ in rows]
    wrong = [f"{case} has no row" for case in sorted(set(tests) - set(cases))]
    wrong += [f"{case} has two rows" for case in sorted(set(cases)) if cases.count(case) > 1]
    for case, commands, names in rows:
        named = re.findall(r"`(\w+)`", names)
        wrong += [] if named else [f"{case} names no test"]
        wrong += [f"{case}: no test {name}" for name in named if name not in tests.get(case, set())]
        for command in re.findall(r"`(\w+)`", commands) or ["none"]:
            if command not in {*COMMANDS, "initialize_"}:
                wrong.append(f"{case}: no command {command}")
    return wrong


def test_every_case_has_a_row_and_the_tests_that_it_names() -> None:
    tests = named_after_cases()
    table = TABLE.read_text("utf-8")
    assert len(tests) == len(ROW.findall(table)) == 56
    assert faults(table, tests) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("| D4 |", "| D44 |", "D4 has no row"),
        ("| D4 |", "| D2 |", "D2 has two rows"),
        ("`test_case_d4_", "`test_case_d4_missing_", "D4: no test test_case_d4_missing_"),
        ("`test_case_d4_", "`test_case_d2_", "D4: no test test_case_d2_"),
    ],
)
def test_a_table_with_a_mistake_is_refused(old: str, new: str, fault: str) -> None:
    table = TABLE.read_text("utf-8")
    assert old in table
    assert any(
        said.startswith(fault) for said in faults(table.replace(old, new), named_after_cases())
    )
