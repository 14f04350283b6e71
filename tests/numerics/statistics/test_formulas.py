"""Intervals, fits and prices against their formulas, worked out step by step another way."""

import math

import numpy as np
import pytest
from scipy import stats

from numerics.statistics.best_rate import best_rate, loss_at, price
from numerics.statistics.estimates import Estimate, mean_estimate
from numerics.statistics.exponents import (
    LEAST_DEPTHS,
    LEAST_POINTS,
    RESAMPLES,
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

DEPTHS = [4, 4, 8, 8, 8, 16, 32, 32]


def values(seed: int = 0, scatter: float = 0.2) -> list[float]:
    noise = np.random.default_rng(seed).normal(0, scatter, len(DEPTHS))
    return [2.5 * n**0.4 * math.exp(e) for n, e in zip(DEPTHS, noise, strict=True)]


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("seed", range(4))
def test_the_interval_is_hc3_by_depth_with_satterthwaites_freedom(
    confidence: float, seed: int
) -> None:
    x, y = np.log(DEPTHS), np.log(values(seed))
    design = np.stack([np.ones_like(x), x], 1)
    inverse = np.linalg.inv(design.T @ design)
    hat = design @ inverse @ design.T
    residuals = (np.eye(len(x)) - hat) @ y
    weights = (inverse @ design.T)[1]
    terms = [(weights[i] * residuals[i] / (1 - hat[i, i])) ** 2 for i in range(len(x))]
    groups = [
        [t for t, n in zip(terms, DEPTHS, strict=True) if n == depth] for depth in (4, 8, 16, 32)
    ]
    variance = sum(terms)
    freedom = variance**2 / sum(sum(group) ** 2 / len(group) for group in groups)
    half = stats.t.ppf(0.5 + confidence / 2, min(freedom, len(x) - 2)) * math.sqrt(variance)
    slope = float((inverse @ design.T @ y)[1])
    found = fitted(power_law(DEPTHS, values(seed), confidence=confidence))
    assert found.value == pytest.approx(slope, rel=1e-12)
    assert found.interval == pytest.approx((slope - half, slope + half), rel=1e-9)
    assert (found.points, found.depths) == (8, (4, 8, 16, 32))


def test_freedom_is_capped_where_every_depth_has_many_equal_residuals() -> None:
    depths = [n for n in (1, 2, 4) for _ in range(2)]
    own = [n * factor for n, factor in zip(depths, [1.1, 1 / 1.1] * 3, strict=True)]
    found = fitted(power_law(depths, own))
    e, spread = math.log(1.1), 4 * math.log(2) ** 2
    leverage = 1 / 6 + math.log(2) ** 2 / spread
    error = math.sqrt(4 * (math.log(2) / spread * e / (1 - leverage)) ** 2)
    # Only the outer depths carry variance: V = 2 V_g and ν = 4 V_g²/(2 V_g²/2) = 4 = n − 2.
    half = stats.t.ppf(0.975, 4) * error
    assert found.interval == pytest.approx((1 - half, 1 + half))


def test_limits_of_a_fit() -> None:
    assert (LEAST_DEPTHS, LEAST_POINTS) == (3, 8)
    assert RESAMPLES >= 1000
    assert isinstance(power_law([1, 2], [1.0, 2.0]), NoExponent)
    assert fitted(power_law([1, 2, 4], [1.0, 2.0, 4.0])).value == pytest.approx(1)
    assert fitted(power_law([0.25, 0.5, 1], [1.0, 2.0, 4.0])).value == pytest.approx(1)
    with pytest.raises(InputError, match="must be positive, got -2"):
        power_law([-2, 1, 4], [1.0, 1.0, 1.0])
    assert power_law([6, 12, 25], [-1.0, 1.0, 0.0]) == NoExponent("not positive at N = 6")
    with pytest.raises(InputError, match="needs an exponent, got: not positive at N = 2"):
        bootstrap_interval([1, 2, 4], [1.0, -1.0, 4.0])
    with pytest.raises(InputError, match="needs 8 measurements, got 7"):
        bootstrap_interval([1, 2, 4, 8, 16, 32, 64], [1.0] * 7)
    assert bootstrap_interval([2.0**n for n in range(8)], [1.0] * 8) == (0, 0)


@pytest.mark.parametrize("width", [0.049, 0.051])
def test_the_word_of_an_exponent_is_by_its_whole_interval_and_its_sign(width: float) -> None:
    flat = Exponent(0.0, (-width, width), (1, 2, 4), 9)
    assert verdict_word(flat) == ("flat" if width < 0.05 else "undecided")
    assert verdict_word(Exponent(-0.2, (-0.3, -0.051), (1, 2, 4), 9)) == "shrinks"
    assert verdict_word(Exponent(0.2, (0.051, 0.3), (1, 2, 4), 9)) == "grows"


def test_the_bootstrap_has_its_level_and_its_seed() -> None:
    depths = [n for n in (4, 8, 16, 32) for _ in range(10)]
    noise = np.random.default_rng(5).normal(0, 0.2, len(depths))
    own = np.exp(noise).tolist()

    def width(**more: float) -> float:
        low, high = bootstrap_interval(depths, own, **more)  # pyright: ignore[reportArgumentType]
        return high - low

    ratio = width(confidence=0.5) / width(confidence=0.95)
    assert ratio == pytest.approx(stats.norm.ppf(0.75) / stats.norm.ppf(0.975), rel=0.1)
    assert width(seed=1) != width()
    assert width(seed=0) == width()
    x, y = np.log(depths), np.log(own)
    drawn = np.random.default_rng(3).integers(len(x), size=(RESAMPLES, len(x)))
    slopes = [np.polyfit(x[rows], y[rows], 1)[0] for rows in drawn]
    mine = np.quantile(slopes, [0.025, 0.975])
    assert bootstrap_interval(depths, own, seed=3) == pytest.approx(mine, abs=1e-3)
    found = fitted(cautious(depths, own, confidence=0.5))
    low, high = bootstrap_interval(depths, own, confidence=0.5)
    plain = fitted(power_law(depths, own, confidence=0.5)).interval
    assert found.interval == (min(low, plain[0]), max(high, plain[1]))


def test_a_pair_is_resampled_whole() -> None:
    # Points on one line: resamples of pairs have its slope, those of coordinates apart have not.
    depths = [float(n) for n in (1, 2, 4, 8, 16, 32, 64, 128)]
    assert bootstrap_interval(depths, [n**0.7 for n in depths]) == pytest.approx((0.7, 0.7))


def test_local_slopes_have_welchs_interval() -> None:
    below, above = [1.0, 1.1, 0.9, 1.05], [2.0, 4.0]
    depths = [2] * 4 + [8] * 2 + [32]
    first, second = local_slopes(depths, [*below, *above, 5.0])
    a, b = np.log(below), np.log(above)
    va, vb = a.var(ddof=1) / 4, b.var(ddof=1) / 2
    freedom = (va + vb) ** 2 / (va**2 / 3 + vb**2 / 1)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(va + vb)
    middle, run = b.mean() - a.mean(), math.log(4)
    assert first.value == pytest.approx(middle / run)
    assert first.interval == pytest.approx(((middle - half) / run, (middle + half) / run))
    assert second.interval is None
    assert second.value == pytest.approx((math.log(5) - b.mean()) / run)
    assert (first.depths, second.depths) == ((2.0, 8.0), (8.0, 32.0))
    depths = [2, 2, 8, 8, 32, 32]
    first, second = local_slopes(depths, [1.0, 1.0, 4.0, 4.0, 9.0, 9.0])
    assert (first.interval, second.interval) == (None, None)


def test_an_estimate_decides_by_its_ends_alone() -> None:
    assert Estimate(1.0, 0.5, 1.5).inside(0.5, 1.5) is True
    assert Estimate(1.0, 0.5, 1.5).inside(1.5, 2.0) is None
    assert Estimate(1.0, 0.5, 1.5).inside(0.0, 0.5) is None
    assert Estimate(1.0, 0.5, 1.5).interval == (0.5, 1.5)
    found = mean_estimate([1.0, 2.0, 4.0], confidence=0.8)
    half = stats.t.ppf(0.9, 2) * np.std([1, 2, 4], ddof=1) / math.sqrt(3)
    assert found.interval == pytest.approx((7 / 3 - half, 7 / 3 + half))
    broken = mean_estimate([1.0, math.nan])
    assert all(math.isnan(end) for end in (broken.value, broken.low, broken.high))


def test_the_vertex_of_an_uneven_parabola_and_the_loss_between() -> None:
    grid = [2.0**x for x in (0.0, 1.0, 3.0, 3.5)]
    losses = [1 + 0.5 * (x - 1.4) ** 2 for x in (0.0, 1.0, 3.0, 3.5)]
    found = best_rate(grid, losses)
    assert found is not None
    assert math.log2(found) == pytest.approx(1.4)
    assert loss_at(grid, losses, 1.0) == losses[0]
    assert loss_at(grid, losses, 2**3.5) == losses[-1]
    assert loss_at(grid, losses, 0.99) is None
    assert loss_at(grid, losses, 2**3.51) is None
    between = loss_at(grid, losses, 2**0.5)
    assert between is not None
    assert losses[1] < between < losses[0]
    assert loss_at([1.0, 2.0, 4.0], [1.0, 2.0, 3.0], 2**0.5) == pytest.approx(1.5)
    assert best_rate([1.0, 2.0, 4.0], [2.0, 2.0, 2.0]) is None
    assert best_rate([1.0, 2.0, 4.0, 8.0], [3.0, 2.0, 2.0, 2.0]) == pytest.approx(2 * 2**0.5)


def test_a_seed_is_judged_at_what_the_others_chose() -> None:
    grid = [2.0**x for x in range(7)]
    vertices, others = (2.2, 2.9, 3.3), (3.6, 4.4, 4.1)

    def rows(places: tuple[float, ...]) -> list[list[float]]:
        return [[(x - place) ** 2 for x in range(7)] for place in places]

    found = price(grid, rows(vertices), grid, rows(others), factor=0.5)
    assert isinstance(found, Estimate)
    paid = []
    for seed in range(3):
        left = [n for n in range(3) if n != seed]
        own = 2 ** (sum(vertices[n] for n in left) / 2)
        taken = 2 ** (sum(others[n] for n in left) / 2) / 2
        row = rows(vertices)[seed]
        ends = [loss_at(grid, row, rate) for rate in (taken, own)]
        assert ends[0] is not None
        assert ends[1] is not None
        paid.append(ends[0] - ends[1])
    assert found.value == pytest.approx(sum(paid) / 3)
    half = stats.t.ppf(0.975, 2) * np.std(paid, ddof=1) / 3**0.5
    assert found.interval == pytest.approx((found.value - half, found.value + half))
    assert price(grid, rows((0.0, 0.1)), grid, rows((3.0, 3.0))) == (
        "a best rate lies at the edge of its grid"
    )
    assert price(grid, rows((3.0, 3.0)), grid, rows((0.0, 0.1))) == (
        "a best rate lies at the edge of its grid"
    )
    with pytest.raises(InputError, match="2 seeds of both models are needed, got 1 and 1"):
        price(grid, rows((3.0,)), grid, rows((3.0,)))
    with pytest.raises(InputError, match="got 2 and 3"):
        price(grid, rows((3.0, 3.0)), grid, rows((3.0, 3.0, 3.0)))


@pytest.mark.parametrize(
    ("rates", "losses", "words"),
    [
        ([1.0, 2.0], [1.0, 2.0], "at least three rates, each with a loss, are needed, got 2 and 2"),
        ([1.0, 2.0, 3.0], [1.0, 2.0], "got 3 and 2"),
        ([1.0, 2.0, 2.0], [1.0, 0.5, 2.0], "rates must ascend"),
        ([1.0, 2.0, 3.0], [1.0, math.inf, 2.0], "losses must be finite"),
    ],
)
def test_unfit_grids_say_why(rates: list[float], losses: list[float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        best_rate(rates, losses)
