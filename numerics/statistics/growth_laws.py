"""Which law a quantity grows by: a + b log N, a N^p or a e^(c√N), each with two free numbers.

All three are fitted to the logarithms of the values, so that a seed's scatter is relative, and have
as many parameters: Akaike's corrected criterion then compares residual sums of squares R alone,

    Δ = M log(R / R_best),    M measurements,

and is only believed where the law with the least R also predicts a left-out depth best. Anything
less is *undecided*, which flat data always are: each law contains the constant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import atan, cos, isfinite, log, pi, sin, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from numerics.statistics.tolerances import tolerance
from theory.errors import InputError

LOGARITHM, POWER, EXPONENTIAL = "log N", "N^p", "e^(c√N)"
LAWS = (LOGARITHM, POWER, EXPONENTIAL)
LEAST_DEPTHS = 4
"""Three are fitted exactly by too many laws; a left-out one must leave three."""
_GRID = 200

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """One fitted law: log value = scale + shape(N)."""

    name: str
    """One of `LAWS`."""
    parameter: float
    """p of N^p, c of e^(c√N); of a + b log N the angle φ with tan φ = b/a."""
    scale: float
    """Logarithm of the factor in front."""
    residual: float
    """R, the residual sum of squares of the logarithms."""

    def predict(self, depths: Vector) -> Vector:
        """Logarithms of the values at ``depths``."""
        return self.scale + _shape(self.name, self.parameter, depths)


@dataclass(frozen=True)
class Growth:
    """The choice among the laws."""

    best: str | None
    """Name of the chosen law, or ``None`` if undecided."""
    deficit: Mapping[str, float]
    """Akaike's Δ by law, 0 for the best."""
    held_out: Mapping[str, float]
    """Root mean square error of log value at left-out depths, by law."""
    laws: Mapping[str, Law]
    """The three fits."""

    def __str__(self) -> str:
        rivals = ", ".join(f"{name} {self.deficit[name]:.1f}" for name in LAWS)
        return f"{self.best or 'undecided'} (Δ: {rivals})"


def growth(depths: Sequence[int | float], values: Sequence[float]) -> Growth:
    """The law among `LAWS` that measured values follow, if the data decide.

    Parameters
    ----------
    depths, values
        One entry per measurement, all positive; depths from 2 on, repeated where there are several
        seeds.

    Returns
    -------
    Growth
        ``best`` is ``None`` unless every rival's Δ is at least the tolerance table's
        ``growth-evidence`` and the same law predicts left-out depths best.

    Raises
    ------
    InputError
        If a value is not positive and finite, a depth is below 2, or there are fewer than four
        distinct depths.

    References
    ----------
    Burnham & Anderson, *Model Selection and Multimodel Inference*, 2nd ed., §2.6: models with
    Δ > 4–7 have considerably less support.

    Examples
    --------
    >>> depths = [6, 12, 24, 48, 96]
    >>> growth(depths, [3 * n**0.5 * (1 + n % 5 / 100) for n in depths]).best
    'N^p'
    >>> print(growth(depths, [2.0, 2.1, 1.9, 2.0, 2.1]).best)
    None
    """
    n, y = _checked(depths, values)
    laws = {name: _fit(name, n, y) for name in LAWS}
    least = min(law.residual for law in laws.values())
    # Below rounding every residual is the same zero, and their ratio means nothing.
    floor = len(n) * 1e-24
    deficit = {
        name: len(n) * log((law.residual + floor) / (least + floor)) for name, law in laws.items()
    }
    held_out = {name: _held_out(name, n, y) for name in LAWS}
    first, second = sorted(LAWS, key=deficit.__getitem__)[:2]
    decided = deficit[second] >= tolerance("growth-evidence") and first == min(
        LAWS, key=held_out.__getitem__
    )
    return Growth(first if decided else None, deficit, held_out, laws)


def _checked(depths: Sequence[int | float], values: Sequence[float]) -> tuple[Vector, Vector]:
    if len(depths) != len(values):
        raise InputError(f"depths and values must pair up, got {len(depths)} and {len(values)}")
    if len(set(depths)) < LEAST_DEPTHS:
        raise InputError(f"growth needs {LEAST_DEPTHS} distinct depths, got {len(set(depths))}")
    if min(depths) < 2:
        raise InputError(f"depths must be at least 2, got {min(depths)}")
    if broken := [value for value in values if not (isfinite(value) and value > 0)]:
        raise InputError(f"values must be positive and finite, got {broken[0]}")
    return np.asarray(depths, dtype=float), np.log(np.asarray(values, dtype=float))


def _shape(name: str, parameter: float, n: Vector) -> Vector:
    if name == POWER:
        return parameter * np.log(n)
    if name == EXPONENTIAL:
        return parameter * np.sqrt(n)
    return np.log(cos(parameter) + sin(parameter) * np.log(n))


def _fit(name: str, n: Vector, y: Vector) -> Law:
    if name != LOGARITHM:
        abscissa = _shape(name, 1.0, n)
        centred = abscissa - abscissa.mean()
        slope = float(centred @ (y - y.mean()) / (centred @ centred))
        return _with_scale(name, slope, n, y)
    return _with_scale(name, _angle(n, y), n, y)


def _with_scale(name: str, parameter: float, n: Vector, y: Vector) -> Law:
    rest = y - _shape(name, parameter, n)
    scale = float(rest.mean())
    return Law(name, parameter, scale, float(((rest - scale) ** 2).sum()))


def _angle(n: Vector, y: Vector) -> float:
    """φ of the best cos φ + sin φ log N, rising, by a grid and a local search.

    It ends where the logarithm would vanish at the least depth.
    """
    last = pi - atan(1 / log(float(n.min())))

    grid = np.linspace(0, last, _GRID + 1)[:-1]
    start = int(np.argmin(_residuals(grid, n, y)))
    low, high = float(grid[max(start - 1, 0)]), float(grid[start]) + last / _GRID
    found: Any = optimize.minimize_scalar(
        lambda angle: _residuals(np.array([angle]), n, y)[0], bounds=(low, high), method="bounded"
    )
    return float(found.x)


def _residuals(angles: Vector, n: Vector, y: Vector) -> Vector:
    """R of a + b log N at each angle."""
    rest = y - np.log(np.cos(angles)[:, None] + np.sin(angles)[:, None] * np.log(n))
    return rest.var(axis=1) * len(n)


def _held_out(name: str, n: Vector, y: Vector) -> float:
    """Root mean square error at each depth when fitted to the others."""
    errors: list[float] = []
    for depth in np.unique(n):
        out = n == depth
        law = _fit(name, n[~out], y[~out])
        # A fitted logarithm may vanish below the depths it was fitted to: no prediction there.
        with np.errstate(invalid="ignore", divide="ignore"):
            missed = y[out] - law.predict(n[out])
        errors.append(float(np.mean(np.where(np.isfinite(missed), missed, np.inf) ** 2)))
    return sqrt(sum(errors) / len(errors))
