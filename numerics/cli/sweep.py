"""``tfixup sweep``: ‖Δf‖/η over a grid of depths, and its depth exponents."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from theory.errors import InputError

if TYPE_CHECKING:
    import polars as pl

    from numerics.sweep_config import SweepConfig


@dataclass(frozen=True)
class Sweep:
    """Measure ‖Δf‖/η, exactly and by part, over schemes × optimizers × depths × seeds."""

    schemes: str = "tfixup,post-ln,pre-ln,xavier"
    """Initialisation schemes, comma-separated."""
    depths: str = "1,2,6,12,25,50,100,200"
    """Depths N, comma-separated: N encoder and N decoder layers."""
    seeds: int = 3
    """Independent seeds a depth."""
    optimizers: str = "sgd,sign"
    """Update rules, comma-separated: sgd, or sign (Adam's first step)."""
    out: Path | None = None
    """Folder for the rows; a sweep found there is resumed. Without it nothing is kept."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to measure; auto takes a CUDA device if there is one."""
    workers: int | None = None
    """Processes; the default is one a core on the CPU, one on a GPU."""
    d_model: int = 64
    """Width d of the residual stream."""
    d_ff: int = 128
    """Hidden width of the MLP blocks."""
    heads: int = 2
    """Attention heads."""
    vocabulary: int = 1000
    """Rows of each embedding table."""
    sequences: int = 8
    """Sequences in the batch."""
    tokens: int = 16
    """Tokens a sequence."""
    inputs: Literal["free", "table"] = "free"
    """Whether the embedded inputs (the paper's definition) or the tables' rows are parameters."""
    embedding_multiplier: float | None = None
    """Factor on the embedded tokens; the default is the square root of the width."""
    positions: Literal["none", "sinusoidal"] = "none"
    """What is added to the embedded tokens."""
    dtype: Literal["auto", "float32", "float64"] = "auto"
    """Precision; auto is float32, then float64 where that is not finite."""
    root_seed: int = 0
    """Root of every random stream."""
    from_depth: int = 6
    """Least depth that enters the exponents."""
    progress: bool = True
    """Show a progress bar."""

    def config(self) -> "SweepConfig":
        """The grid, checked.

        Examples
        --------
        >>> Sweep(depths="1,x").config()
        Traceback (most recent call last):
        ...
        theory.errors.InputError: depths must be integers separated by commas, got 'x'
        """
        from numerics.sweep_config import Settings, SweepConfig

        settings = Settings(
            d_model=self.d_model,
            d_ff=self.d_ff,
            heads=self.heads,
            vocabulary=self.vocabulary,
            sequences=self.sequences,
            tokens=self.tokens,
            inputs=self.inputs,
            embedding_multiplier=self.embedding_multiplier,
            positions=self.positions,
            dtype=self.dtype,
            device=_device(self.device),
            root_seed=self.root_seed,
        )
        return SweepConfig(
            schemes=_words(self.schemes),
            optimizers=_words(self.optimizers),
            depths=tuple(_integer(word) for word in _words(self.depths)),
            seeds=self.seeds,
            settings=settings,
        )

    def run(self) -> int:
        """Measure, then print the table of exponents."""
        import os

        from rich.console import Console

        from numerics.sweep import exponent_table, run_sweep

        config = self.config()
        workers = self.workers
        if workers is None:
            workers = (os.cpu_count() or 1) if config.settings.device == "cpu" else 1
        rows = run_sweep(config, self.out, workers=workers, progress=self.progress)
        console = Console()
        if max(config.depths) < self.from_depth:
            console.print(
                f"no exponents: the deepest model has N = {max(config.depths)}, and exponents "
                f"start at --from-depth {self.from_depth}"
            )
        else:
            console.print(render(exponent_table(rows, from_depth=self.from_depth), self.from_depth))
        errors = rows.drop_nulls("error")
        for error in errors.iter_rows(named=True):
            console.print(
                f"failed twice: {error['scheme']} N = {error['n_encoder']} seed {error['seed']}: "
                f"{error['error']}",
                style="red",
            )
        if self.out is not None:
            console.print(f"rows in {self.out}", style="dim")
        return 1 if len(errors) else 0


def render(table: "pl.DataFrame", from_depth: int) -> object:
    """A rich table of the update's exponents."""
    import polars as pl
    from rich.table import Table

    shown = Table(title=f"Depth exponent p of ‖Δf‖/η ~ N^p over N ≥ {from_depth}")
    shown.add_column("scheme, optimizer, part", no_wrap=True)
    shown.add_column("p [95 % interval]", no_wrap=True)
    shown.add_column("points", justify="right")
    shown.add_column("verdict")
    styles = {"flat": "green", "grows": "yellow", "shrinks": "yellow", "undecided": "dim"}
    before = None
    for row in table.filter(pl.col("quantity") == "update").iter_rows(named=True):
        group = (row["scheme"], row["optimizer"])
        if before != group:
            shown.add_section()
            shown.add_row(f"[bold]{group[0]}, {group[1]}[/]")
        before = group
        fitted = row["exponent"] is not None
        shown.add_row(
            f"  {row['part']}",
            f"{row['exponent']:+.3f} \\[{row['low']:+.3f}, {row['high']:+.3f}]" if fitted else "—",
            str(row["points"]),
            f"[{styles.get(row['note'], 'red')}]{row['note']}[/]",
        )
    return shown


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _integer(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise InputError(f"depths must be integers separated by commas, got {word!r}") from None


def _device(name: str) -> str:
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("device cuda needs a CUDA device, and torch finds none")
    return ("cuda" if available else "cpu") if name == "auto" else name
