"""Curves that a quantity may follow in the size N, fitted alike and compared by one criterion.

Every form is fitted to the logarithms of the values, so that the scatter of seeds is relative:

    log value = s + shape(N),    s the scale, shape with at most one parameter

For M measurements and residual sum of squares R, a form with k fitted numbers (the scatter is one)
has Akaike's corrected criterion

    M log(R/M) + 2k + 2k(k + 1)/(M − k − 1).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from numerics.statistics.tolerances import tolerance

Vector = NDArray[np.float64]
ROUNDING = 1e-12
"""Added to R/M: below a part in 10⁶ forms differ by rounding and by terms that nobody measures."""


@dataclass(frozen=True)
class Form:
    """A family of curves that a growth may follow."""

    shape: Callable[[float, Vector, float], Vector]
    """The curve's values, from the parameter, the sizes, and the least size, at which no curve may
    vanish."""
    bounds: Callable[[float], tuple[float, float]] | None = None
    """Range of the parameter by the least size; ``None``: no parameter."""
    abscissa: Callable[[Vector], Vector] | None = None
    """What the shape is proportional to, where it is: then the fit is a straight line."""


FORMS: Mapping[str, Form] = {
    "a": Form(lambda _, n, least: 0 * n * least),
    "a + b/N": Form(
        lambda b, n, _: np.log(np.maximum(1 + b / n, 1e-300)),
        lambda least: (-0.999 * least, 20.0 * least),
    ),
    # The same curves as a + b log N with both signs of a, written so that none vanishes.
    "a + b log N": Form(
        lambda b, n, least: np.log(np.maximum(1 + b * np.log(n / least), 1e-300)),
        lambda _: (0.0, 1e3),
    ),
    "a N^p": Form(lambda p, n, _: p * np.log(n), lambda _: (0.0, 50.0), np.log),
    "a e^(c√N)": Form(lambda c, n, _: c * np.sqrt(n), lambda _: (0.0, 100.0), np.sqrt),
    "a e^(cN)": Form(lambda c, n, _: c * n, lambda _: (0.0, 100.0), np.positive),
}
"""By formula. Growing forms do not fall: at the end of their range all are the constant."""


@dataclass(frozen=True)
class FittedForm:
    """One curve: log value = scale + shape(N)."""

    form: str
    """The formula that was fitted, one of `FORMS`."""
    parameter: float
    scale: float
    residual: float
    """R, the residual sum of squares of the logarithms."""
    free: int
    """Fitted numbers, without the scatter."""
    reference: float
    """The least N, at which no curve may vanish."""

    def predict(self, sizes: Sequence[int | float]) -> list[float]:
        """The curve's values at these N."""
        n = np.asarray(sizes, dtype=float)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            shape = FORMS[self.form].shape(self.parameter, n, self.reference)
            return [float(v) for v in np.exp(self.scale + shape)]


@dataclass(frozen=True)
class Preference:
    """Several forms on the same measurements."""

    fits: Mapping[str, FittedForm]
    """By form."""
    deficit: Mapping[str, float]
    """Akaike's difference by form, 0 for the best."""

    @property
    def best(self) -> str:
        """The form with the least criterion."""
        return min(self.deficit, key=self.deficit.__getitem__)


def compare_forms(forms: Sequence[str], n: Vector, y: Vector) -> Preference:
    """Fit candidate forms to logarithms ``y`` of values at sizes ``n``, and rank them.

    Examples
    --------
    >>> n = np.array([2.0, 4.0, 8.0, 16.0])
    >>> compare_forms(["a", "a N^p"], n, np.log(3 * n**0.5)).best
    'a N^p'
    """
    fits = {form: fit_form(form, n, y, float(n.min())) for form in forms}
    scores = {form: _criterion(fit, len(n)) for form, fit in fits.items()}
    least = min(scores.values())
    return Preference(fits, {form: score - least for form, score in scores.items()})


def is_preferred(
    best: str, forms: Sequence[str], deficit: Mapping[str, float], n: Vector, y: Vector,
    *, evidence: float | None = None,
) -> bool:  # fmt: skip
    """Whether a form beats every rival by the evidence asked, and predicts left-out sizes best.

    ``evidence`` is the difference of the criterion; by default the tolerance ``growth-evidence``.
    """
    asked = tolerance("growth-evidence") if evidence is None else evidence
    if min(deficit[form] for form in forms if form != best) - deficit[best] < asked:
        return False
    errors = {form: held_out(form, n, y) for form in forms}
    return best == min(forms, key=errors.__getitem__)


def fit_form(form: str, n: Vector, y: Vector, least: float) -> FittedForm:
    """The curve of a form with the least residual sum of squares."""
    kind = FORMS[form]
    if kind.bounds is None:
        return _with_scale(form, 0.0, n, y, least)
    low, high = kind.bounds(least)
    if kind.abscissa is not None:
        x = kind.abscissa(n)
        centred = x - x.mean()
        slope = float(centred @ (y - y.mean()) / (centred @ centred))
        return _with_scale(form, min(max(slope, low), high), n, y, least)

    def residual(parameter: float) -> float:
        with np.errstate(over="ignore"):
            rest = y - kind.shape(parameter, n, least)
        return float(rest.var()) if np.isfinite(rest).all() else inf

    # A grid that is fine near 0 and reaches the ends, then a local search around its best point.
    positive = np.concatenate([[0.0], np.geomspace(1e-6, 1.0, 160)])
    grid = np.unique(np.concatenate([low * positive, high * positive]))
    grid = grid[(grid >= low) & (grid <= high)]
    scores = [residual(float(p)) for p in grid]
    at = int(np.argmin(scores))
    around = float(grid[max(at - 1, 0)]), float(grid[min(at + 1, len(grid) - 1)])
    found: Any = optimize.minimize_scalar(
        residual, bounds=around, method="bounded", options={"xatol": 1e-9 * max(around[1], 1e-3)}
    )
    parameter = float(found.x) if found.fun < scores[at] else float(grid[at])
    return _with_scale(form, parameter, n, y, least)


def _with_scale(form: str, parameter: float, n: Vector, y: Vector, least: float) -> FittedForm:
    rest = y - FORMS[form].shape(parameter, n, least)
    scale = float(rest.mean())
    free = 1 if FORMS[form].bounds is None else 2
    return FittedForm(form, parameter, scale, float(((rest - scale) ** 2).sum()), free, least)


def _criterion(fit: FittedForm, points: int) -> float:
    k = fit.free + 1
    correction = 2 * k * (k + 1) / max(points - k - 1, 0.5)
    return points * log(fit.residual / points + ROUNDING) + 2 * k + correction


def held_out(form: str, n: Vector, y: Vector) -> float:
    """Root mean square error of log value at each size when fitted to the others."""
    errors: list[float] = []
    for size in np.unique(n):
        out = n == size
        fit = fit_form(form, n[~out], y[~out], float(n.min()))
        with np.errstate(divide="ignore", invalid="ignore"):
            predicted = np.log([max(v, exp(-700)) for v in fit.predict([float(x) for x in n[out]])])
        errors.append(float(np.mean((y[out] - predicted) ** 2)))
    return sqrt(sum(errors) / len(errors))
