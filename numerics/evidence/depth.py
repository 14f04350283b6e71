"""The GOAL measured: depth exponents of lim ‖Δf‖/η, in total and by part.

Under SGD T-Fixup's exponents must be 0 for the total and for every part, or depth independence is
trivial: the embeddings' own identity path is Θ(1) by itself. Under the sign update (Adam's first
step) the theory predicts +1/2 with the paper's scales and 0 with their squares.
"""

from collections.abc import Iterator, Mapping

import polars as pl

from numerics.exponents import Exponent, NoExponent, power_law
from numerics.roles import ALL_PARTS
from numerics.sweep import run_sweep
from numerics.sweep_config import Settings, SweepConfig
from numerics.tolerances import tolerance
from theory.claims import Context, Control, Evidence, Kind, Level, Reading, provides

SHALLOW = (6, 12, 25)
DEEP = {Level.QUICK: (50, 100, 200), Level.FULL: (50, 100, 200, 400, 1000)}
SEEDS = {"tfixup": (24, 8), "tfixup-adam": (6, 3)}
"""Seeds at shallow and at deep models: a shallow point tells the slope as much and costs less."""
SCHEMES = tuple(SEEDS)

Fits = Mapping[str, Exponent | NoExponent]


def exponents(context: Context, optimizer: str) -> Mapping[str, Fits]:
    """Exponent of every part's update, for T-Fixup and for its squared scales."""
    frames = [
        run_sweep(
            SweepConfig(
                schemes=(scheme,),
                optimizers=(optimizer,),
                depths=depths,
                seeds=seeds,
                settings=Settings(root_seed=context.seed, device=context.device),
            )
        )
        for scheme, counts in SEEDS.items()
        for depths, seeds in zip((SHALLOW, DEEP[context.level]), counts, strict=True)
    ]
    return fits_of(pl.concat(frames), optimizer)


def fits_of(rows: pl.DataFrame, optimizer: str) -> Mapping[str, Fits]:
    """Power laws of the update over N ≥ 6, by scheme and part."""
    chosen = rows.filter(
        (pl.col("optimizer") == optimizer)
        & (pl.col("quantity") == "update")
        & (pl.col("n_encoder") >= 6)
    )
    return {
        scheme: {
            part: power_law(points["n_encoder"].to_list(), points["value"].to_list())
            for part in ALL_PARTS
            for points in [chosen.filter((pl.col("scheme") == scheme) & (pl.col("part") == part))]
        }
        for scheme in SCHEMES
    }


def all_equivalent(fits: Fits, target: float, margin: float) -> bool | None:
    """Whether every part's exponent is the target: false if one is not, ``None`` if undecided."""
    decisions = [
        False if isinstance(fit, NoExponent) else fit.equivalent(target, margin)
        for fit in fits.values()
    ]
    if False in decisions:
        return False
    return None if None in decisions else True


def _range(fits: Fits) -> str:
    known = {part: fit for part, fit in fits.items() if isinstance(fit, Exponent)}
    low = min(known, key=lambda part: known[part].value)
    high = max(known, key=lambda part: known[part].value)
    return f"parts from {known[low].value:+.3f} ({low}) to {known[high].value:+.3f} ({high})"


@provides("tfixup.goal", kind=Kind.MEASUREMENT)
def goal(context: Context) -> Iterator[Evidence]:
    """Every part flat under SGD; scales whose exponent is off by 1/4 are not."""
    fits = exponents(context, "sgd")
    margin = tolerance("flat-exponent")
    ours, squared = fits["tfixup"], fits["tfixup-adam"]
    total = ours["total"]
    assert isinstance(total, Exponent), total
    yield Evidence(
        claim="tfixup.goal",
        kind=Kind.MEASUREMENT,
        passed=all_equivalent(ours, 0.0, margin),
        summary=f"‖Δf‖/η ~ N^{total.value:+.3f} over N = 6…{DEEP[context.level][-1]}; "
        + _range(ours),
        control=Control(
            "scales N^(-1/2), the exponent off by 1/4: " + _range(squared),
            all_equivalent(squared, 0.0, margin) is False,
        ),
        value=total.value,
        expected=0.0,
        tolerance=margin,
        interval=total.interval,
        details={part: str(fit) for part, fit in ours.items()},
    )


@provides("tfixup.adam", "ours.adam-scale", kind=Kind.MEASUREMENT)
def adam(context: Context) -> Iterator[Evidence]:
    """The total under the sign update: +1/2 with the paper's scales, 0 with squared ones."""
    fits = exponents(context, "sign")
    margin = tolerance("sign-exponent")
    paper, squared = fits["tfixup"]["total"], fits["tfixup-adam"]["total"]
    assert isinstance(paper, Exponent), paper
    assert isinstance(squared, Exponent), squared
    half = paper.equivalent(0.5, margin)
    yield Evidence(
        claim="tfixup.adam",
        kind=Kind.MEASUREMENT,
        passed=paper.equivalent(0.0, margin),
        summary=f"sign update: ‖Δf‖/η ~ N^{paper.value:+.3f} (predicted +1/2: {half})",
        control=Control(
            "squared scales must be called flat", squared.equivalent(0.0, margin) is True
        ),
        value=paper.value,
        expected=0.5,
        tolerance=margin,
        interval=paper.interval,
    )
    for claim, reading in (
        ("tfixup.adam", Reading.REPAIRED),
        ("ours.adam-scale", Reading.PRINTED),
    ):
        yield Evidence(
            claim=claim,
            kind=Kind.MEASUREMENT,
            passed=squared.equivalent(0.0, margin),
            summary=f"squared scales, sign update: ‖Δf‖/η ~ N^{squared.value:+.3f}",
            control=Control("the paper's scales", paper.equivalent(0.0, margin) is False),
            reading=reading,
            value=squared.value,
            expected=0.0,
            tolerance=margin,
            interval=squared.interval,
        )


PROVIDERS = (goal, adam)
