"""Best rates and prices against parabolas whose vertex is known."""

import numpy as np
import pytest

from numerics.statistics.best_rate import best_rate, loss_at, price
from theory.errors import InputError

GRID = [2.0**power for power in range(-10, -3)]


def bowl(vertex: float, size: float = 0.3) -> list[float]:
    return [2 + size * (np.log2(rate) - vertex) ** 2 for rate in GRID]


@pytest.mark.parametrize("vertex", [-8.4, -7.0, -6.51, -5.2])
def test_the_vertex_of_a_parabola_is_found(vertex):
    found = best_rate(GRID, bowl(vertex))
    assert found is not None
    assert np.log2(found) == pytest.approx(vertex)


def test_an_uneven_grid_has_the_same_vertex():
    grid = [2.0**power for power in (-9.0, -7.5, -7.0, -5.0)]
    found = best_rate(grid, [(np.log2(rate) + 7.2) ** 2 for rate in grid])
    assert found is not None
    assert np.log2(found) == pytest.approx(-7.2)


@pytest.mark.parametrize("vertex", [-11.0, -3.0])
def test_an_edge_has_no_best_rate(vertex):
    assert best_rate(GRID, bowl(vertex)) is None


def test_the_price_is_the_loss_at_the_tuned_rate_less_the_least():
    own, other = [bowl(-8.0)] * 3, [bowl(-6.0)] * 3
    found = price(GRID, own, GRID, other)
    assert not isinstance(found, str)
    assert found.value == pytest.approx(0.3 * 4)
    right = price(GRID, own, GRID, other, factor=0.25)
    assert not isinstance(right, str)
    assert right.value == pytest.approx(0, abs=1e-9)


def test_noise_alone_costs_nothing_on_average():
    random = np.random.default_rng(0)
    found = []
    for _ in range(200):
        own, other = (np.array(bowl(-7.0)) + random.normal(0, 0.05, (2, 3, 7))).tolist()
        cost = price(GRID, own, GRID, other)
        if not isinstance(cost, str):
            found.append(cost.value)
    assert abs(np.mean(found)) < 4 * np.std(found) / len(found) ** 0.5


@pytest.mark.parametrize(
    ("rates", "losses"),
    [([1.0, 2.0], [1.0, 2.0]), ([2.0, 1.0, 3.0], [1.0] * 3), ([1.0, 2.0, 3.0], [1.0, np.nan, 2.0])],
)
def test_unfit_grids_are_errors(rates, losses):
    with pytest.raises(InputError):
        best_rate(rates, losses)
    with pytest.raises(InputError):
        loss_at(rates, losses, 1.5)
