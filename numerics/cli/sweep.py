"""``tfixup sweep``: ‖Δf‖/η over a grid of depths, and its depth exponents."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from numerics.sweeps.settings import SweepSettings
from theory.errors import InputError, integer_of, require_within, words_of

if TYPE_CHECKING:
    import polars as pl

    from numerics.executors import Executors
    from numerics.sweeps.grid import SweepConfig

LEAST_DEPTHS = 3
"""Depths that an exponent with an interval needs."""
UNDECIDED = (
    "The intervals of all parts of one scheme and rule hold together at 95 %. flat: the interval "
    "lies within ±0.05 of 0; grows, shrinks: it lies outside; undecided: it does neither, and more "
    "depths or seeds would decide."
)
WHOLE = 8
"""Pairs of scheme and optimizer of which the printed table shows every part."""


@dataclass(frozen=True)
class Sweep:
    """Measure ‖Δf‖/η, exactly and by part, over schemes × optimizers × depths × seeds."""

    schemes: str = "tfixup,post-ln,pre-ln,xavier"
    """Initialisation schemes, comma-separated, or all that the architecture has. Numbers of a
    scheme may be changed behind colons: gpt2:std=0.07. A scheme of your own is FILE.py:NAME or
    MODULE:NAME."""
    depths: str = "1,2,6,12,25,50,100,200"
    """Depths N, comma-separated: N encoder and N decoder layers."""
    seeds: int = 3
    """Independent seeds per depth."""
    optimizers: str = "sgd,sign"
    """Update rules, comma-separated: sgd, momentum, sign (Adam's first step), adam, adamw, radam,
    lion, lamb, adafactor, muon, muon-match-rms-adamw, muon-spectral. Weight decay and ε follow
    behind colons: adamw:weight_decay=0.1:eps=0.001, where ε is for a cotangent of norm 1. tfixup
    list optimizers says what each is."""
    out: Path | None = None
    """Folder for the rows; a sweep found there is resumed. Without it nothing is kept."""
    again: str = ""
    """Schemes whose rows in that folder are measured again and replaced, comma-separated."""
    executor: Literal["local", "dask", "slurm"] = "local"
    """Where tasks run: local (processes here), dask, slurm."""
    workers: int | None = None
    """Processes of a local pool or local Dask cluster; one per core unless set, one on a GPU."""
    address: str | None = None
    """Dask scheduler to join, such as tcp://host:8786; the default starts a cluster here."""
    partition: str | None = None
    """Slurm's partition; the default is the cluster's own."""
    minutes: int = 60
    """Time limit of a Slurm job in minutes; each job runs one task."""
    settings: Annotated[SweepSettings, tyro.conf.arg(name="")] = field(
        default_factory=lambda: SweepSettings(device="auto")
    )
    """What all tasks share."""
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
        theory.errors.InputError: depths must be integers in plain digits, got 'x'
        """
        from numerics.sweeps.grid import SweepConfig

        return SweepConfig(
            schemes=_schemes(self.schemes, self.settings.architecture),
            optimizers=words_of("optimizers", self.optimizers),
            depths=tuple(integer_of("depths", word) for word in words_of("depths", self.depths)),
            seeds=self.seeds,
            settings=replace(self.settings, device=_device(self.settings.device)),
        )

    def engine(self, config: "SweepConfig") -> "Executors":
        """Where the tasks run."""
        import os

        from numerics.executors import engine_named
        from numerics.sweeps.memory import GIB, task_bytes

        workers = self.workers
        if workers is None:
            workers = (os.cpu_count() or 1) if config.settings.device == "cpu" else 1
        return engine_named(
            self.executor,
            workers,
            address=self.address,
            out=self.out,
            partition=self.partition,
            minutes=self.minutes,
            gigabytes=math.ceil(max(task_bytes(task) for task in config.tasks()) / GIB),
        )

    def run(self) -> int:
        """Measure, then print the table of exponents; exit with 1 if a task failed."""
        from rich.console import Console

        from numerics.cli.sweep_values import measured_lines, step_lines
        from numerics.report.verdicts import hanging, show
        from numerics.sweeps.run import exponent_table, run_sweep, with_depth

        require_within(1, 100_000, from_depth=self.from_depth)
        require_within(1, 100_000, minutes=self.minutes)
        if self.workers is not None:
            require_within(1, 1_000, workers=self.workers)
        if self.out is not None and str(self.out) in ("", "."):
            raise InputError("out must be a folder of its own, got the working directory")
        config = self.config()
        again = words_of("again", self.again) if self.again else ()
        if again and self.out is None:
            raise InputError(f"again goes with --out FOLDER, got again {self.again!r} without it")
        engine = self.engine(config)
        rows = run_sweep(config, self.out, engine=engine, progress=self.progress, again=again)
        console = Console()
        show(console, measured_lines(rows, console.width))
        show(console, step_lines(rows))
        deep = [depth for depth in config.depths if depth >= self.from_depth]
        if len(deep) < LEAST_DEPTHS:
            told = (
                f"no exponents: they need {LEAST_DEPTHS} depths from --from-depth "
                f"{self.from_depth} on, and there are {len(deep)}"
            )
            show(console, hanging("", told, console.width))
        else:
            table = exponent_table(rows, from_depth=self.from_depth, detail=config.settings.detail)
            console.print(render(table, self.from_depth))
            if "undecided" in table["note"].to_list():
                show(console, hanging("", UNDECIDED, console.width, "dim"))
        errors = with_depth(rows).drop_nulls("error")
        for error in errors.iter_rows(named=True):
            told = f"failed twice: {error['scheme']} N = {error['depth']} seed {error['seed']}: "
            show(console, hanging("", told + error["error"], console.width, "red"))
        if self.out is not None:
            show(console, [(f"rows in {self.out}", "dim")])
        else:
            show(console, [("nothing was kept: --out FOLDER keeps every row", "dim")])
        return 1 if len(errors) else 0


def render(table: "pl.DataFrame", from_depth: int) -> object:
    """A rich table of the update's exponents; of many schemes only the total and the stacks."""
    import polars as pl
    from rich.table import Table

    from numerics.cli.sweep_values import folded
    from numerics.models.roles import ALL_PARTS

    table = table.filter(pl.col("quantity") == "update")
    short = table.select("scheme", "optimizer").n_unique() > WHOLE
    if short:
        table = table.filter(~pl.col("part").is_in([part for part in ALL_PARTS if "." in part]))
    caption = "every part is in the rows, and drawn by tfixup plot" if short else None
    shown = Table(
        caption=caption,
        title=f"Depth exponent p of ‖Δf‖/η ~ N^p over N ≥ {from_depth}",
    )
    shown.add_column("scheme, optimizer, part", no_wrap=True)
    shown.add_column("p [interval]", no_wrap=True)
    # Names of matrices leave no room for it in 80 columns.
    roomy = max(map(len, table["part"]), default=0) < 28
    if roomy:
        shown.add_column("points", justify="right")
    shown.add_column("verdict")
    styles = {"flat": "green", "grows": "yellow", "shrinks": "yellow", "undecided": "dim"}
    before = None
    for row in table.iter_rows(named=True):
        group = (row["scheme"], row["optimizer"])
        if before != group:
            shown.add_section()
            shown.add_row("\n".join(f"[bold]{line}[/]" for line in folded(", ".join(group))))
        before = group
        fitted = row["exponent"] is not None
        shown.add_row(
            f"  {row['part']}",
            f"{row['exponent']:+.3f} \\[{row['low']:+.3f}, {row['high']:+.3f}]" if fitted else "—",
            *((str(row["points"]),) if roomy else ()),
            f"[{styles.get(row['note'], 'red')}]{row['note']}[/]",
        )
    return shown


def _schemes(text: str, architecture: str) -> tuple[str, ...]:
    from numerics.models.spec import architecture_named
    from numerics.schemes import schemes_for

    if text.strip() == "all":
        return schemes_for(architecture_named(architecture))
    return words_of("schemes", text)


def _device(name: str) -> str:
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("device cuda needs a CUDA device, and torch finds none")
    return ("cuda" if available else "cpu") if name == "auto" else name
