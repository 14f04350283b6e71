"""The choice of a law on values whose law is known, with scatter, and where it is not."""

from collections.abc import Callable
from math import exp, sqrt

import numpy as np
import pytest

from numerics.statistics.exponents import Exponent
from numerics.statistics.growth_laws import growth_law

SIZES = (2, 4, 8, 16, 32)


def harmonic(n: float) -> float:
    return sum(1 / k for k in range(1, int(n) + 1))


def drawn(law: Callable[[float], float], scatter: float, seed: int, seeds: int = 4) -> tuple:
    generator = np.random.default_rng(seed)
    sizes = [n for n in SIZES for _ in range(seeds)]
    return sizes, [law(n) * exp(scatter * generator.standard_normal()) for n in sizes]


TRUE = {
    "constant": (lambda _: 3.0, "bounded"),
    "settles": (lambda n: 3 - 2 / n, "bounded"),
    "falls": (lambda n: n**-0.5, "bounded"),
    "harmonic": (lambda n: 0.05 + harmonic(n), "log N"),
    "root": (sqrt, "N^p"),
    "linear": (lambda n: 50.0 * n, "N^p"),
    "exponential": (lambda n: exp(0.3 * n), "exponential"),
    "stretched": (lambda n: exp(1.5 * sqrt(n)), "exponential"),
}


@pytest.mark.parametrize("name", TRUE)
def test_law_is_found(name: str) -> None:
    law, right = TRUE[name]
    found = [growth_law(*drawn(law, 0.03, seed)) for seed in range(6)]
    assert sum(one.law == right for one in found) >= 5
    # What is not decided may be open, and is never another law.
    assert all(one.law in (right, None) for one in found)


@pytest.mark.parametrize("name", TRUE)
def test_no_verdict_is_wrong_under_much_scatter(name: str) -> None:
    law, right = TRUE[name]
    found = [growth_law(*drawn(law, 0.15, seed)) for seed in range(6)]
    wrong = right == "bounded"
    assert all(one.unbounded is not wrong for one in found)


def test_overflow_grows_and_zeros_are_bounded() -> None:
    assert growth_law([2, 4, 8, 16], [1.0, 1e200, float("inf"), float("nan")]).unbounded
    assert growth_law([2, 4, 8, 16], [0.0] * 4).law == "bounded"


def test_a_flat_line_through_scatter_is_open() -> None:
    found = growth_law([2, 4, 8, 16], [1.0, 3.0, 3.0, 1.0])
    assert isinstance(found.exponent, Exponent)
    assert abs(found.exponent.value) < 0.01
    assert found.unbounded is None


def test_few_sizes_have_an_exponent_and_no_law() -> None:
    steep = growth_law([2, 4, 8] * 2, [2.0, 4.1, 8.0, 2.1, 4.0, 7.9])
    assert steep.law is None
    assert steep.unbounded
    noisy = growth_law([2, 4, 8] * 2, [1.0, 2.0, 1.0, 2.0, 1.0, 2.1])
    assert noisy.unbounded is None
