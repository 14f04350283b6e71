from itertools import pairwise

import numpy as np
import pytest

from numerics.statistics.exponents import (
    Exponent,
    NoExponent,
    bootstrap_interval,
    cautious,
    fitted,
    local_slopes,
    power_law,
    verdict_word,
)
from theory.errors import InputError

DEPTHS = [depth for depth in (6, 12, 25, 50, 100, 200) for _ in range(8)]


def _noisy(power, seed, scatter=0.1):
    noise = np.random.default_rng(seed).normal(0, scatter, len(DEPTHS))
    return [float(3.7 * n**power * np.exp(e)) for n, e in zip(DEPTHS, noise, strict=True)]


@pytest.mark.parametrize(("power", "word"), [(0.0, "flat"), (0.5, "grows"), (-0.3, "shrinks")])
def test_a_power_law_is_recovered_and_a_wrong_exponent_rejected(power, word):
    fit = power_law(DEPTHS, _noisy(power, 0))
    assert isinstance(fit, Exponent)
    assert fit.equivalent(power, 0.05) is True
    assert fit.equivalent(power + 0.2, 0.05) is False
    assert verdict_word(fit) == word
    assert fit.points == 48
    assert fit.depths == (6, 12, 25, 50, 100, 200)


def test_the_interval_covers_95_percent():
    fits = [power_law(DEPTHS, _noisy(0.25, seed)) for seed in range(400)]
    covered = sum(
        isinstance(fit, Exponent) and fit.interval[0] <= 0.25 <= fit.interval[1] for fit in fits
    )
    assert 0.92 <= covered / 400 <= 0.98


def test_too_much_scatter_is_undecided():
    fit = power_law(DEPTHS, _noisy(0.0, 1, scatter=1.0))
    assert verdict_word(fit) == "undecided"


@pytest.mark.parametrize(
    ("depths", "values", "reason"),
    [
        ([6, 12, 25], [1.0, float("nan"), 1.0], "not finite from N = 12"),
        ([6, 25, 12], [1.0, float("inf"), float("inf")], "not finite from N = 12"),
        ([6, 12, 25], [1.0, 0.0, 1.0], "not positive at N = 12"),
        ([6, 6, 12], [1.0, 1.0, 1.0], "needs 3 distinct depths, got 2"),
        ([], [], "needs 3 distinct depths, got 0"),
    ],
)
def test_what_has_no_exponent_says_why(depths, values, reason):
    fit = power_law(depths, values)
    assert fit == NoExponent(reason)
    assert verdict_word(fit) == reason


def test_bad_points_are_refused():
    with pytest.raises(InputError, match="pair up, got 2 and 1"):
        power_law([1, 2], [1.0])
    with pytest.raises(InputError, match="depths must be positive, got 0"):
        power_law([0, 1, 2], [1.0, 1.0, 1.0])


def test_the_bootstrap_interval_covers_95_percent_and_agrees_with_student_s():
    covered, widths = 0, []
    for seed in range(150):
        values = _noisy(0.25, seed)
        low, high = bootstrap_interval(DEPTHS, values, seed=seed)
        fit = power_law(DEPTHS, values)
        assert isinstance(fit, Exponent)
        covered += low <= 0.25 <= high
        widths.append((high - low) / (fit.interval[1] - fit.interval[0]))
    assert 0.88 <= covered / 150 <= 0.99
    assert 0.85 < np.mean(widths) < 1.1


def test_the_bootstrap_is_reproducible_and_refuses_too_little():
    values = _noisy(0.5, 0)
    assert bootstrap_interval(DEPTHS, values) == bootstrap_interval(DEPTHS, values)
    with pytest.raises(InputError, match="8 measurements, got 3"):
        bootstrap_interval([1, 2, 4], [1.0, 2.0, 4.0])
    with pytest.raises(InputError, match="not finite from N = 2"):
        bootstrap_interval([1, 2, 4], [1.0, float("nan"), 4.0])


def test_local_slopes_tell_a_logarithm_from_a_power():
    power = local_slopes(DEPTHS, [n**0.3 for n in DEPTHS])
    bent = local_slopes(DEPTHS, [float(np.log(n)) for n in DEPTHS])
    assert [slope.value for slope in power] == pytest.approx([0.3] * 5)
    assert [slope.interval for slope in power] == [None] * 5
    assert all(b.value < a.value for a, b in pairwise(bent))
    assert bent[0].depths == (6.0, 12.0)
    covered = [
        slope.interval is not None and slope.interval[0] <= 0.5 <= slope.interval[1]
        for seed in range(40)
        for slope in local_slopes(DEPTHS, _noisy(0.5, seed))
    ]
    assert 0.9 <= np.mean(covered) <= 0.99
    with pytest.raises(InputError, match="needs 3 distinct depths, got 2"):
        local_slopes([1, 2], [1.0, 2.0])


def test_the_cautious_interval_holds_both():
    rng = np.random.default_rng(3)
    values = [n**-1.0 * float(np.exp(0.2 * rng.standard_t(2))) for n in DEPTHS]
    student, found = fitted(power_law(DEPTHS, values)), fitted(cautious(DEPTHS, values))
    low, high = bootstrap_interval(DEPTHS, values)
    assert found.interval == (min(low, student.interval[0]), max(high, student.interval[1]))
    assert found.value == student.value
    few = ([6, 12, 24], [1.0, 2.1, 3.9])
    assert cautious(*few) == power_law(*few)
    assert isinstance(cautious([1, 2, 4], [1.0, float("inf"), 1.0]), NoExponent)
