"""RAdam's variance measured: Adam's adaptive factor over drawn Gaussian gradients.

At ρ = 1, the first step, the variance of n values grows as n, as it does for a law without a mean.
At larger ρ the variance and its first-order form are compared with `theory.radam.variance`.
"""

from collections.abc import Iterator
from itertools import pairwise

import torch

from numerics.measure.adaptive_factor import adaptive_factors, sampled_variance
from numerics.statistics.estimates import Estimate, all_of
from numerics.statistics.exponents import fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Observation, Reading, provides
from theory.radam.variance import first_order, first_order_error, variance_at

SIZES = (100, 1_000, 10_000, 100_000)
REPEATS = 16
NORMALS = 8_000_000
"""Gradients drawn at each ρ."""
DEGREES = (5, 10, 29, 100, 500)
SCOPE = f"ρ = {DEGREES[0]}…{DEGREES[-1]}, {NORMALS:,} gradients each"


def variances(degrees: int, generator: torch.Generator) -> list[tuple[float, float]]:
    """Pairs of n and the variance of n values of ψ, ``REPEATS`` times for each of ``SIZES``."""
    return [
        (float(size), float(adaptive_factors(degrees, size, generator).var()))
        for size in SIZES
        for _ in range(REPEATS)
    ]


@provides("radam.divergent", kind=Kind.MEASUREMENT)
def divergent(context: Context) -> Iterator[Observation]:
    """The variance of n first factors grows with n; that of averages over five does not."""
    generator = torch.Generator().manual_seed(context.seed)
    first, fifth = (
        fitted(power_law(*zip(*variances(degrees, generator), strict=True))) for degrees in (1, 5)
    )
    margin = tolerance("sampled-exponent")
    yield Observation(
        scope=f"n = {SIZES[0]}…{SIZES[-1]}, {REPEATS} repeats",
        passed=first.value > 0 and first.equivalent(0.0, margin) is False,
        summary=f"the variance of n values of 1/|g| grows as n^{first.value:.2f} up to "
        f"n = {SIZES[-1]:,}: a law with tails P(x) ~ 1/x gives n^1",
        control=Control(
            f"at ρ = 5 the same fit must see none: n^{fifth.value:+.2f}",
            fifth.equivalent(0.0, margin) is True,
        ),
        value=first.value,
        expected=f"above {margin:g}",
        interval=first.interval,
        details={"sizes": SIZES, "repeats": REPEATS},
    )


def _measured(seed: int) -> dict[int, Estimate]:
    generator = torch.Generator().manual_seed(seed)
    return {
        degrees: sampled_variance(degrees, NORMALS // degrees, generator) for degrees in DEGREES
    }


def _near(found: Estimate, exact: float) -> bool | None:
    margin = tolerance("sampled-variance")
    return found.within(exact, exact * margin)


@provides("radam.variance", "radam.approx", kind=Kind.MEASUREMENT)
def moments(context: Context) -> Iterator[Observation]:
    """Var[ψ] at several ρ against the exact formula, and the first-order form against Var[ψ]."""
    found = _measured(context.seed)
    falling = all(found[a].low > found[b].high for a, b in pairwise(DEGREES))
    agree = all_of([_near(found[rho], variance_at(rho)) for rho in DEGREES])
    yield Observation(
        scope=SCOPE,
        claim="radam.variance",
        passed=all_of([agree, falling]),
        summary="Var[ψ] sampled ÷ exact: "
        + ", ".join(f"{found[rho].value / variance_at(rho):.4f} at ρ = {rho}" for rho in DEGREES)
        + "; falling",
        control=Control(
            "ρ − 1 in place of ρ",
            all_of([_near(found[r], variance_at(r - 1)) for r in (5, 10)]) is False,
        ),
        value=found[5].value,
        expected=variance_at(5),
        tolerance=variance_at(5) * tolerance("sampled-variance"),
        interval=found[5].interval,
    )
    yield from _first_order(found)


def _first_order(found: dict[int, Estimate]) -> Iterator[Observation]:
    at_five, at_hundred = (_near(found[rho], float(first_order(rho))) for rho in (5, 100))
    factor = float(first_order(5)) / found[5].value
    low, high = (float(first_order(5)) / end for end in reversed(found[5].interval))
    yield Observation(
        scope=f"ρ = 5, {NORMALS:,} gradients",
        claim="radam.approx",
        passed=at_five,
        summary=f"at ρ = 5 the first-order form is {factor:.3f} times the sampled variance",
        control=Control("at ρ = 100 it must be accepted", at_hundred is True),
        value=factor,
        expected=1.0,
        tolerance=tolerance("sampled-variance"),
        interval=(low, high),
    )
    enclosed = {rho: _enclosed(found[rho], rho, 1.0) for rho in DEGREES}
    yield Observation(
        scope=SCOPE,
        claim="radam.approx",
        passed=all_of(enclosed.values()),
        summary="sampled, it is too large by "
        + ", ".join(
            f"{100 * (float(first_order(r)) / found[r].value - 1):.3g} % at ρ = {r}"
            for r in DEGREES
        ),
        control=Control(
            "errors of half that size",
            all_of([_enclosed(found[r], r, 0.5) for r in (5, 10)]) is False,
        ),
        reading=Reading.REPAIRED,
        reading_text="too large by a relative error between (9/4)/(ρ−4) and (5/2)/(ρ−4): "
        "within ε from ρ = 4 + 5/(2ε) on, 29 for 10 %",
        value=float(first_order(29)) / found[29].value - 1,
        expected="0.09 to 0.1",
        tolerance=tolerance("sampled-variance"),
    )


def _enclosed(found: Estimate, degrees: int, factor: float) -> bool | None:
    """Whether Var[ψ] lies where an error between ``factor`` times its bounds would put it."""
    least, most = (float(error) * factor for error in first_order_error(float(degrees)))
    margin, whole = tolerance("sampled-variance"), float(first_order(float(degrees)))
    return found.inside(whole / (1 + most) * (1 - margin), whole / (1 + least) * (1 + margin))


PROVIDERS = (moments, divergent)
