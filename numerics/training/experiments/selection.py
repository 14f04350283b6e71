"""The runs that a rule looks at, and intervals over their seeds.

Seeds are the independent units: intervals over them are Student's, t_{0.975} s/√n, and geometric
means have it on the logarithm.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from numerics.statistics.estimates import mean_estimate
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import RecordedRun

Runs = Sequence[RecordedRun]


def matching(runs: Runs, **settings: object) -> list[RecordedRun]:
    """The runs whose config has these settings."""
    return [run for run in runs if all(run.config[k] == v for k, v in settings.items())]


def values_of(runs: Runs, setting: str) -> list[Any]:
    """The distinct values of a setting, sorted."""
    return sorted({run.config[setting] for run in runs})


RANGE: Mapping[str, str] = {
    "layers": "N",
    "d_model": "width",
    "lr": "rate",
    "tokens": "tokens per step",
    "steps": "steps",
    "seed": "seeds",
}
"""The settings whose values are a range that was tried, and what they are called."""


def range_of(runs: Runs) -> str:
    """The range that runs cover, in words: layers, width, rates, tokens, steps and seeds.

    Examples
    --------
    >>> range_of([])
    'no run'
    """
    return in_words({key: values_of(runs, key) for key in RANGE}) if runs else "no run"


def in_words(values: Mapping[str, Sequence[Any]]) -> str:
    """A range from the sorted values of its settings.

    Examples
    --------
    >>> in_words({"layers": [6, 12], "lr": [0.001], "seed": [0, 1, 2]})
    'N 6, 12, rate 0.001, seeds 0 to 2'
    """
    return ", ".join(f"{name} {_span(values[key])}" for key, name in RANGE.items() if key in values)


NEIGHBOURHOOD: Mapping[str, int] = {"lr": 3, "d_model": 2, "seed": 3}
"""How many rates, a factor 2 apart, widths and seeds a neighbourhood has that can falsify."""


def neighbourhood_of(runs: Runs) -> str:
    """`range_of` the runs if they cover a neighbourhood that can falsify, else nothing.

    That is at least three rates a factor 2 apart, two widths and three seeds.

    Examples
    --------
    >>> neighbourhood_of([])
    ''
    """
    if not runs:
        return ""
    rates = sorted({float(run.config["lr"]) for run in runs})
    apart, last = 1, rates[0]
    for rate in rates:
        if rate >= 1.99 * last:
            apart, last = apart + 1, rate
    enough = apart >= NEIGHBOURHOOD["lr"] and all(
        len(values_of(runs, name)) >= NEIGHBOURHOOD[name] for name in ("d_model", "seed")
    )
    return range_of(runs) if enough else ""


def _span(values: Sequence[Any]) -> str:
    """A few values listed, consecutive ones and many by their ends."""
    shown = [f"{value:.3g}" if isinstance(value, float) else f"{value}" for value in values]
    whole = all(isinstance(value, int) for value in values)
    if len(values) > 2 and whole and values[-1] - values[0] == len(values) - 1:
        return f"{shown[0]} to {shown[-1]}"
    return ", ".join(shown) if len(shown) <= 6 else f"{shown[0]} to {shown[-1]}"


def all_trained(runs: Runs) -> bool:
    """Whether there are runs and every one trained."""
    return bool(runs) and all(run.outcome is RunOutcome.TRAINED for run in runs)


def none_trained(runs: Runs) -> bool:
    """Whether there are runs and not one trained."""
    return bool(runs) and all(run.outcome is not RunOutcome.TRAINED for run in runs)


def diverged(runs: Runs) -> bool:
    """Whether some run diverged."""
    return any(run.outcome is RunOutcome.DIVERGED for run in runs)


def told(runs: Runs) -> str:
    """Outcomes and losses in words, a run each."""
    return ", ".join(f"{run.outcome} ({run.validation_loss:.2f})" for run in runs) or "no run"


def exchanged(runs: Runs, setting: str, names: Mapping[object, object]) -> list[RecordedRun]:
    """The runs under false names: a run whose setting is a key passes for one with its value.

    A negative control: a rule that reads its answer off the runs must give another one.
    """
    return [
        replace(run, config=dict(run.config) | {setting: names[run.config[setting]]})
        if run.config[setting] in names
        else run
        for run in runs
    ]


def impostors(runs: Runs, old: Runs, new: Runs, **names: object) -> list[RecordedRun]:
    """``runs`` without ``old``, and with ``new`` under their names: a negative control."""
    gone = {run.path for run in old}
    posing = [replace(run, config=dict(run.config) | names) for run in new]
    return [run for run in runs if run.path not in gone] + posing


def mean_interval(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Mean and its 95 % interval; unbounded with a single value, NaN with none.

    Examples
    --------
    >>> mean, (low, high) = mean_interval([1.0, 2.0, 3.0])
    >>> round(mean, 2), round(low, 2), round(high, 2)
    (2.0, -0.48, 4.48)
    """
    n = len(values)
    if n < 2:
        return (values[0] if values else math.nan), (-math.inf, math.inf)
    found = mean_estimate(values)
    return found.value, (found.low, found.high)


def geometric_interval(values: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Geometric mean and its 95 % interval; a value of 0, a signal gone altogether, gives 0.

    Without any value the mean is NaN and the interval holds every number.

    Examples
    --------
    >>> geometric_interval([2.0, 8.0])[0]
    4.0
    """
    if values and min(values) <= 0:
        return 0.0, (0.0, math.inf)
    mean, (low, high) = mean_interval([math.log(value) for value in values])
    return math.exp(mean), (math.exp(low), _exp(high))


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
