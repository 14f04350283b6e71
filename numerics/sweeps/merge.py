"""Puts the rows of many files into one sorted file while few of them are in memory.

Only one line per task and file is read first: the task, where it belongs in the order, whether it
failed. These lines decide which file's rows count for each task. The rows themselves then pass
through in groups of `GROUP` tasks.
"""

import errno
from collections.abc import Collection, Sequence
from pathlib import Path

import polars as pl

from numerics.sweeps.shard import COLUMNS, COMPRESSION, check_shard, empty_rows, scan_shard

ORDER = ("n_encoder", "n_decoder", "scheme", "optimizer", "seed")
"""Columns by which merged rows are sorted; within one task, rows keep their order."""
GROUP = 5_000
"""Tasks whose rows are read together: some 60,000 rows, 20 MiB."""


def merge_shards(files: Sequence[Path], failed: Collection[str], target: Path) -> None:
    """Write the rows of ``files`` to ``target``, each task once, in the order of `ORDER`.

    Parameters
    ----------
    files
        Files of rows. Where several hold one task, the rows of the first of them count.
    failed
        Tasks whose error is kept as their row. The errors of other tasks are left out, so that an
        earlier success counts and those without any run again.
    target
        The file to write.

    Raises
    ------
    InputError
        If a file was changed, cannot be read, or has other columns.
    OSError
        If the target cannot be written.
    """
    index = _index(files, failed)
    groups = []
    for start in range(0, len(index), GROUP):
        some = index[start : start + GROUP]
        parts = [
            scan_shard(files[int(place[0])]).filter(pl.col("task").is_in(own["task"].implode()))
            for place, own in some.group_by("file", maintain_order=True)
        ]
        rows = pl.concat(parts).filter(_counts(failed))
        groups.append(rows.sort(*ORDER, maintain_order=True))
    whole = pl.concat([empty_rows().lazy(), *groups])
    try:
        whole.select(*COLUMNS).sink_parquet(target, compression=COMPRESSION, maintain_order=True)
    except pl.exceptions.ComputeError as error:
        # Every file was read for the index, so it is the writing that failed: of a full disk, say.
        raise OSError(errno.EIO, f"the rows could not be written ({error})", str(target)) from error


def _index(files: Sequence[Path], failed: Collection[str]) -> pl.DataFrame:
    """The file whose rows count, for every task, in the order of the merged rows."""
    lines = [empty_rows().select("task", *ORDER).with_columns(file=pl.lit(0, pl.Int64))]
    for number, path in enumerate(files):
        check_shard(path)
        own = scan_shard(path).filter(_counts(failed)).select("task", *ORDER)
        lines.append(own.unique(maintain_order=True).collect().with_columns(file=pl.lit(number)))
    newest = pl.concat(lines, how="vertical_relaxed").unique("task", keep="first")
    return newest.sort(*ORDER, "task")


def _counts(failed: Collection[str]) -> pl.Expr:
    """Whether a row may stand for its task: a failure of this run, or a measurement else."""
    return pl.col("error").is_null() ^ pl.col("task").is_in(list(failed))
