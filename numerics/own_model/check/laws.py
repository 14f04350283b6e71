"""Which law a measured quantity follows in the size N: bounded, log N, N^p or exponential.

Every law is fitted to the logarithms of the values, so that the scatter of seeds is relative:

    bounded       a, or a + b/N that settles at a > 0
    log N         a + b log N, b > 0
    N^p           a N^p, p > 0
    exponential   a e^(cN) or a e^(c√N), c > 0

A law is chosen where Akaike's corrected criterion prefers it to the best of every other law by the
tolerance ``growth-evidence`` and it predicts a left-out N best among those that grow. That the
harmonic sum of 1/(2l) is a logarithm and no power is decided here: a slope alone cannot.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, isfinite, log, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from numerics.statistics.exponents import Exponent, NoExponent, cautious
from numerics.statistics.tolerances import tolerance
from theory.errors import InputError

LawName = Literal["bounded", "log N", "N^p", "exponential"]
LAWS: tuple[LawName, ...] = ("bounded", "log N", "N^p", "exponential")
LEAST_SIZES = 4
"""Three are fitted exactly by too many laws; a left-out one must leave three."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class FittedLaw:
    """One curve: log value = scale + shape(N)."""

    name: LawName
    form: str
    """The formula that was fitted."""
    parameter: float
    scale: float
    residual: float
    """Residual sum of squares of the logarithms."""
    free: int
    """Fitted numbers."""
    reference: float
    """The least N, at which no curve may vanish."""

    def predict(self, sizes: Sequence[int | float]) -> list[float]:
        """Values at these N."""
        n = np.asarray(sizes, dtype=float)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            shape = _FORMS[self.form].shape(self.parameter, n, self.reference)
            return [float(v) for v in np.exp(self.scale + shape)]


@dataclass(frozen=True)
class GrowthLaw:
    """The choice among the laws, and the exponent of the straight line on log–log axes."""

    law: LawName | None
    """The chosen law; ``None`` where the data do not decide."""
    unbounded: bool | None
    """Whether the value grows without bound; ``None`` where the data do not decide."""
    exponent: Exponent | NoExponent
    deficit: Mapping[str, float]
    """Akaike's difference by law, 0 for the best; infinite where the law cannot be fitted."""
    fits: Mapping[str, FittedLaw]
    """The best curve of each law."""
    reason: str
    """How it was decided, in a few words."""

    @property
    def curve(self) -> FittedLaw | None:
        """The curve of the chosen law, or of the best where none is chosen."""
        if self.law is not None and self.law in self.fits:
            return self.fits[self.law]
        known = [name for name in self.deficit if name in self.fits]
        return self.fits[min(known, key=self.deficit.__getitem__)] if known else None

    def __str__(self) -> str:
        if self.law == "N^p" and isinstance(self.exponent, Exponent):
            return f"N^{self.exponent.value:.2f}"
        if self.law is None and self.unbounded:
            return "grows"
        return self.law or "open"


@dataclass(frozen=True)
class _Form:
    law: LawName
    shape: Callable[[float, Vector, float], Vector]
    bounds: Callable[[float], tuple[float, float]] | None
    """Range of the parameter; ``None``: no parameter."""


_FORMS: Mapping[str, _Form] = {
    "a": _Form("bounded", lambda _, n, least: 0 * n * least, None),
    "a + b/N": _Form(
        "bounded",
        lambda b, n, _: np.log(np.maximum(1 + b / n, 1e-300)),
        lambda least: (-0.999 * least, 20.0 * least),
    ),
    "a + b log N": _Form(
        "log N",
        lambda b, n, least: np.log(np.maximum(1 + b * np.log(n / least), 1e-300)),
        lambda _: (0.0, 1e3),
    ),
    "a N^p": _Form("N^p", lambda p, n, _: p * np.log(n), lambda _: (0.0, 50.0)),
    "a e^(c√N)": _Form("exponential", lambda c, n, _: c * np.sqrt(n), lambda _: (0.0, 100.0)),
    "a e^(cN)": _Form("exponential", lambda c, n, _: c * n, lambda _: (0.0, 100.0)),
}


def growth_law(sizes: Sequence[int | float], values: Sequence[float]) -> GrowthLaw:
    """The law that measured values follow.

    Parameters
    ----------
    sizes, values
        One entry per measurement; sizes repeat where there are several seeds.

    Returns
    -------
    GrowthLaw
        Values that are not finite from some N on grow; values that are all 0 are bounded. With
        fewer than four sizes there is an exponent and no law.

    Examples
    --------
    >>> n = [2, 4, 8, 16, 32] * 2
    >>> noise = [1.03, 0.98, 1.01, 0.99, 1.02, 0.97, 1.02, 0.99, 1.0, 0.98]
    >>> growth_law(n, [3 * x * e for x, e in zip(n, noise)]).law
    'N^p'
    >>> growth_law(n, [3 * (1 - 0.5 / x) * e for x, e in zip(n, noise)]).unbounded
    False
    """
    if len(sizes) != len(values):
        raise InputError(f"sizes and values must pair up, got {len(sizes)} and {len(values)}")
    if all(value == 0 for value in values):
        return GrowthLaw("bounded", False, NoExponent("always 0"), {}, {}, "always 0")
    if broken := [size for size, value in zip(sizes, values, strict=True) if not isfinite(value)]:
        reason = f"not finite from {min(broken):g}"
        return GrowthLaw(None, True, NoExponent(reason), {}, {}, reason)
    fit = cautious(sizes, values)
    if isinstance(fit, NoExponent):
        return GrowthLaw(None, None, fit, {}, {}, fit.reason)
    if len(fit.depths) < LEAST_SIZES:
        return _by_exponent(fit, {}, {}, f"fewer than {LEAST_SIZES} sizes")
    n, y = np.asarray(sizes, dtype=float), np.log(np.asarray(values, dtype=float))
    least = float(n.min())
    best = {form: _fit(form, n, y, least) for form in _FORMS}
    scores = {form: _criterion(law, len(n)) for form, law in best.items()}
    fits = {
        law: best[min((f for f in _FORMS if _FORMS[f].law == law), key=scores.__getitem__)]
        for law in LAWS
    }
    first = min(scores.values())
    deficit = {law: scores[fits[law].form] - first for law in LAWS}
    return _chosen(fit, deficit, fits, n, y)


