"""Which tests a mutant meets: those that reach its line, and for a line of an import all others."""

import pytest

from benchmarks import mutants
from benchmarks.mutants import BUDGET, Fate, Mutant, table
from benchmarks.mutated_copy import Ran

SECONDS = {"a": 1.0, "b": 30.0, "c": 5.0, "d": 25.0, "e": 2.0, "f": 0.1}
LINES = {"m.py": {"1": [""], "2": ["a", "c"], "3": ["b", "d", "c"], "4": ["b"]}}
RAN = Ran("passed", (), (), 6, True, 1.0, SECONDS, "", LINES)


@pytest.mark.parametrize(
    ("first", "last", "met"),
    [
        (2, 2, ["a", "c"]),
        (3, 3, ["c", "d"]),  # b would pass the budget
        (4, 4, ["b"]),
        (2, 3, ["a", "c", "d"]),
        (1, 1, ["a", "c", "f", "e"]),  # at import: half for the module's own tests
        (9, 9, []),
    ],
)
def test_tests_that_a_mutant_meets(first: int, last: int, met: list[str]) -> None:
    assert BUDGET == 40
    assert mutants.tests_of(Mutant("m.py", first, last, "", ""), RAN) == met


def test_the_share_counts_what_no_test_reached_as_survived() -> None:
    fates = [
        Fate("m.py", 1, f"- {n}", fate, "", 1)
        for n, fate in enumerate(["killed", "timeout", "unimportable", "survived", "not reached"])
    ]
    found = table(fates, 100, 1.0, {"m.py: - 3": "it changes nothing"})
    assert (found["killed"], found["sampled"], found["share"]) == (3, 5, 0.6)
    assert found["survivors_with_a_reason"] == 1
    assert found["share_of_those_that_change_something"] == 0.75
    low, high = found["interval"]
    # Wilson's interval of 3 in 5 at 95 %.
    assert (low, high) == (pytest.approx(0.2307, abs=1e-4), pytest.approx(0.8824, abs=1e-4))
