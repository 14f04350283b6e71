"""A sweep read back from its folder: its rows, its command, its exponents and its figure.

``tfixup sweep --out FOLDER`` or `numerics.sweeps.run.run_sweep` writes the folder.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib.figure import Figure
from rich.console import Console

from numerics.figures.exponents import draw_exponents
from numerics.figures.markup import page
from numerics.figures.sweep import LABELLED, PANELS, draw_sweep
from numerics.stores.seals import read_sealed
from numerics.sweeps.run import exponent_table
from numerics.sweeps.settings import SweepSettings
from numerics.sweeps.store import open_for_reading
from theory.errors import InputError


@dataclass(frozen=True)
class RecordedSweep:
    """A sweep that was measured before."""

    path: Path
    settings: SweepSettings
    rows: pl.DataFrame
    """A row per task, part and quantity."""
    command: str
    """What repeats the last run into this folder."""

    @cached_property
    def exponents(self) -> pl.DataFrame:
        """`numerics.sweeps.run.exponent_table` of the rows."""
        return exponent_table(self.rows)

    def plot(self, *, parts: tuple[str, ...] | None = None, **options: Any) -> Figure:
        """Draw curves over depth, or the exponents with 95 % intervals where schemes are many.

        Parameters
        ----------
        parts
            The panels; all parts unless given.
        options
            Passed to `numerics.figures.sweep.draw_sweep`.
        """
        chosen = {} if parts is None else {"parts": parts}
        if not options and self.rows["scheme"].n_unique() > LABELLED:
            return draw_exponents(self.exponents, **chosen)
        return draw_sweep(self.rows, panels=PANELS if parts is None else parts, **options)

    def _repr_html_(self) -> str:
        return page(self._print, self.plot())

    def _print(self, console: Console) -> None:
        schemes = ", ".join(dict.fromkeys(self.rows["scheme"]))
        console.print(f"Sweep of {schemes}: {len(self.rows)} rows.", markup=False)
        console.print(self.command, markup=False, style="dim")


def read_sweep(folder: Path | str) -> RecordedSweep:
    """Read a recorded sweep.

    Parameters
    ----------
    folder
        Where the sweep was stored.

    Raises
    ------
    InputError
        If the folder holds no sweep, or one of its files is damaged.

    Examples
    --------
    >>> from numerics.stores.record_folder import records
    >>> found = read_sweep(records() / "positions")
    >>> "sweep" in found.command, found.rows.is_empty()
    (True, False)
    """
    folder = Path(folder)
    store = open_for_reading(folder)
    manifest: dict = read_sealed(store.manifest, "sweep")
    try:
        command = str(manifest["runs"][-1]["provenance"]["command"])
    except (KeyError, IndexError, TypeError):
        raise InputError(f"{store.manifest} must say by which command it was made") from None
    return RecordedSweep(folder, store.settings, store.rows(), command)