def _chosen(
    fit: Exponent,
    deficit: Mapping[str, float],
    fits: Mapping[str, FittedLaw],
    n: Vector,
    y: Vector,
) -> GrowthLaw:
    evidence = tolerance("growth-evidence")
    growing: list[LawName] = [law for law in LAWS if law != "bounded"]
    rival = min(deficit[law] for law in growing)
    flat = tolerance("flat-exponent")
    if fit.interval[1] <= flat:
        why = f"the exponent's interval ends at {fit.interval[1]:+.3f}"
        return GrowthLaw("bounded", False, fit, deficit, fits, why)
    if deficit["bounded"] - rival < evidence:
        if fit.interval[1] <= tolerance("nearly-flat-exponent"):
            why = f"no law beats it, and the interval ends at {fit.interval[1]:+.3f}"
            return GrowthLaw("bounded", False, fit, deficit, fits, why)
        if deficit["bounded"] <= rival and _settles(fits["bounded"], n, y):
            return GrowthLaw("bounded", False, fit, deficit, fits, f"{fits['bounded'].form} fits")
        return _by_exponent(fit, deficit, fits, "bounded and growing laws fit alike")
    best = min(growing, key=lambda law: deficit[law])
    second = min(deficit[law] for law in growing if law != best)
    if fit.interval[0] <= flat:
        return GrowthLaw(None, None, fit, deficit, fits, "no law fits and the slope is open")
    held_out = {law: _held_out(fits[law].form, n, y) for law in growing}
    if best == "N^p" and fit.value < tolerance("slow-power"):
        evidence *= SLOW_EVIDENCE
    if second - deficit[best] >= evidence and best == min(growing, key=held_out.__getitem__):
        return GrowthLaw(best, True, fit, deficit, fits, f"Akaike difference {second:.1f}")
    return GrowthLaw(None, True, fit, deficit, fits, "grows; two laws fit alike")


def _settles(curve: FittedLaw, n: Vector, y: Vector) -> bool:
    """Whether a settling curve has no more than a tenth to go, and the later half shows it.

    The later half of the sizes must have a slope whose interval stays below the bound
    ``settled-exponent``: few points fit a constant as well as anything.
    """
    reached, last = curve.predict([float(n.max()), 1e9])
    if last > 1.1 * reached:
        return False
    sizes = np.unique(n)
    late = n >= sizes[len(sizes) // 2 - (len(sizes) < 5)]
    fit = cautious([float(x) for x in n[late]], [float(v) for v in np.exp(y[late])])
    return isinstance(fit, Exponent) and fit.interval[1] <= tolerance("settled-exponent")


def _by_exponent(
    fit: Exponent, deficit: Mapping[str, float], fits: Mapping[str, FittedLaw], why: str
) -> GrowthLaw:
    """Without a law: a slope that lies clear of what any settling curve shows is growth."""
    low, high = fit.interval
    if high <= tolerance("flat-exponent"):
        return GrowthLaw("bounded", False, fit, deficit, fits, "flat or falling")
    if low >= tolerance("clear-exponent"):
        return GrowthLaw(None, True, fit, deficit, fits, f"{why}; the slope is at least {low:.2f}")
    return GrowthLaw(None, None, fit, deficit, fits, why)


SLOW_EVIDENCE = 3
"""Times ``growth-evidence`` that a power below ``slow-power`` needs against a logarithm."""


def _fit(form: str, n: Vector, y: Vector, least: float) -> FittedLaw:
    kind = _FORMS[form]
    if kind.bounds is None:
        return _with_scale(form, 0.0, n, y, least)
    low, high = kind.bounds(least)

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
    found: Any = optimize.minimize_scalar(residual, bounds=around, method="bounded")
    parameter = float(found.x) if found.fun < scores[at] else float(grid[at])
    return _with_scale(form, parameter, n, y, least)


def _with_scale(form: str, parameter: float, n: Vector, y: Vector, least: float) -> FittedLaw:
    rest = y - _FORMS[form].shape(parameter, n, least)
    scale = float(rest.mean())
    free = 1 if _FORMS[form].bounds is None else 2
    left = float(((rest - scale) ** 2).sum())
    return FittedLaw(_FORMS[form].law, form, parameter, scale, left, free, least)


def _criterion(law: FittedLaw, points: int) -> float:
    """Akaike's corrected criterion up to a constant; the scatter is one more fitted number."""
    k = law.free + 1
    correction = 2 * k * (k + 1) / max(points - k - 1, 0.5)
    # Below a part in 10⁶ laws differ by rounding and by terms that nobody measures.
    return points * log(law.residual / points + 1e-12) + 2 * k + correction


def _held_out(form: str, n: Vector, y: Vector) -> float:
    """Root mean square error of log value at each size when fitted to the others."""
    errors: list[float] = []
    for size in np.unique(n):
        out = n == size
        law = _fit(form, n[~out], y[~out], float(n.min()))
        with np.errstate(divide="ignore", invalid="ignore"):
            predicted = np.log([max(v, exp(-700)) for v in law.predict([float(x) for x in n[out]])])
        errors.append(float(np.mean((y[out] - predicted) ** 2)))
    return sqrt(sum(errors) / len(errors))
