"""Which law a measured quantity follows in the size N: bounded, log N, N^p or exponential.

    bounded       a, or a + b/N that settles at a > 0
    log N         a + b log N, b > 0
    N^p           a N^p, p > 0
    exponential   a e^(cN) or a e^(c√N), c > 0

A law is chosen where Akaike's corrected criterion prefers it to the best of every other law by the
tolerance ``growth-evidence`` and it predicts a left-out N best among those that grow. That the
harmonic sum of 1/(2l) is a logarithm and no power is decided here: a slope alone cannot. `growth`
chooses among candidates that are all known to grow, `growth_law` also whether anything grows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np

from numerics.statistics.exponents import Exponent, NoExponent, cautious
from numerics.statistics.growth_forms import (
    FittedForm,
    Vector,
    compare_forms,
    held_out,
    is_preferred,
)
from numerics.statistics.tolerances import tolerance
from theory.errors import InputError

LawName = Literal["bounded", "log N", "N^p", "exponential"]
LAWS: Mapping[LawName, tuple[str, ...]] = {
    "bounded": ("a", "a + b/N"),
    "log N": ("a + b log N",),
    "N^p": ("a N^p",),
    "exponential": ("a e^(c√N)", "a e^(cN)"),
}
"""The forms of `numerics.statistics.growth_forms` that each law stands for."""
LOGARITHM, POWER, EXPONENTIAL = "log N", "N^p", "e^(c√N)"
GROWING: Mapping[str, str] = {
    LOGARITHM: "a + b log N",
    POWER: "a N^p",
    EXPONENTIAL: "a e^(c√N)",
}
"""Candidates with two fitted numbers each, for values that are known to grow."""
LEAST_SIZES = 4
"""Three are fitted exactly by too many laws; a left-out one must leave three."""
SLOW_EVIDENCE = 3
"""Times ``growth-evidence`` that a power below ``slow-power`` needs against a logarithm."""


@dataclass(frozen=True)
class Growth:
    """The choice among candidates."""

    best: str | None
    """Name of the chosen candidate, or ``None`` if undecided."""
    deficit: Mapping[str, float]
    """Akaike's Δ by candidate, 0 for the best."""
    held_out: Mapping[str, float]
    """Root mean square error of log value at left-out sizes, by candidate."""
    fits: Mapping[str, FittedForm]
    """The curves, by candidate."""

    def __str__(self) -> str:
        rivals = ", ".join(f"{name} {value:.1f}" for name, value in self.deficit.items())
        return f"{self.best or 'undecided'} (Δ: {rivals})"


@dataclass(frozen=True)
class GrowthLaw:
    """The choice among the laws, and the exponent of the straight line on log–log axes."""

    law: LawName | None
    """The chosen law; ``None`` where the data do not decide."""
    unbounded: bool | None
    """Whether the value grows without bound; ``None`` where the data do not decide."""
    exponent: Exponent | NoExponent
    deficit: Mapping[str, float]
    """Akaike's difference by law, 0 for the best; empty where none was fitted."""
    fits: Mapping[str, FittedForm]
    """The best curve of each law."""
    reason: str
    """How it was decided, in a few words."""

    @property
    def curve(self) -> FittedForm | None:
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


