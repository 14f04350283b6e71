"""Rows of a recorded sweep as evidence, after some of its tasks have been measured again.

The quick level reads the record. The full level measures instead; so does ``--rerun``, and so does
a checkout in which nothing is recorded.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import polars as pl

from numerics.statistics.tolerances import tolerance
from numerics.sweeps.grid import SweepConfig, SweepSettings
from numerics.sweeps.run import run_sweep
from numerics.sweeps.store import open_for_reading
from theory.claims import Context, Level


@dataclass(frozen=True)
class SweepRows:
    """Rows of a sweep, and where they come from."""

    rows: pl.DataFrame
    source: str
    """As an `Observation` names it."""
    deviation: float | None = None
    """Largest relative deviation of repeated tasks; ``None`` where all rows were measured now."""

    @property
    def believed(self) -> bool:
        """Whether the repeated tasks agree with the record."""
        return self.deviation is None or self.deviation < tolerance("repeated-measurement")

    @property
    def told(self) -> str:
        """What a summary says of the repeated tasks; nothing where all rows were measured now."""
        if self.deviation is None:
            return ""
        return f"; some of the tasks, measured again now, differ by at most {self.deviation:.0e}"


def recorded_or_fresh(
    context: Context, record: str, repeated: SweepConfig, fresh: Callable[[], pl.DataFrame]
) -> SweepRows:
    """Read a recorded sweep, or measure what stands in its place.

    Parameters
    ----------
    context
        How the claim is checked, and where the records lie.
    record
        Folder of the sweep below the results.
    repeated
        Tasks that are measured again; the record's settings take the place of these.
    fresh
        Measures all rows.
    """
    folder = context.results / record
    if context.level is not Level.QUICK or context.rerun or not folder.exists():
        return SweepRows(fresh(), "computed")
    store = open_for_reading(folder)
    rows = store.rows()
    deviation = reproduced(rows, store.settings, repeated)
    return SweepRows(rows, f"recorded: results/{record}", deviation)


def reproduced(rows: pl.DataFrame, settings: SweepSettings, repeated: SweepConfig) -> float:
    """Largest relative deviation of recorded values from the same tasks measured now.

    Parameters
    ----------
    rows, settings
        The record.
    repeated
        Tasks that are measured again, under ``settings``.
    """
    again = run_sweep(replace(repeated, settings=settings))
    again = again.filter(pl.col("quantity") == "update")
    pairs = again.join(rows, on=["task", "part", "quantity"], suffix="_recorded")
    assert len(pairs) == len(again), "the record lacks tasks that it should hold"
    deviation = (pairs["value"] / pairs["value_recorded"] - 1).abs().max()
    assert isinstance(deviation, float)
    return deviation
