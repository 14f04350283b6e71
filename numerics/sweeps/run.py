"""Run a grid of measurements, go on after an interruption, and read depth exponents off the rows.

The rows hold ‖Δf‖/η over schemes × optimizers × depths × seeds. Every finished task is stored at
once, so a sweep that was killed goes on where it stopped. A sweep with the same settings and a
larger grid measures only what is new. A task that fails twice becomes a row that carries its error;
a restarted sweep tries it again.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from numerics.executors import Executors, Local, outcomes
from numerics.models.roles import ALL_PARTS
from numerics.schemes import pinned
from numerics.statistics.estimates import joint_confidence
from numerics.statistics.exponents import Exponent, verdict_word
from numerics.statistics.row_exponents import row_exponent
from numerics.stores.provenance import command_line, provenance
from numerics.sweeps.grid import SweepConfig as SweepConfig
from numerics.sweeps.grid import SweepSettings as SweepSettings
from numerics.sweeps.grid import SweepTask as SweepTask
from numerics.sweeps.memory import check_memory
from numerics.sweeps.shard import empty_rows
from numerics.sweeps.store import PACK, SweepStore
from numerics.sweeps.task import failed_rows as failed_rows
from numerics.sweeps.task import measure_task as measure_task
from theory.errors import InputError

Measure = Callable[[SweepTask], pl.DataFrame]


def run_sweep(
    config: SweepConfig,
    out: Path | None = None,
    *,
    engine: Executors | None = None,
    progress: bool = False,
    measure: Measure = measure_task,
    again: Collection[str] = (),
) -> pl.DataFrame:
    """Measure what is missing and return every row of the grid.

    Parameters
    ----------
    config
        The grid; checked when it was made.
    out
        Folder of shards; ``None`` keeps nothing.
    engine
        Where tasks run; ``None`` is this process.
    progress
        Whether to show a bar with an estimate.
    measure
        Turns a task into rows.
    again
        Schemes of the grid whose tasks are measured even where their rows are there, as after a
        repair of the measurement. A new row replaces the old one when it is stored.

    Raises
    ------
    InputError
        Before any work, if a scheme of ``again`` is not in the grid, if the folder holds another
        sweep, strange files, or a corrupt shard, if the engine cannot be reached, or if a task
        would not fit its memory. On the way, if the engine was lost; what is finished is kept.
    """
    started = time.perf_counter()
    tasks = config.tasks()
    again = [pinned(scheme) for scheme in again]
    if strange := sorted(set(again) - set(config.schemes)):
        raise InputError(f"again must name schemes of the grid, got {strange[0]!r}")
    store = SweepStore(out, config.settings) if out is not None else None
    rows, missing = _stored(store, tasks, again)
    if missing:
        with ExitStack() as held:
            connected = held.enter_context(engine or Local(1))
            check_memory(missing, connected)
            if store is not None:
                held.enter_context(store.exclusively())
                rows, missing = _stored(store, tasks, again)
                _begin(store, config)
                store.pack_leftovers()
            measured = _measured(missing, connected, measure, len(tasks), progress)
            if store is None:
                rows = pl.concat([rows, *measured])
            else:
                failed = _keep(measured, store)
                store.complete(failed, time.perf_counter() - started)
                rows = store.merged_rows()
    elif store is not None and not store.is_merged:
        # A process was killed after the last task and before the merge.
        with store.exclusively():
            store.merge()
    order = pl.DataFrame({"task": [task.hash for task in tasks]})
    return order.join(rows, on="task", how="inner", maintain_order="left_right").select(
        rows.columns
    )


def _stored(
    store: SweepStore | None, tasks: Iterable[SweepTask], again: Collection[str]
) -> tuple[pl.DataFrame, list[SweepTask]]:
    """The stored rows that stay, and the tasks that remain to be measured."""
    rows = empty_rows() if store is None else store.rows()
    replaced = {task.hash for task in tasks if task.scheme in again}
    known = set(rows["task"]) - replaced
    kept = rows.filter(~pl.col("task").is_in(list(replaced))) if replaced else rows
    return kept, [task for task in tasks if task.hash not in known]


def _begin(store: SweepStore, config: SweepConfig) -> None:
    settings = config.settings
    store.begin(
        config,
        provenance(
            command=command_line(),
            config=config,
            seed=settings.root_seed,
            device=settings.device,
            dtype=settings.dtype,
            seconds=0.0,
        ),
    )


def _measured(
    missing: list[SweepTask], engine: Executors, measure: Measure, total: int, progress: bool
) -> Iterator[pl.DataFrame]:
    """The rows of every task as it finishes, under a bar that counts the stored ones too."""
    with _bar(progress) as bar:
        line = bar.add_task("sweep", total=total, completed=total - len(missing))
        for task, outcome in outcomes(measure, missing, engine):
            yield failed_rows(task, outcome) if isinstance(outcome, Exception) else outcome
            bar.advance(line)


def _keep(frames: Iterator[pl.DataFrame], store: SweepStore) -> list[str]:
    """Store every frame as it arrives and return the tasks that failed.

    At most one pack of frames is in memory, so memory does not grow with the length of a sweep.
    """
    failed: list[str] = []
    loose: dict[Path, pl.DataFrame] = {}
    for rows in frames:
        loose[store.add(rows["task"][0], rows)] = rows
        if rows["error"][0] is not None:
            failed.append(rows["task"][0])
        if len(loose) == PACK:
            store.pack(loose)
            loose = {}
    return failed


def _bar(shown: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not shown,
    )


def with_depth(frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` with a column ``depth``: N of the stacks there are."""
    return frame.with_columns(depth=pl.max_horizontal("n_encoder", "n_decoder"))


