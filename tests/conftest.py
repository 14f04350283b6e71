"""Which tests are slow because of the folder that they stand in, and which files come first.

``make test-all`` runs the slow ones.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
SLOW = (
    "models",
    "numerics/own_model/audit/test_cases_ends.py",
    "numerics/own_model/audit/test_cases_modules.py",
    "numerics/own_model/audit/test_cases_roles.py",
    "numerics/own_model/check/test_cases.py",
    "numerics/own_model/measurement/test_cases.py",
)
"""Tests of many models of other people, by folder or file below this one."""
LONGEST = ("paper_checks.ipynb", "test_arguments.py", "test_clusters.py", "test_solve.py")
"""Files of most of a minute, or more: at the end, one worker would wait for another's."""
KEPT = ("d10", "d1_", "a1_", "i1_", "i2_", "i4_", "i5_", "nanogpt")
"""Words of the names of those that the fast run keeps: one or two of each kind."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of those folders as slow, but for a few; the longest files come first.

    Those that would be fast alone also get the marker ``many``: mutants are tested with them.
    """
    items.sort(key=lambda item: item.path.name not in LONGEST)
    for item in items:
        if not item.path.is_relative_to(HERE):
            continue
        place = str(item.path.relative_to(HERE))
        if place.startswith(SLOW) and not any(word in item.name.lower() for word in KEPT):
            if not item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.many)
            item.add_marker(pytest.mark.slow)