def growth(
    sizes: Sequence[int | float],
    values: Sequence[float],
    candidates: Mapping[str, str] = GROWING,
) -> Growth:
    """The candidate that measured values follow, if the data decide.

    Parameters
    ----------
    sizes, values
        One entry per measurement, all positive; repeated sizes where there are several seeds.
    candidates
        A formula of `numerics.statistics.growth_forms.FORMS` by name.

    Returns
    -------
    Growth
        ``best`` is ``None`` unless every rival's Δ is at least the tolerance table's
        ``growth-evidence`` and the same candidate predicts left-out sizes best. Flat data are
        always undecided: each growing form contains the constant.

    Raises
    ------
    InputError
        If a value is not positive and finite, a size is below 1, or there are fewer than four
        distinct sizes.

    References
    ----------
    Burnham & Anderson, *Model Selection and Multimodel Inference*, 2nd ed., §2.6: models with
    Δ > 4–7 have considerably less support.

    Examples
    --------
    >>> sizes = [6, 12, 24, 48, 96]
    >>> growth(sizes, [3 * n**0.5 * (1 + n % 5 / 100) for n in sizes]).best
    'N^p'
    >>> print(growth(sizes, [2.0, 2.1, 1.9, 2.0, 2.1]).best)
    None
    """
    n, y = _checked(sizes, values)
    forms = tuple(candidates.values())
    found = compare_forms(forms, n, y)
    chosen = found.best if is_preferred(found.best, forms, found.deficit, n, y) else None
    return Growth(
        next((name for name, form in candidates.items() if form == chosen), None),
        {name: found.deficit[form] for name, form in candidates.items()},
        {name: held_out(form, n, y) for name, form in candidates.items()},
        {name: found.fits[form] for name, form in candidates.items()},
    )


def _checked(sizes: Sequence[int | float], values: Sequence[float]) -> tuple[Vector, Vector]:
    _require_pairs(sizes, values)
    if len(set(sizes)) < LEAST_SIZES:
        raise InputError(f"growth needs {LEAST_SIZES} distinct sizes, got {len(set(sizes))}")
    if min(sizes) < 1:
        raise InputError(f"sizes must be at least 1, got {min(sizes)}")
    if broken := [value for value in values if not (isfinite(value) and value > 0)]:
        raise InputError(f"values must be positive and finite, got {broken[0]}")
    return _vectors(sizes, values)


def _require_pairs(sizes: Sequence[int | float], values: Sequence[float]) -> None:
    if len(sizes) != len(values):
        raise InputError(f"sizes and values must pair up, got {len(sizes)} and {len(values)}")


def _vectors(sizes: Sequence[int | float], values: Sequence[float]) -> tuple[Vector, Vector]:
    return np.asarray(sizes, dtype=float), np.log(np.asarray(values, dtype=float))


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
    _require_pairs(sizes, values)
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
    n, y = _vectors(sizes, values)
    found = compare_forms([form for forms in LAWS.values() for form in forms], n, y)
    best = {law: min(forms, key=found.deficit.__getitem__) for law, forms in LAWS.items()}
    deficit = {law: found.deficit[form] for law, form in best.items()}
    fits = {law: found.fits[form] for law, form in best.items()}
    return _chosen(fit, deficit, fits, n, y)


def _chosen(
    fit: Exponent,
    deficit: Mapping[str, float],
    fits: Mapping[str, FittedForm],
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
    if best == "N^p" and fit.value < tolerance("slow-power"):
        evidence *= SLOW_EVIDENCE
    by_form = {fits[law].form: deficit[law] for law in growing}
    if is_preferred(fits[best].form, tuple(by_form), by_form, n, y, evidence=evidence):
        return GrowthLaw(best, True, fit, deficit, fits, f"Akaike difference {second:.1f}")
    return GrowthLaw(None, True, fit, deficit, fits, "grows; two laws fit alike")


def _settles(curve: FittedForm, n: Vector, y: Vector) -> bool:
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
    fit: Exponent, deficit: Mapping[str, float], fits: Mapping[str, FittedForm], why: str
) -> GrowthLaw:
    """Without a law: a slope that lies clear of what any settling curve shows is growth."""
    low, high = fit.interval
    if high <= tolerance("flat-exponent"):
        return GrowthLaw("bounded", False, fit, deficit, fits, "flat or falling")
    if low >= tolerance("clear-exponent"):
        return GrowthLaw(None, True, fit, deficit, fits, f"{why}; the slope is at least {low:.2f}")
    return GrowthLaw(None, None, fit, deficit, fits, why)
