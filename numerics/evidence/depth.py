"""T-Fixup's GOAL measured: depth exponents of lim ‖Δf‖/η, in total and by part.

Under SGD the exponents of T-Fixup must be 0 for the total and for every part. A flat total alone
would be trivial, because the embeddings' identity path is Θ(1) by itself. Under the sign update
(Adam's first step) the theory predicts +1/2 with the paper's scales and 0 with their squares.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import polars as pl

from numerics.evidence.recorded_sweep import SweepRows, recorded_or_fresh
from numerics.models.roles import ALL_PARTS
from numerics.statistics.estimates import all_of, joint_confidence
from numerics.statistics.exponents import Exponent, NoExponent, cautious, fitted
from numerics.statistics.row_exponents import row_exponent
from numerics.statistics.tolerances import tolerance
from numerics.sweeps.grid import SweepConfig, SweepSettings
from numerics.sweeps.run import run_sweep
from theory.claims import Context, Control, Kind, Level, Observation, Reading, provides

SHALLOW = (6, 12, 25)
DEEP = {Level.QUICK: (50, 100, 200), Level.FULL: (50, 100, 200, 400, 1000)}
SEEDS = {Level.QUICK: (6, 3), Level.FULL: (48, 16)}
"""Seeds at shallow and at deep models: a shallow point tells the slope as much and costs less."""
RECORD = "sweep"
"""Folder of the recorded sweep below the results."""
REPEATED = SweepConfig(("tfixup",), ("sgd",), (6, 25, 50), 2)
"""Tasks of the record that are measured again before it is believed."""
SCHEMES = ("tfixup", "tfixup-adam")
REPEATED_SIGNS = replace(REPEATED, schemes=SCHEMES, optimizers=("sign",), depths=(6, 25))
"""The same for the sign update."""

Fits = Mapping[str, Exponent | NoExponent]


def fresh_rows(context: Context, optimizer: str) -> pl.DataFrame:
    """A sweep of both schemes made now."""
    grids = zip((SHALLOW, DEEP[context.level]), SEEDS[context.level], strict=True)
    settings = replace(SweepSettings(root_seed=context.seed), device=context.device)
    return pl.concat(
        run_sweep(SweepConfig(SCHEMES, (optimizer,), depths, seeds, settings))
        for depths, seeds in grids
    )


def fits_of(
    rows: pl.DataFrame,
    optimizer: str,
    schemes: tuple[str, ...] = SCHEMES,
    *,
    together: bool = True,
) -> Mapping[str, Fits]:
    """Power laws of the update over N ≥ 6, by scheme and part, with the wider of two intervals.

    The intervals of one scheme's parts hold jointly at 95 %, or singly if not ``together``.
    """
    confidence = joint_confidence(len(ALL_PARTS) if together else 1)
    chosen = rows.filter(
        (pl.col("optimizer") == optimizer)
        & (pl.col("quantity") == "update")
        & (pl.col("n_encoder") >= 6)
    )
    return {
        scheme: {
            part: row_exponent(
                chosen.filter((pl.col("scheme") == scheme) & (pl.col("part") == part)),
                fit=cautious,
                confidence=confidence,
            )
            for part in ALL_PARTS
        }
        for scheme in schemes
    }


def flat_parts(rows: pl.DataFrame, optimizer: str, margin: float) -> Mapping[str, bool | None]:
    """Whether every part of each scheme is flat, with at most 5 % of wrong answers either way.

    *Every part is flat* is wrong only if one part's interval misses its exponent, so that intervals
    at 95 % each suffice for it (an intersection–union test). *Some part is not flat* is wrong if
    any of the intervals misses, and needs intervals that hold together.
    """
    alone = fits_of(rows, optimizer, together=False)
    jointly = fits_of(rows, optimizer)
    return {
        scheme: True
        if all_equivalent(alone[scheme], 0.0, margin) is True
        else False
        if all_equivalent(jointly[scheme], 0.0, margin) is False
        else None
        for scheme in SCHEMES
    }


def scope_of(rows: pl.DataFrame) -> str:
    """The depths, widths and seeds that the rows of N ≥ 6 cover.

    Examples
    --------
    >>> scope_of(pl.DataFrame({"n_encoder": [6, 25], "d_model": [64, 64], "seed": [0, 2]}))
    'N = 6…25, width 64, 2 seeds'
    """
    deep = rows.filter(pl.col("n_encoder") >= 6)
    depths, widths = deep["n_encoder"], "/".join(map(str, sorted(set(deep["d_model"]))))
    seeds = deep["seed"].n_unique()
    return f"N = {depths.min()}…{depths.max()}, width {widths}, {seeds} seeds"


def all_equivalent(fits: Fits, target: float, margin: float) -> bool | None:
    """Whether every part's exponent is the target: false if one is not, ``None`` if undecided.

    A part whose values are not accurate decides nothing.
    """
    return all_of(
        (False if fit.measured else None)
        if isinstance(fit, NoExponent)
        else fit.equivalent(target, margin)
        for fit in fits.values()
    )


def range_of(fits: Fits) -> str:
    """The least and the largest exponent of the parts, in words."""
    known = {part: fit for part, fit in fits.items() if isinstance(fit, Exponent)}
    low = min(known, key=lambda part: known[part].value)
    high = max(known, key=lambda part: known[part].value)
    return f"parts from {known[low].value:+.3f} ({low}) to {known[high].value:+.3f} ({high})"


@provides("tfixup.goal", kind=Kind.MEASUREMENT)
def goal(context: Context) -> Iterator[Observation]:
    """Every part flat under SGD; scales whose exponent is off by 1/4 are not.

    The quick level takes the rows of the recorded sweep and measures some of them again.
    """
    found = recorded_or_fresh(context, RECORD, REPEATED, lambda: fresh_rows(context, "sgd"))
    rows = found.rows
    fits = fits_of(rows, "sgd")
    margin = tolerance("flat-exponent")
    ours, squared = fits["tfixup"], fits["tfixup-adam"]
    flat = flat_parts(rows, "sgd", margin)
    total = fitted(ours["total"])
    yield Observation(
        passed=flat["tfixup"] if found.believed else None,
        summary=f"‖Δf‖/η ~ N^{total.value:+.3f} over N = 6…{total.depths[-1]:g}; "
        + range_of(ours)
        + found.told,
        control=Control(
            "scales N^(-1/2), the exponent off by 1/4: " + range_of(squared),
            flat["tfixup-adam"] is False,
        ),
        value=total.value,
        expected=0.0,
        tolerance=margin,
        interval=total.interval,
        scope=scope_of(rows),
        source=found.source,
        details={part: str(fit) for part, fit in ours.items()},
    )


@provides("tfixup.adam", "ours.adam-scale", "ours.adam-parts", kind=Kind.MEASUREMENT)
def adam(context: Context) -> Iterator[Observation]:
    """The total under the sign update: +1/2 with the paper's scales, 0 with squared ones.

    The quick level takes the rows of the recorded sweep and measures some of them again.
    """
    found = recorded_or_fresh(context, RECORD, REPEATED_SIGNS, lambda: fresh_rows(context, "sign"))
    yield from (
        item if found.believed else replace(item, passed=None) for item in _under_signs(found)
    )


def _under_signs(found: SweepRows) -> Iterator[Observation]:
    """What the rows say, where they can be believed."""
    fits, scope = fits_of(found.rows, "sign"), scope_of(found.rows)
    margin = tolerance("sign-exponent")
    paper, squared = (fitted(fits[scheme]["total"]) for scheme in SCHEMES)
    word = {True: "agrees with", False: "is not", None: "may be"}[paper.equivalent(0.5, margin)]
    yield Observation(
        claim="tfixup.adam",
        passed=paper.equivalent(0.0, margin),
        summary=f"sign update: ‖Δf‖/η ~ N^{paper.value:+.3f} ({word} the predicted +1/2)"
        + found.told,
        control=Control(
            "squared scales must be called flat", squared.equivalent(0.0, margin) is True
        ),
        value=paper.value,
        expected=0.0,
        tolerance=margin,
        interval=paper.interval,
        scope=scope,
        source=found.source,
    )
    for claim, reading in (
        ("tfixup.adam", Reading.REPAIRED),
        ("ours.adam-scale", Reading.PRINTED),
    ):
        yield Observation(
            claim=claim,
            passed=squared.equivalent(0.0, margin),
            summary=f"squared scales, sign update: ‖Δf‖/η ~ N^{squared.value:+.3f}",
            control=Control("the paper's scales", paper.equivalent(0.0, margin) is False),
            reading=reading,
            value=squared.value,
            expected=0.0,
            tolerance=margin,
            interval=squared.interval,
            scope=scope,
            source=found.source,
        )
    encoder = fitted(fits["tfixup-adam"]["encoder"])
    yield Observation(
        claim="ours.adam-parts",
        passed=all_equivalent(fits["tfixup-adam"], 0.0, margin),
        summary=f"squared scales, sign update: the encoder's share ~ N^{encoder.value:+.3f}; "
        + range_of(fits["tfixup-adam"]),
        control=Control("the total alone must be flat", squared.equivalent(0.0, margin) is True),
        value=encoder.value,
        expected=0.0,
        tolerance=margin,
        interval=encoder.interval,
        scope=scope,
        source=found.source,
    )


PROVIDERS = (goal, adam)
