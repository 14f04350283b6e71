"""One file of a sweep's rows: its columns, its checksum, and how it is written and read.

A shard's name ends with the beginning of the SHA-256 of its bytes, so that a changed byte is named
before the file is opened. The file of merged rows has its checksum in the manifest.
"""

import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from numerics.stores.files import atomically
from numerics.stores.seals import sha256_of
from theory.errors import InputError

COLUMNS: Mapping[str, type[pl.DataType]] = {
    "task": pl.String,
    "scheme": pl.String,
    "optimizer": pl.String,
    "n_encoder": pl.Int64,
    "n_decoder": pl.Int64,
    "d_model": pl.Int64,
    "d_ff": pl.Int64,
    "heads": pl.Int64,
    "vocab": pl.Int64,
    "batch": pl.Int64,
    "tokens": pl.Int64,
    "inputs": pl.String,
    "embedding_multiplier": pl.Float64,
    "seed": pl.Int64,
    "part": pl.String,
    "quantity": pl.String,
    "value": pl.Float64,
    "finite": pl.Boolean,
    "accurate": pl.Boolean,
    "dtype": pl.String,
    "device": pl.String,
    "seconds": pl.Float64,
    "error": pl.String,
}
"""Columns of the stored rows. ``error`` is null but for a task that failed. ``accurate`` says
whether rounding left a value right (`numerics.measure.accuracy`); it is null in older rows."""


def empty_rows() -> pl.DataFrame:
    """No rows, with every column."""
    return pl.DataFrame(schema=COLUMNS)


def task_rows(common: Mapping[str, object], values: Iterable[Mapping[str, object]]) -> pl.DataFrame:
    """Tidy rows: ``values`` (part, quantity, value, finite) beside the columns of one task."""
    return pl.DataFrame([{**common, **value} for value in values], schema=COLUMNS)


def write_shard(place: Path, name: str, rows: pl.DataFrame) -> Path:
    """Write rows to a file of their own, whole or not at all: ``place/name.CHECKSUM.parquet``."""
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression=COMPRESSION)
    content = buffer.getvalue()
    checksum = hashlib.sha256(content).hexdigest()[:CHECKSUM_LETTERS]
    target = place / f"{name}.{checksum}.parquet"
    with atomically(target) as path:
        path.write_bytes(content)
    return target


def check_shard(path: Path) -> None:
    """Raise if the file is not the one whose checksum stands in its name, or has other columns.

    Raises
    ------
    InputError
        The message names the file and says what to do.
    """
    # The checksum comes first: the reader of a damaged table can take the whole process down.
    _, *checksum = path.stem.split(".")
    if checksum and sha256_of(path)[:CHECKSUM_LETTERS] != checksum[0]:
        raise InputError(f"{path} was changed after it was written: {REMEDY}")
    try:
        schema = _scan(path).collect_schema()
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise InputError(f"{path} is not a readable Parquet file ({error}): {REMEDY}") from error
    if dict(schema) not in (dict(COLUMNS), _OLDER):
        odd = ", ".join(sorted(set(COLUMNS) ^ set(schema))) or "types differ"
        raise InputError(f"{path} does not have the columns of a sweep ({odd}): {REMEDY}")


def scan_shard(path: Path) -> pl.LazyFrame:
    """The rows of a file that `check_shard` accepted, not read yet.

    Rows from before accuracy was stored have null there.
    """
    lazy = _scan(path)
    if "accurate" not in lazy.collect_schema():
        lazy = lazy.with_columns(accurate=pl.lit(None, pl.Boolean))
    return lazy.select(*COLUMNS)


def read_shard(path: Path) -> pl.DataFrame:
    """The rows of a file, after `check_shard`.

    Raises
    ------
    InputError
        If the file was changed, cannot be read, or has other columns.
    """
    check_shard(path)
    try:
        return scan_shard(path).collect()
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise InputError(f"{path} is not a readable Parquet file ({error}): {REMEDY}") from error


def _scan(path: Path) -> pl.LazyFrame:
    # No glob: a folder's name may hold characters that stand for other folders' names.
    return pl.scan_parquet(path, glob=False)


_OLDER = {name: kind for name, kind in COLUMNS.items() if name != "accurate"}
REMEDY = "delete it to have its tasks run again"
"""What a user can do about a damaged file."""
CHECKSUM_LETTERS = 16
"""Letters of a SHA-256 in a shard's name: 64 bits find every accident."""
COMPRESSION = "zstd"
