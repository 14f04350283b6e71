"""What a check prints is what it decided by: its number, interval and what was asked agree."""

import json
from pathlib import Path

import pytest

RECORD = Path(__file__).parents[3] / "results" / "verify" / "verdicts.json"
CLAIMS = json.loads(RECORD.read_text())["claims"]
CHECKS = [(claim["id"], one) for claim in CLAIMS for one in claim["evidence"]]
MEASURED = [
    pytest.param(one, id=f"{claim}-{number}")
    for number, (claim, one) in enumerate(CHECKS)
    if isinstance(one["value"], float)
]


def contradiction(one) -> str:
    """What a reader of the numbers would object to; empty where nothing is."""
    value, asked, margin = one["value"], one["expected"], one["tolerance"]
    low, high = one["interval"] or (value, value)
    if not low <= value <= high:
        return "the value lies outside its interval"
    if not isinstance(asked, float) or margin is None:
        return ""
    inside = asked - margin <= low and high <= asked + margin
    outside = high < asked - margin or asked + margin < low
    decided = True if inside else False if outside else None
    return "" if decided is one["passed"] else f"the numbers say {decided}, not {one['passed']}"


@pytest.mark.parametrize("one", MEASURED)
def test_the_numbers_say_what_was_decided(one):
    assert contradiction(one) == ""


@pytest.mark.parametrize(
    ("changed", "objection"),
    [
        ({}, ""),
        ({"passed": False}, "say True"),
        ({"passed": None}, "say True"),
        ({"interval": [0.9, 1.2]}, "say None"),
        ({"value": 2.0, "interval": [1.9, 2.1]}, "say False"),
        ({"value": 2.0}, "outside its interval"),
        ({"interval": [1.1, 0.9]}, "outside its interval"),
        ({"value": 1.2, "interval": None}, "say False"),
        ({"expected": "at most 2", "passed": False}, ""),
    ],
)
def test_a_contradiction_is_seen(changed, objection):
    right = dict(value=1.0, interval=[0.95, 1.05], expected=1.0, tolerance=0.1, passed=True)
    found = contradiction(right | changed)
    assert objection in found
    assert bool(found) is bool(objection)
