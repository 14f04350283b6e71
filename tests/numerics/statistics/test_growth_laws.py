import numpy as np
import pytest

from numerics.statistics.growth_laws import GROWING, growth
from theory.errors import InputError

DEPTHS = [n for n in (4, 8, 16, 32, 64, 128) for _ in range(4)]
TRUTHS = {
    "log N": lambda n: 0.6 + np.log(n),
    "N^p": lambda n: 0.3 * n**0.9,
    "e^(c√N)": lambda n: 2 * np.exp(0.4 * np.sqrt(n)),
}


def _noisy(truth, seed, scatter=0.03):
    noise = np.random.default_rng(seed).normal(0, scatter, len(DEPTHS))
    return [float(truth(n) * np.exp(e)) for n, e in zip(DEPTHS, noise, strict=True)]


@pytest.mark.parametrize("name", GROWING)
def test_the_law_that_made_the_data_is_chosen(name):
    chosen = [growth(DEPTHS, _noisy(TRUTHS[name], seed)).best for seed in range(20)]
    assert chosen.count(name) >= 19
    assert set(chosen) <= {name, None}


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_scatter_that_hides_the_law_is_undecided(power):
    values = [_noisy(lambda n: n**power, seed, scatter=2.0) for seed in range(10)]
    chosen = [growth(DEPTHS, row).best for row in values]
    assert chosen.count(None) >= 8


def test_parameters_are_those_of_the_truth():
    exact = {name: [float(truth(n)) for n in DEPTHS] for name, truth in TRUTHS.items()}
    assert growth(DEPTHS, exact["N^p"]).fits["N^p"].parameter == pytest.approx(0.9)
    assert growth(DEPTHS, exact["e^(c√N)"]).fits["e^(c√N)"].parameter == pytest.approx(0.4)
    fit = growth(DEPTHS, exact["log N"])
    # 0.6 + log N = (0.6 + log 4)(1 + b log(N/4)).
    assert fit.fits["log N"].parameter == pytest.approx(1 / (0.6 + np.log(4)), rel=1e-3)
    assert fit.held_out["log N"] < 1e-3 < fit.held_out["N^p"]


def test_a_logarithm_with_a_negative_constant_is_found():
    # log((N + 3)/3): bends before it is straight in log N.
    values = _noisy(lambda n: np.log(n) - 1.2, 3, scatter=0.01)
    assert growth(DEPTHS, values).best == "log N"


def test_units_of_the_value_do_not_matter():
    values = _noisy(TRUTHS["N^p"], 0)
    one, other = growth(DEPTHS, values), growth(DEPTHS, [1e9 * value for value in values])
    for name in GROWING:
        assert one.deficit[name] == pytest.approx(other.deficit[name], abs=1e-6)


def test_the_candidates_are_the_callers():
    settling = [float(3 - 2 / n) for n in DEPTHS]
    offered = {"still": "a", "settles": "a + b/N", "grows": "a + b log N"}
    assert growth(DEPTHS, settling, offered).best == "settles"
    assert set(growth(DEPTHS, settling, offered).deficit) == set(offered)
    assert growth(DEPTHS, settling).best != "settles"


@pytest.mark.parametrize(
    ("depths", "values", "message"),
    [
        ([2, 4, 8], [1.0, 1.0, 1.0], "4 distinct sizes, got 3"),
        ([0, 2, 4, 8], [1.0] * 4, "at least 1, got 0"),
        ([2, 4, 8, 16], [1.0, 1.0, 0.0, 1.0], "positive and finite, got 0.0"),
        ([2, 4, 8, 16], [1.0] * 3, "pair up, got 4 and 3"),
    ],
)
def test_bad_points_are_refused(depths, values, message):
    with pytest.raises(InputError, match=message):
        growth(depths, values)