def shown_parts(frame: pl.DataFrame, detail: str = "part") -> pl.DataFrame:
    """The rows of ``frame`` that have a depth exponent, at a level of detail.

    Parameters
    ----------
    frame
        Rows of a sweep.
    detail
        ``part``: the top-level parts. ``matrix``: every row of a sweep by matrix. ``layer``: the
        parts, and for every kind of block the largest of its layers as ``decoder.mlp.*``, which
        Theorem 3.1 wants to fall as 1/N.
    """
    above = frame.filter(pl.col("part").is_in(ALL_PARTS))
    if detail == "part":
        return above
    below = frame.filter(~pl.col("part").is_in(ALL_PARTS))
    if detail == "matrix":
        return frame
    blocks = below.filter(pl.col("part").str.contains(r"\.\d+$"))
    keys = [name for name in frame.columns if name not in ("value", "finite")]
    largest = blocks.with_columns(part=pl.col("part").str.replace(r"\d+$", "*")).group_by(
        keys, maintain_order=True
    )
    return pl.concat(
        [above, largest.agg(pl.col("value").max(), pl.col("finite").all()).select(frame.columns)]
    )


def exponent_table(
    frame: pl.DataFrame, *, from_depth: int = 6, detail: str = "part"
) -> pl.DataFrame:
    """Depth exponents of every (scheme, optimizer, part, quantity) over N ≥ ``from_depth``.

    The parts are those of `shown_parts`.

    Returns
    -------
    polars.DataFrame
        scheme, optimizer, part, quantity, exponent, low, high, points, note. The note is ``flat``,
        ``grows``, ``shrinks``, ``undecided``, or why there is no exponent, as where rounding
        decided a value (``accurate`` is false). The intervals of all parts of one scheme, optimizer
        and quantity hold together at 95 %, so that of 20 such tables without any growth one shows
        some.
    """
    rows = []
    keys = ["scheme", "optimizer", "part", "quantity"]
    deep = with_depth(shown_parts(frame, detail)).filter(pl.col("depth") >= from_depth)
    groups = list(deep.group_by(keys, maintain_order=True))
    beside = Counter(
        (scheme, optimizer, quantity) for (scheme, optimizer, _, quantity), _ in groups
    )
    for key, group in groups:
        scheme, optimizer, _, quantity = key
        confidence = joint_confidence(beside[scheme, optimizer, quantity])
        fit = row_exponent(group, "depth", confidence=confidence)
        number, (low, high), points = (
            (fit.value, fit.interval, fit.points)
            if isinstance(fit, Exponent)
            else (None, (None, None), len(group))
        )
        rows.append((*key, number, low, high, points, verdict_word(fit)))
    schema = dict.fromkeys(keys, pl.String) | dict.fromkeys(("exponent", "low", "high"), pl.Float64)
    return pl.DataFrame(rows, schema=schema | {"points": pl.Int64, "note": pl.String}, orient="row")
