"""Are the recorded sweeps right? Every task with large values, measured again in float64.

A finite value may be wrong where attention saturates (`numerics.measure.accuracy`). A task is large
where one of its totals is at least ``--least``, and is drawn again from its own streams. Each of
its recorded values is compared with the new one, relative to itself or to a billionth of its total.
The table has, by scheme and recorded precision, how many tasks there were, how many are right to 2
%, how many float64 leaves undecided, and the worst deviation with its place.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from rich.console import Console
from rich.table import Table

from numerics.measure.accuracy import NEGLIGIBLE
from numerics.measure.report import UpdateReport
from numerics.measure.updates import measure_update
from numerics.statistics.tolerances import tolerance
from numerics.stores.files import write_json
from numerics.stores.provenance import command_line, provenance
from numerics.sweeps.grid import SweepTask
from numerics.sweeps.store import SweepStore, open_for_reading
from numerics.sweeps.task import drawn, stream

QUANTITIES = ("update", "gradient_energy", "output_rms_ratio")


@dataclass(frozen=True)
class Settings:
    """Which recorded tasks are checked."""

    results: str = "results"
    least: float = 1e6
    """A total from which a task is large."""


@dataclass(frozen=True)
class Check:
    """One recorded task beside its measurement in float64."""

    sweep: str
    scheme: str
    optimizer: str
    depth: int
    seed: int
    dtype: str
    """Of the record."""
    accurate: bool
    """Whether float64 is right, as far as the new measurement says."""
    worst: float
    """Largest relative deviation of a recorded value."""
    part: str
    """The part with the largest deviation."""
    recorded: float
    measured: float


def large_tasks(store: SweepStore, least: float) -> Iterator[tuple[SweepTask, pl.DataFrame]]:
    """Every large task of a sweep, with its recorded rows of the standing parts."""
    rows = store.rows().filter(pl.col("quantity").is_in(QUANTITIES))
    for (name,), own in rows.group_by(["task"], maintain_order=True):
        totals = own.filter(pl.col("part") == "total")["value"]
        if not (totals.abs() >= least).any():
            continue
        first = own.row(0, named=True)
        depth = max(first["n_encoder"], first["n_decoder"])
        task = SweepTask(store.settings, first["scheme"], first["optimizer"], depth, first["seed"])
        assert task.hash == name, f"{task} is not the task that was recorded"
        yield task, own


def checked(sweep: str, task: SweepTask, rows: pl.DataFrame) -> Check:
    """Measure a task again, and find the value that deviates most."""
    model, batch = drawn(task)
    report = measure_update(
        model,
        batch,
        stream(task, "cotangent"),
        optimizer=task.optimizer,
        inputs=task.settings.inputs,
        dtype="float64",
    )
    worst, part, recorded, measured = max(_deviations(rows, report))
    own = (task.scheme, task.optimizer, task.depth, task.seed, rows["dtype"][0])
    return Check(sweep, *own, report.accurate, worst, part, recorded, measured)


def _deviations(
    rows: pl.DataFrame, report: UpdateReport
) -> Iterator[tuple[float, str, float, float]]:
    for row in rows.iter_rows(named=True):
        numbers = getattr(report, row["quantity"])
        if isinstance(numbers, float):
            numbers = {"total": numbers}
        if row["part"] not in numbers:  # below the standing parts
            continue
        found = numbers[row["part"]]
        scale = max(abs(found), NEGLIGIBLE * abs(numbers["total"]))
        deviation = abs(row["value"] - found) / scale if scale else abs(row["value"])
        worst = deviation if deviation == deviation else float("inf")
        yield worst, f"{row['part']} {row['quantity']}", row["value"], found


def table(checks: list[Check]) -> Table:
    """A row per scheme and recorded precision."""
    shown = Table(title="recorded tasks with large values, measured again in float64")
    for column in ("scheme", "recorded in", "tasks", "right to 2 %", "undecided", "worst", "where"):
        shown.add_column(column, justify="left" if column in ("scheme", "where") else "right")
    groups: dict[tuple[str, str], list[Check]] = defaultdict(list)
    for check in checks:
        groups[check.scheme, check.dtype].append(check)
    for (scheme, dtype), own in sorted(groups.items()):
        decided = [check for check in own if check.accurate]
        right = sum(check.worst <= tolerance("accurate") for check in decided)
        last = max(decided or own, key=lambda check: check.worst)
        place = f"{last.sweep}, {last.optimizer}, N = {last.depth}, seed {last.seed}: {last.part}"
        counts = (str(len(own)), str(right), str(len(own) - len(decided)))
        shown.add_row(scheme, dtype, *counts, f"{last.worst:.2g}", place)
    return shown


def main() -> None:
    """Measure again, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name, default in asdict(Settings()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/accuracy.json"))
    options = vars(parser.parse_args())
    out = options.pop("out")
    settings = Settings(**options)
    started, checks = time.perf_counter(), []
    for manifest in sorted(Path(settings.results).glob("*/rows.parquet")):
        store = open_for_reading(manifest.parent)
        checks += [
            checked(manifest.parent.name, task, rows)
            for task, rows in large_tasks(store, settings.least)
        ]
    Console(width=160).print(table(checks))
    decided = [check for check in checks if check.accurate]
    wrong = [check for check in decided if check.worst > tolerance("accurate")]
    worst = max((check.worst for check in decided), default=0.0)
    print(
        f"{len(checks)} tasks: {len(decided) - len(wrong)} right to 2 %, {len(wrong)} not, "
        f"{len(checks) - len(decided)} undecided; worst deviation {worst:.3g}"
    )
    made = provenance(
        command=command_line(),
        config=settings,
        seed=0,
        device="cpu",
        dtype="float64",
        seconds=time.perf_counter() - started,
    )
    content: dict[str, Any] = {"worst": worst, "checks": [asdict(check) for check in checks]}
    write_json(out, {**content, "provenance": made})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
