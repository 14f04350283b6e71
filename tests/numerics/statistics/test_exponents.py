from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from numerics.statistics.estimates import joint_confidence
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
from numerics.sweeps.run import exponent_table
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


GRIDS = ((6, 12, 25, 50, 100, 200), (6, 12, 24, 48))
SCATTERS = {
    "equal": lambda n: 0.1 + 0 * n,
    "growing": lambda n: 0.01 * n,
    "bursting": lambda n: 1e-4 * n**2,
    "falling": lambda n: 1 / n,
}


def _coverage(fit, depths, seeds, scatter, *, draws=600):
    n = np.repeat(np.array(depths, dtype=float), seeds)
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(draws):
        values = n**0.25 * np.exp(rng.normal(0, 1, len(n)) * SCATTERS[scatter](n))
        low, high = fit(n.tolist(), values.tolist())
        covered += low <= 0.25 <= high
    return covered / draws


def _interval(depths, values):
    return fitted(power_law(depths, values)).interval


def _equal_scatter(depths, values):
    """The ordinary interval of a regression, which takes the scatter to be equal everywhere."""
    line = stats.linregress(np.log(depths), np.log(values))
    half = stats.t.ppf(0.975, len(depths) - 2) * line.stderr
    return line.slope - half, line.slope + half


@pytest.mark.parametrize("seeds", [2, 3, 8])
@pytest.mark.parametrize("depths", GRIDS, ids=len)
@pytest.mark.parametrize("scatter", SCATTERS)
def test_the_interval_covers_95_percent_whether_the_scatter_is_equal_or_not(depths, seeds, scatter):
    assert 0.92 <= _coverage(_interval, depths, seeds, scatter) <= 0.995


def test_the_ordinary_interval_does_not():
    assert _coverage(_equal_scatter, GRIDS[0], 3, "equal") > 0.92
    assert _coverage(_equal_scatter, GRIDS[0], 3, "growing") < 0.88
    assert _coverage(_equal_scatter, GRIDS[0], 3, "bursting") < 0.8


def test_the_slope_is_the_least_squares_one():
    values = _noisy(0.4, 3)
    expected = stats.linregress(np.log(DEPTHS), np.log(values)).slope
    assert fitted(power_law(DEPTHS, values)).value == pytest.approx(expected, rel=1e-12)


def test_nine_intervals_hold_together():
    rng = np.random.default_rng(0)
    x = np.array([n for n in GRIDS[0] for _ in range(3)], dtype=float)
    confidence = joint_confidence(9)
    alone = together = 0
    for _ in range(150):
        tables = np.exp(0.1 * rng.normal(size=(9, len(x)))).tolist()
        misses = [power_law(x.tolist(), row) for row in tables]
        alone += any(not fitted(fit).interval[0] <= 0 <= fitted(fit).interval[1] for fit in misses)
        wide = [fitted(power_law(x.tolist(), row, confidence=confidence)) for row in tables]
        together += any(not fit.interval[0] <= 0 <= fit.interval[1] for fit in wide)
    assert alone > 25
    assert together < 16


RECORD = Path(__file__).parents[3] / "results" / "sweep"


def test_no_pair_of_seeds_makes_a_flat_part_grow_or_shrink():
    rows = pl.read_parquet(RECORD / "rows.parquet").filter(
        (pl.col("scheme") == "tfixup")
        & (pl.col("optimizer") == "sgd")
        & (pl.col("quantity") == "update")
    )
    for pair in combinations(range(8), 2):
        table = exponent_table(rows.filter(pl.col("seed").is_in(pair)))
        assert not set(table["note"]) & {"grows", "shrinks"}, pair
    xavier_like = rows.with_columns(pl.col("value") * pl.col("n_encoder") ** 0.5)
    assert set(exponent_table(xavier_like)["note"]) == {"grows"}


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
    assert 0.75 < np.mean(widths) < 1.1


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
