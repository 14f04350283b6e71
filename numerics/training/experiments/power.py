"""What a decision would cost: seeds and minutes until an interval is as narrow as its margin.

An interval over n seeds is 2 t s/√n wide, s their standard deviation and t Student's quantile with
n − 1 degrees of freedom. A rule with a margin says *yes* where the interval lies above 0 and *no*
where it lies below the margin (or above minus the margin, and below 0). Neither is true only of an
interval that holds both ends, so that one as narrow as the margin decides, wherever its middle is.
"""

from collections.abc import Sequence
from math import ceil, prod, sqrt

import numpy as np
from scipy import special

from numerics.statistics.estimates import student_quantile
from numerics.training.experiments.selection import NEIGHBOURHOOD, Runs, values_of

RANGE_NAMES = {"lr": "rates", "d_model": "widths", "seed": "seeds"}


def seeds_needed(deviation: float, margin: float, *, level: float = 0.95) -> int:
    """The least number n of seeds with 2 t s/√n ≤ margin.

    Parameters
    ----------
    deviation
        s, the standard deviation of one seed's difference.
    margin
        Width that the interval may have.
    level
        Its confidence.

    Examples
    --------
    >>> seeds_needed(0.01, 0.02), seeds_needed(0.1, 0.02)
    (7, 387)
    """
    normal = float(special.ndtri((1 + level) / 2))
    seeds = max(2, ceil((2 * normal * deviation / margin) ** 2))
    while 2 * student_quantile(level, seeds - 1) * deviation / sqrt(seeds) > margin:
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

    Parameters
    ----------
    deviation
        Standard deviation of one seed's difference, as these runs scatter.
    margin
        Width that the interval may have.
    per_seed
        Minutes of one seed's runs, as these runs took.
    unit
        Unit of deviation and margin.
    level
        Confidence of the interval.

    Examples
    --------
    >>> cost_told(0.1, 0.02, 2.5, "nats", 0.95)
    'these seeds differ by 0.1 nats (standard deviation), so that an interval 0.02 nats wide, \
which decides wherever it lies, takes 387 of them: about 968 minutes of one core, at 2.5 a seed'
    """
    seeds = seeds_needed(deviation, margin, level=level)
    return (
        f"these seeds differ by {deviation:.2g} {unit} (standard deviation), so that an interval "
        f"{margin:g} {unit} wide, which decides wherever it lies, takes {seeds} of them: about "
        f"{seeds * per_seed:,.0f} minutes of one core, at {per_seed:.2g} a seed"
    )


def neighbourhood_told(runs: Runs) -> str:
    """What is missing from the neighbourhood that a *fails* needs, and its price, in words.

    The price takes each missing run to last as long as these. A wider model takes longer.

    Examples
    --------
    >>> neighbourhood_told([])
    'no run'
    """
    if not runs:
        return "no run"
    tried = {name: len(values_of(runs, name)) for name in NEIGHBOURHOOD}
    times = prod(max(1.0, least / tried[name]) for name, least in NEIGHBOURHOOD.items())
    needed = ", ".join(f"{count} {RANGE_NAMES[name]}" for name, count in NEIGHBOURHOOD.items())
    found = ", ".join(f"{count}" for count in tried.values())
    return (
        f"“fails” would need {needed} and runs that outlast a plateau, and here there are {found}; "
        f"the rest would take at least {(times - 1) * minutes(runs):,.0f} minutes of one core"
    )
