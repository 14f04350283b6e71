"""Powers of the depth in one step's ‖Δf‖/η, of today's schemes, read from the recorded sweep.

A claim that a change is Θ(η) is tested as the exponent 0. A claim that two schemes have the same
power is tested as the exponent 0 of their ratio at equal depth and seed, where both use the same
random numbers. A few recorded tasks are measured again before the record is believed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import polars as pl

from numerics.evidence.recorded_sweep import recorded_or_fresh
from numerics.statistics.exponents import Exponent, fitted
from numerics.statistics.row_exponents import row_exponent
from numerics.statistics.tolerances import tolerance
from numerics.sweeps.grid import SweepConfig, SweepSettings
from numerics.sweeps.run import run_sweep
from theory.arguments.modern import APART, RMS_ONE
from theory.claims import Context, Control, Kind, Level, Observation, Reading, provides

RECORD = "modern"
DEPTHS = (4, 8, 16, 32)
SEEDS = {Level.QUICK: 4, Level.FULL: 24}
REPEATED = SweepConfig(("depth-mup",), ("sgd",), (4, 8), 2)
"""Tasks of the record that are measured again; the record's settings take the place of these."""
_STD = ":std=0.0979"
"""0.02 at width 768, carried to width 32 by the root of the widths."""
_FLAT, _GPT2 = f"flat{_STD}", f"gpt2{_STD}"
_COMPLETEP = "completep:base_width=768"
_SMALL = "completep:embedding_std=0.1:base_width=768"


@dataclass(frozen=True)
class UpdateRow:
    """One exponent that a claim takes to be 0, and a scheme that the same check must tell apart."""

    claim: str
    scheme: str
    optimizer: str
    control: str
    """A scheme put through the same check."""
    accepted: bool
    """Whether the check must accept the control, as for claims that are expected to fail."""
    part: str = "total"
    against: str = ""
    """The scheme by which values are divided; empty for none."""
    control_part: str = ""
    """The part of the control, where it is another."""
    reading: Reading = Reading.PRINTED
    text: str = ""

    @property
    def schemes(self) -> tuple[str, ...]:
        """Every scheme that the row needs."""
        return tuple(name for name in (self.scheme, self.control, self.against) if name)


def _both(claim: str, scheme: str) -> tuple[UpdateRow, ...]:
    """One row under SGD and one under Adam; u-μP, which is flat, must be accepted."""
    return tuple(UpdateRow(claim, scheme, rule, "u-mup", True) for rule in ("sgd", "adam"))


def _at_rms_one(row: UpdateRow) -> UpdateRow:
    return replace(row, reading=Reading.RESTRICTED, text=RMS_ONE)


def _where_apart(row: UpdateRow) -> UpdateRow:
    """Of branches of degree one between RMS norms, which pass on what they add."""
    return replace(row, reading=Reading.RESTRICTED, text=APART)


ROWS: tuple[UpdateRow, ...] = (
    *_both("modern.gpt2-update", _GPT2),
    _at_rms_one(UpdateRow("modern.gpt2-update", f"{_GPT2}:embedding_std=1", "sgd", "u-mup", True)),
    _at_rms_one(UpdateRow("modern.gpt2-update", f"{_GPT2}:embedding_std=1", "adam", "u-mup", True)),
    UpdateRow("modern.depth-mup-update", "depth-mup", "adam", _GPT2, False),
    UpdateRow("modern.depth-mup-sgd", "depth-mup", "sgd", _GPT2, False),
    UpdateRow("modern.completep-update", _SMALL, "adam", _COMPLETEP, True),
    _at_rms_one(UpdateRow("modern.completep-update", _COMPLETEP, "adam", _SMALL, False)),
    UpdateRow("modern.u-mup-update", "u-mup", "adam", _GPT2, False),
    UpdateRow("modern.sub-ln-update", "sub-ln", "sgd", "u-mup", True),
    UpdateRow("modern.sub-ln-update", "sub-ln-rms", "sgd", "u-mup", True),
    UpdateRow("ours.completep-sgd", _COMPLETEP, "sgd", "u-mup", True, "decoder.mlp"),
    UpdateRow("ours.peri-ln-exponent", f"peri-ln{_STD}", "adam", _GPT2, False, against=_FLAT),
    *(
        UpdateRow("ours.olmo2-exponent", f"olmo2{_STD}", rule, _GPT2, False, against=_FLAT)
        for rule in ("sgd", "adam")
    ),
    *(
        _where_apart(
            UpdateRow("ours.olmo2-exponent", f"olmo2-relu{_STD}", rule, _GPT2, False, against=_FLAT)
        )
        for rule in ("sgd", "adam")
    ),
    *_both("ours.wang-update", "small-init-wang"),
    *_both("ours.mitchell-update", "mitchell"),
    *_both("ours.layerscale-update", f"layerscale{_STD}:scale=0.0001"),
    *_both("ours.zero-out-update", "zero-out"),
    *(
        UpdateRow(
            "ours.w3-shares",
            f"torchtitan{_STD}",
            rule,
            f"torchtitan{_STD}",
            False,
            against=f"torchtitan-w2{_STD}",
            control_part="decoder.mlp",
        )
        for rule in ("sgd", "adam")
    ),
)


