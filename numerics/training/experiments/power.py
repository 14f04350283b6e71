"""What a decision would cost: seeds and minutes until an interval is as narrow as its margin.

An interval over n seeds has the half-width t s/√n, s their standard deviation and t Student's
quantile with n − 1 degrees of freedom. It decides an equivalence once that is no wider than the
margin, wherever the mean lies.
"""

from collections.abc import Sequence
from math import ceil, sqrt

import numpy as np
from scipy import stats

from numerics.training.experiments.selection import Runs


def seeds_needed(deviation: float, margin: float, *, level: float = 0.95) -> int:
    """The least number n of seeds with t s/√n ≤ margin.

    Parameters
    ----------
    deviation
        s, the standard deviation of one seed's difference.
    margin
        Half-width that the interval may have.
    level
        Its confidence.

    Examples
    --------
    >>> seeds_needed(0.02, 0.02), seeds_needed(0.1, 0.02)
    (7, 99)
    """
    normal = float(stats.norm.ppf((1 + level) / 2))
    seeds = max(2, ceil((normal * deviation / margin) ** 2))
    while float(stats.t.ppf((1 + level) / 2, seeds - 1)) * deviation / sqrt(seeds) > margin:
        seeds += 1
    return seeds


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of some seeds' differences; 0 of fewer than two."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def minutes(runs: Runs) -> float:
    """Minutes that these runs took together, as their records say."""
    return sum(float(run.provenance.get("seconds", 0.0)) for run in runs) / 60


def cost_told(deviation: float, margin: float, per_seed: float, unit: str, level: float) -> str:
    """Seeds and minutes in words.

    Examples
    --------
    >>> cost_told(0.1, 0.02, 2.5, "nats", 0.95)
    'deciding within ± 0.02 nats would take 99 seeds, about 248 minutes of one core'
    """
    seeds = seeds_needed(deviation, margin, level=level)
    return (
        f"deciding within ± {margin:g} {unit} would take {seeds} seeds, about "
        f"{seeds * per_seed:,.0f} minutes of one core"
    )
