"""How a law of growth is chosen: each criterion by its formula, each bound from both sides."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from numerics.statistics import growth_forms, growth_laws
from numerics.statistics.exponents import Exponent, NoExponent
from numerics.statistics.growth_forms import FittedForm, fit_form, held_out
from numerics.statistics.growth_laws import GrowthLaw, growth, growth_law
from theory.errors import InputError

SIZES = [float(n) for n in (2, 4, 8, 16, 32, 64) for _ in range(3)]
SHAPES: dict[str, Callable[[float], float]] = {
    "a": lambda n: 3.0 + 0 * n,
    "a + b/N": lambda n: 3.0 * (1 - 1.5 / n),
    "a + b log N": lambda n: 3.0 * (1 + 2.5 * math.log(n / 2)),
    "a N^p": lambda n: 3.0 * n**0.7,
    "a e^(c√N)": lambda n: 3.0 * math.exp(0.6 * math.sqrt(n)),
    "a e^(cN)": lambda n: 3.0 * math.exp(0.2 * n),
}
PARAMETERS = {"a": 0, "a + b/N": -1.5, "a + b log N": 2.5, "a N^p": 0.7, "a e^(c√N)": 0.6}
PARAMETERS["a e^(cN)"] = 0.2
NAMES = {"a": "bounded", "a + b/N": "bounded", "a + b log N": "log N", "a N^p": "N^p"}


@pytest.mark.parametrize("form", SHAPES)
def test_every_form_finds_its_parameter_and_predicts(form: str) -> None:
    n = np.array(SIZES)
    y = np.log([SHAPES[form](x) for x in SIZES])
    found = fit_form(form, n, y, 2.0)
    assert found.parameter == pytest.approx(PARAMETERS[form], abs=1e-4)
    assert found.scale == pytest.approx(math.log(3), abs=1e-3)
    assert found.residual == pytest.approx(0, abs=1e-6)
    assert found.free == (1 if form == "a" else 2)
    assert found.reference == 2
    assert found.form == form
    (law,) = (law for law, forms in growth_laws.LAWS.items() if form in forms)
    assert law == NAMES.get(form, "exponential")
    assert found.predict([2, 100]) == pytest.approx(
        [SHAPES[form](2.0), SHAPES[form](100.0)], rel=1e-2
    )
    assert held_out(form, n, y) < 1e-2


def test_the_residual_and_the_error_at_left_out_sizes() -> None:
    n, y = np.array([2.0, 4, 8, 16]), np.array([0.0, 1.0, 1.0, 2.5])
    line = np.polyfit(np.log(n), y, 1)
    left = float(((np.polyval(line, np.log(n)) - y) ** 2).sum())
    assert fit_form("a N^p", n, y, 2.0).residual == pytest.approx(left)
    missed = []
    for at in range(4):
        rest = [i for i in range(4) if i != at]
        line = np.polyfit(np.log(n[rest]), y[rest], 1)
        missed.append((np.polyval(line, np.log(n[at])) - y[at]) ** 2)
    assert held_out("a N^p", n, y) == pytest.approx(math.sqrt(np.mean(missed)), rel=1e-4)
    assert fit_form("a", n, y, 2.0).residual == pytest.approx(float(((y - y.mean()) ** 2).sum()))


@pytest.mark.parametrize(("free", "points"), [(1, 8), (2, 8), (2, 30), (2, 4), (2, 3)])
def test_the_criterion_is_akaikes_corrected_one(free: int, points: int) -> None:
    law = FittedForm("a N^p", 1.0, 0.0, 0.36, free, 2.0)
    k = free + 1
    left = max(points - k - 1, 0.5)
    wanted = points * math.log(0.36 / points) + 2 * k + 2 * k * (k + 1) / left
    assert growth_forms._criterion(law, points) == pytest.approx(wanted)


def test_differences_are_from_the_best_law() -> None:
    found = growth_law(
        SIZES, [n**0.5 * math.exp(0.05 * math.sin(7 * i)) for i, n in enumerate(SIZES)]
    )
    scores = {law: growth_forms._criterion(fit, len(SIZES)) for law, fit in found.fits.items()}
    assert min(found.deficit.values()) == 0
    for law, score in scores.items():
        assert found.deficit[law] == pytest.approx(score - min(scores.values()))
    assert found.law == "N^p"
    assert found.unbounded is True
    assert found.curve is found.fits["N^p"]
    assert isinstance(found.exponent, Exponent)
    assert str(found) == f"N^{found.exponent.value:.2f}"
    assert found.reason.startswith("Akaike difference ")


WHY = "as its interval has it"
FITS = {
    "bounded": FittedForm("a", 0.0, 0.0, 1.0, 1, 2.0),
    "N^p": FittedForm("a N^p", 1.0, 0.0, 1.0, 2, 2.0),
}


def by_exponent(low: float, high: float) -> GrowthLaw:
    fit = Exponent((low + high) / 2, (low, high), (2, 4, 8), 9)
    found = growth_laws._by_exponent(fit, {"bounded": 3.0, "N^p": 0.0}, FITS, WHY)  # pyright: ignore[reportArgumentType]
    assert found.exponent is fit
    assert found.deficit == {"bounded": 3.0, "N^p": 0.0}
    assert found.fits is FITS
    return found


@pytest.mark.parametrize(
    ("low", "high", "law", "unbounded"),
    [
        (-0.2, 0.05, "bounded", False),
        (-0.2, 0.051, None, None),
        (0.35, 0.9, None, True),
        (0.349, 0.9, None, None),
    ],
)
def test_without_a_law_the_slope_decides(
    low: float, high: float, law: str | None, unbounded: bool | None
) -> None:
    found = by_exponent(low, high)
    assert (found.law, found.unbounded) == (law, unbounded)
    assert found.curve is FITS["bounded" if law else "N^p"]
    assert str(found) == (law or ("grows" if unbounded else "open"))
    assert WHY in found.reason or found.law


def test_what_decides_is_told() -> None:
    flat = growth_law(SIZES, [3.0 + 0.001 * (i % 3) for i in range(len(SIZES))])
    assert (flat.law, flat.unbounded) == ("bounded", False)
    assert flat.reason.startswith("the exponent's interval ends at")
    assert set(flat.fits) == set(flat.deficit) == {"bounded", "log N", "N^p", "exponential"}
    few = growth_law([2, 4, 8] * 2, [2.0, 4.1, 8.0, 2.1, 4.0, 7.9])
    assert few.reason.startswith("fewer than 4 sizes; the slope is at least 0.89")
    assert few.curve is None
    broken = growth_law([2, 4, 8, 16], [1.0, 2.0, math.inf, math.nan])
    assert broken.exponent == NoExponent("not finite from 8")
    assert (broken.law, broken.unbounded, broken.reason) == (None, True, "not finite from 8")
    dark = growth_law([2, 4, 8, 16], [1.0, 0.0, 1.0, 1.0])
    assert (dark.law, dark.unbounded, dark.reason) == (None, None, "not positive at N = 4")
    dead = growth_law([2, 4], [0.0, 0.0])
    assert (dead.law, dead.unbounded, dead.reason) == ("bounded", False, "always 0")
    assert dead.exponent == NoExponent("always 0")
    with pytest.raises(InputError, match="pair up, got 2 and 1"):
        growth_law([2, 4], [1.0])


def test_a_slow_power_needs_three_times_the_evidence() -> None:
    assert growth_laws.SLOW_EVIDENCE == 3
    slow = growth_law(
        SIZES, [n**0.3 * math.exp(0.04 * math.sin(5 * i)) for i, n in enumerate(SIZES)]
    )
    best, second = sorted(slow.deficit, key=slow.deficit.__getitem__)[:2]
    assert (best, second) == ("N^p", "log N")
    assert slow.law == ("N^p" if slow.deficit["log N"] >= 18 else None)
    assert slow.unbounded


@pytest.mark.parametrize(("share", "settles"), [(0.2, True), (0.8, True)])
def test_values_on_the_way_to_a_bound(share: float, settles: bool) -> None:
    values = [3 - 3 * share / n for n in SIZES]
    assert (growth_law(SIZES, values).law == "bounded") is settles
    far = FittedForm("a + b/N", -40.0, 0.0, 0.0, 2, 64.0)
    assert not growth_laws._settles(far, np.array(SIZES), np.log(values))


def test_growth_is_akaikes_choice_of_least_squares() -> None:
    depths = np.array([4.0, 4, 8, 8, 16, 16, 32, 32, 64, 64])
    noise = np.random.default_rng(1).normal(0, 0.05, len(depths))
    own = 0.8 * depths**0.6 * np.exp(noise)
    found = growth(depths.tolist(), own.tolist())
    assert found.best == "N^p"
    lines = {"N^p": np.log, "e^(c√N)": np.sqrt}
    for name, line in lines.items():
        curve = np.polyfit(line(depths), np.log(own), 1)
        left = float(((np.polyval(curve, line(depths)) - np.log(own)) ** 2).sum())
        assert found.fits[name].residual == pytest.approx(left, rel=1e-6)
        squares = []
        for depth in np.unique(depths):
            out = depths == depth
            curve = np.polyfit(line(depths[~out]), np.log(own[~out]), 1)
            squares.append(np.mean((np.log(own[out]) - np.polyval(curve, line(depths[out]))) ** 2))
        assert found.held_out[name] == pytest.approx(math.sqrt(np.mean(squares)))
    ratio = found.fits["e^(c√N)"].residual / found.fits["N^p"].residual
    assert found.deficit["e^(c√N)"] == pytest.approx(len(depths) * math.log(ratio), rel=1e-6)
    assert str(found).startswith("N^p (Δ: log N ")
    assert "N^p 0.0" in str(found)
    assert str(growth([2, 4, 8, 16], [1.0, 1.0, 1.0, 1.0])).startswith("undecided (Δ")


@pytest.mark.parametrize(
    ("sizes", "values", "words"),
    [
        ([2, 4, 8], [1.0, 2.0, 3.0], "4 distinct sizes, got 3"),
        ([0.5, 4, 8, 16], [1.0] * 4, "at least 1, got 0.5"),
        ([2, 4, 8, 16], [1.0, 2.0, 0.0, 3.0], "positive and finite, got 0.0"),
        ([2, 4, 8, 16], [1.0, 2.0, math.inf, 3.0], "positive and finite, got inf"),
        ([2, 4, 8, 16], [1.0], "pair up, got 4 and 1"),
    ],
)
def test_sizes_and_values_of_growth_are_checked(sizes, values, words) -> None:
    with pytest.raises(InputError, match=words):
        growth(sizes, values)