def fresh_rows(context: Context) -> pl.DataFrame:
    """Every scheme of the table measured now."""
    schemes = tuple(dict.fromkeys(name for row in ROWS for name in row.schemes))
    settings = SweepSettings(
        architecture="decoder-only",
        d_model=32,
        d_ff=64,
        vocabulary=64,
        sequences=4,
        tokens=8,
        inputs="table",
        positions="learned",
        root_seed=context.seed,
    )
    grid = SweepConfig(schemes, ("sgd", "adam"), DEPTHS, SEEDS[context.level], settings)
    return run_sweep(grid)


def exponent(
    rows: pl.DataFrame, scheme: str, optimizer: str, part: str = "total", against: str = ""
) -> Exponent:
    """Power of N of a scheme's update, or of its ratio to another's at equal depth and seed."""
    chosen = rows.filter(
        (pl.col("optimizer") == optimizer)
        & (pl.col("part") == part)
        & (pl.col("quantity") == "update")
        & pl.col("n_decoder").is_in(DEPTHS)
    )
    own = chosen.filter(pl.col("scheme") == scheme)
    if against:
        other = chosen.filter(pl.col("scheme") == against)
        own = own.join(other, on=["n_decoder", "seed"], suffix="_other")
        own = own.with_columns(value=pl.col("value") / pl.col("value_other"))
        if "accurate" in own.columns:  # A ratio is as accurate as the worse of its two.
            own = own.with_columns(accurate=pl.col("accurate") & pl.col("accurate_other"))
    return fitted(row_exponent(own, "n_decoder"))


@provides(*dict.fromkeys(row.claim for row in ROWS), kind=Kind.MEASUREMENT)
def updates(context: Context) -> Iterator[Observation]:
    """Every row of the table, with the exponent 0 as what its claim states."""
    found = recorded_or_fresh(context, RECORD, REPEATED, lambda: fresh_rows(context))
    rows, told = found.rows, found.told
    margin = tolerance("stack-exponent")
    for row in ROWS:
        fit = exponent(rows, row.scheme, row.optimizer, row.part, row.against)
        part = row.control_part or row.part
        other = exponent(rows, row.control, row.optimizer, part, row.against)
        flat = other.equivalent(0.0, margin)
        low, high = fit.interval
        divided = f" ÷ {row.against}" if row.against else ""
        where = "" if row.part == "total" else f", {row.part}"
        seeds = rows.filter(pl.col("scheme") == row.scheme)["seed"].n_unique()
        yield Observation(
            claim=row.claim,
            scope=f"N = {DEPTHS[0]}…{DEPTHS[-1]}, width 32, {seeds} seeds",
            passed=fit.equivalent(0.0, margin) if found.believed else None,
            summary=f"{row.scheme}{divided}, {row.optimizer}{where}: N^{fit.value:+.3f} "
            f"[{low:+.3f}, {high:+.3f}]{told}",
            control=Control(
                f"{row.control}{divided}, {part}: N^{other.value:+.3f}, must be called "
                f"{'flat' if row.accepted else 'not flat'}",
                flat is row.accepted,
            ),
            reading=row.reading,
            reading_text=row.text,
            value=fit.value,
            expected=0.0,
            tolerance=margin,
            interval=fit.interval,
            source=found.source,
        )


PROVIDERS = (updates,)
