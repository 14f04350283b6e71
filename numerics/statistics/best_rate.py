"""The best learning rate of a grid, and what another rate costs there.

With x = log₂ η and ℓ(x) the loss, the best rate is the vertex of the parabola through the lowest
point of the grid and its two neighbours. A lowest point at the grid's edge has no vertex: the
optimum may lie outside, and nothing is said. Between grid points ℓ is interpolated by a cubic that
keeps the points' order (PCHIP), so that it has no minimum of its own making.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from numerics.statistics.estimates import Estimate, mean_estimate
from theory.errors import InputError

LEAST_SEEDS = 2
"""One seed chooses a rate and another one is judged at it."""


def best_rate(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The rate at which the loss is least, by a parabola in the logarithm of the rate.

    Parameters
    ----------
    rates
        The grid, ascending, at least three rates.
    losses
        The loss at each rate, finite. A run that diverged has the loss that knowing nothing has.

    Returns
    -------
    float or None
        The rate; ``None`` where the least loss lies at the grid's edge.

    Raises
    ------
    InputError
        If rates and losses do not pair up, rates do not ascend, or a loss is not finite.

    Examples
    --------
    >>> round(best_rate([1e-3, 2e-3, 4e-3, 8e-3], [3.0, 2.0, 2.0, 3.0]), 7)  # their middle
    0.0028284
    >>> best_rate([1e-3, 2e-3, 4e-3], [3.0, 2.0, 1.0]) is None
    True
    """
    x = _checked(rates, losses)
    place = int(np.argmin(losses))
    if place in (0, len(x) - 1):
        return None
    a, b, c = (losses[place + step] for step in (-1, 0, 1))
    h, k = x[place] - x[place - 1], x[place + 1] - x[place]
    below, above = (a - b) * k, (c - b) * h
    # The vertex of the parabola through three points whose middle one is the lowest.
    shift = (below * k - above * h) / (2 * (below + above)) if below + above else 0.0
    return float(2 ** (x[place] + shift))


def loss_at(rates: Sequence[float], losses: Sequence[float], rate: float) -> float | None:
    """The loss at a rate between those of the grid; ``None`` outside it.

    Examples
    --------
    >>> loss_at([1e-3, 2e-3, 4e-3], [3.0, 2.0, 2.5], 2e-3)
    2.0
    >>> loss_at([1e-3, 2e-3, 4e-3], [3.0, 2.0, 2.5], 8e-3) is None
    True
    """
    x = _checked(rates, losses)
    own = math.log2(rate)
    if not x[0] - 1e-9 <= own <= x[-1] + 1e-9:
        return None
    return float(PchipInterpolator(x, losses)(min(max(own, x[0]), x[-1])))


def price(
    rates: Sequence[float],
    losses: Sequence[Sequence[float]],
    tuned: Sequence[float],
    elsewhere: Sequence[Sequence[float]],
    factor: float = 1.0,
) -> Estimate | str:
    """What it costs to take a model's best rate from another one instead of from its own grid.

    For every seed s the other seeds choose: η from the mean of their curves of this model, η' from
    the mean of their curves of the other one. The price is ℓ_s(factor η') − ℓ_s(η). A seed that
    judged the rate it chose itself would find every other rate dearer by its own noise.

    Parameters
    ----------
    rates, losses
        The grid of the model that is used, and a row of losses for each seed.
    tuned, elsewhere
        The same of the model at which the rate was tuned.
    factor
        What the tuned rate is multiplied by, such as √(N_tuned/N).

    Returns
    -------
    Estimate or str
        Nats per token with Student's 95 % interval over seeds, or why there is none.

    Examples
    --------
    >>> own = [[3.0, 2.0, 3.0, 4.0], [3.1, 2.1, 3.1, 4.1]]
    >>> other = [[4.0, 3.0, 2.0, 3.0], [4.0, 3.0, 2.0, 3.0]]
    >>> grid = [1e-3, 2e-3, 4e-3, 8e-3]
    >>> price(grid, own, grid, other).value, price(grid, own, grid, other, 0.5).value
    (1.0, 0.0)
    >>> price(grid, own, grid, other, 4.0)
    'a tuned rate times 4 lies outside the grid'
    """
    if len(losses) < LEAST_SEEDS or len(losses) != len(elsewhere):
        raise InputError(
            f"at least {LEAST_SEEDS} seeds of both models are needed, got {len(losses)} and "
            f"{len(elsewhere)}"
        )
    prices = []
    for seed, row in enumerate(losses):
        own = best_rate(rates, _mean_without(losses, seed))
        other = best_rate(tuned, _mean_without(elsewhere, seed))
        if own is None or other is None:
            return "a best rate lies at the edge of its grid"
        chosen, taken = loss_at(rates, row, own), loss_at(rates, row, factor * other)
        if chosen is None or taken is None:
            return f"a tuned rate times {factor:g} lies outside the grid"
        prices.append(taken - chosen)
    return mean_estimate(prices)


def _mean_without(losses: Sequence[Sequence[float]], seed: int) -> list[float]:
    return list(np.delete(np.array(losses, dtype=float), seed, axis=0).mean(0))


def _checked(rates: Sequence[float], losses: Sequence[float]) -> NDArray[np.float64]:
    if len(rates) != len(losses) or len(rates) < 3:
        raise InputError(
            f"at least three rates, each with a loss, are needed, got {len(rates)} and "
            f"{len(losses)}"
        )
    x = np.log2(np.array(rates, dtype=float))
    if not np.all(np.diff(x) > 0):
        raise InputError(f"rates must ascend, got {list(rates)}")
    if not np.all(np.isfinite(losses)):
        raise InputError(f"losses must be finite, got {list(losses)}")
    return x
