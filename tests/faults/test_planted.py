"""Faults planted by hand are caught, and the harness can tell what it did not catch."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.mutated_copy import MutatedCopy, mutated_copy
from benchmarks.planted import plant, require_unaltered_pass
from tests.faults.fault import Fault, planted
from tests.faults.table import FAULTS

ROOT = Path(__file__).parents[2]
FAST = ("an equivalence margin doubled", "Muon's factor upside down")
"""Those that the fast run plants."""
OF_ESTIMATES = ("tests/numerics/statistics/test_estimates.py",)


@pytest.fixture(scope="module")
def copy() -> Iterator[MutatedCopy]:
    with mutated_copy() as made:
        yield made


def test_there_are_sixty_different_ones():
    assert len(FAULTS) >= 60
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert len({(fault.file, fault.old, fault.new) for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_it_still_applies(fault: Fault):
    text = (ROOT / fault.file).read_text("utf-8")
    assert planted(fault, text) != text
    assert all((ROOT / test.partition("::")[0]).is_file() for test in fault.tests)


def test_a_fault_whose_text_is_gone_is_refused():
    fault = Fault("gone", "theory/claims.py", "no such text", "", OF_ESTIMATES)
    with pytest.raises(ValueError, match="stands 0 times"):
        planted(fault, "other text")
    with pytest.raises(ValueError, match="stands 2 times"):
        planted(fault, "no such text, no such text")


def test_some_faults_are_caught(copy: MutatedCopy):
    chosen = [fault for fault in FAULTS if fault.name in FAST]
    assert len(chosen) == len(FAST)
    assert require_unaltered_pass(copy, chosen) >= len(chosen)
    for fault in chosen:
        found = plant(copy, fault)
        assert found.caught, fault.name
        assert found.failed


def test_a_change_that_changes_nothing_is_not_caught(copy: MutatedCopy):
    harmless = Fault(
        "harmless",
        "numerics/statistics/estimates.py",
        "CONFIDENCE = 0.95",
        "CONFIDENCE = 0.95 + 0",
        OF_ESTIMATES,
    )
    found = plant(copy, harmless)
    assert (found.caught, found.outcome, found.imported) == (False, "passed", True)


def test_a_module_that_cannot_be_imported_catches_nothing(copy: MutatedCopy):
    broken = Fault(
        "broken",
        "numerics/statistics/estimates.py",
        "CONFIDENCE = 0.95",
        "CONFIDENCE = 0.95 +",
        OF_ESTIMATES,
    )
    found = plant(copy, broken)
    assert (found.caught, found.outcome) == (False, "broken")


def test_tests_that_do_not_see_the_module_catch_nothing(copy: MutatedCopy):
    fault = next(fault for fault in FAULTS if fault.name == FAST[1])
    elsewhere = replace(fault, tests=("tests/theory/scales/test_shares.py",))
    found = plant(copy, elsewhere)
    assert (found.caught, found.imported) == (False, False)


@pytest.mark.slow
def test_every_fault_is_caught(copy: MutatedCopy):
    require_unaltered_pass(copy, FAULTS)
    escaped = [fault.name for fault in FAULTS if not plant(copy, fault).caught]
    assert not escaped
