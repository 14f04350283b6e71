"""The table of margins: each number again by what decides it, and each with its reason."""

import math
import re
from pathlib import Path

import pytest

from numerics.statistics.tolerances import TOLERANCES, Tolerance, tolerance

ROOT = Path(__file__).parents[3]
ABOUT_POWERS = ("exponent", "slope")
NEIGHBOURS = 1 / 4
"""Least distance of two powers of the depth that the theory tells apart."""
ROUNDED = {"exact-formula": 1e-9, "closed-form": 1e-10, "against-torch": 1e-10}
"""Margins of float64 computations: 10⁶ to 10⁷ roundings of 1e-16."""


@pytest.mark.parametrize("name", TOLERANCES)
def test_every_margin_is_a_number_with_a_reason(name: str) -> None:
    found = TOLERANCES[name]
    assert isinstance(found, Tolerance)
    assert tolerance(name) == found.value
    assert 0 < found.value < math.inf
    assert len(re.findall(r"\w+", found.reason)) >= 5
    assert not found.reason.endswith(".")


@pytest.mark.parametrize("name", [name for name in TOLERANCES if name.startswith("exact-e")])
def test_a_margin_without_randomness_is_far_below_the_others(name: str) -> None:
    assert tolerance(name) <= 0.02


@pytest.mark.parametrize("name", ROUNDED)
def test_float64_margins_are_some_roundings(name: str) -> None:
    assert tolerance(name) == ROUNDED[name]


@pytest.mark.parametrize(
    "name",
    [name for name in TOLERANCES if name.endswith(ABOUT_POWERS) and name != "clear-exponent"],
)
def test_a_margin_of_a_power_tells_neighbouring_powers_apart(name: str) -> None:
    assert tolerance(name) <= NEIGHBOURS


def test_what_the_reasons_say_follows_from_the_numbers() -> None:
    assert (200 / 6) ** tolerance("flat-exponent") == pytest.approx(1.19, abs=0.005)
    assert 16 ** tolerance("nearly-flat-exponent") == pytest.approx(1.32, abs=0.005)
    assert 4 ** tolerance("settled-exponent") == pytest.approx(1.23, abs=0.01)
    assert 8 ** tolerance("clear-exponent") == pytest.approx(2.07, abs=0.01)
    assert math.exp(tolerance("growth-evidence") / 2) == pytest.approx(20, rel=0.01)
    assert tolerance("layer-slope") > -math.log(1 - 2 / 64) / 2 > tolerance("layer-slope") / 4
    assert tolerance("drawn-scale") > 4 / math.sqrt(2 * 24576)
    assert tolerance("slow-power") == 1 / 2
    assert tolerance("optimizer-exponent") < NEIGHBOURS / 2
    assert tolerance("linear-growth") < 1 - 0.4


@pytest.mark.parametrize(
    "name", [name for name in TOLERANCES if TOLERANCES[name].reason.startswith("relative")]
)
def test_a_relative_margin_is_at_most_three_tenths(name: str) -> None:
    assert tolerance(name) <= 0.3


def test_every_margin_is_used() -> None:
    sources = [
        path.read_text("utf-8")
        for folder in ("numerics", "proofs", "tests", "benchmarks", "theory", "tfixup")
        for path in (ROOT / folder).rglob("*.py")
        if path.name not in ("tolerances.py", "test_tolerances.py")
    ]
    unused = [name for name in TOLERANCES if not any(f'"{name}"' in text for text in sources)]
    assert not unused


def test_sums_in_another_order_differ_by_less_than_single_precision_loses() -> None:
    assert 250 * 1e-7 < tolerance("repeated-measurement") <= 1e-3
