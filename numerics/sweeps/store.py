"""The folder of a sweep: a manifest, one Parquet shard a finished task, one file of merged rows.

    manifest.json        schema version, settings, and every run's grid and provenance
    shards/HASH.parquet  the rows of one task, written whole
    rows.parquet         the shards merged when a run completes

A folder belongs to the settings in its manifest. A file that cannot be read is reported by name and
left as it is.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from numerics.results import Provenance, atomically, write_json
from numerics.sweeps.grid import SCHEMA, Settings, SweepConfig
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
whether
rounding left a value right (`numerics.measure.accuracy`); it is null in rows that are older."""


def empty_rows() -> pl.DataFrame:
    """No rows, with every column."""
    return pl.DataFrame(schema=COLUMNS)


@dataclass(frozen=True)
class SweepStore:
    """Reads and writes one folder; opening it checks the folder and changes nothing."""

    folder: Path
    settings: Settings

    @property
    def manifest(self) -> Path:
        """Path of the manifest."""
        return self.folder / "manifest.json"

    @property
    def merged(self) -> Path:
        """Path of the merged rows."""
        return self.folder / "rows.parquet"

    def shards(self) -> list[Path]:
        """Paths of the shards not merged yet."""
        return sorted((self.folder / "shards").glob("*.parquet"))

    def rows(self) -> pl.DataFrame:
        """Every stored row, each task once, errors left out so that they run again."""
        self._check()
        files = [self.merged] if self.merged.exists() else []
        frames = [_read(path) for path in (*files, *self.shards())]
        stored = pl.concat([empty_rows(), *frames])
        return stored.filter(pl.col("error").is_null()).unique(
            ["task", "part", "quantity"], keep="first", maintain_order=True
        )

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep other sweeps out of the folder; a process that dies lets go of it.

        Raises
        ------
        InputError
            If another process writes to the folder.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            _lock(handle, self.folder)
            for half_written in self.folder.rglob(".*.part"):
                half_written.unlink()
            yield
        finally:
            os.close(handle)

    def begin(self, config: SweepConfig, provenance: Provenance) -> None:
        """Write the manifest, with this run's grid added to those before."""
        runs = self._manifest()["runs"] if self.manifest.exists() else []
        grid = {key: value for key, value in asdict(config).items() if key != "settings"}
        self._write_manifest([*runs, {"grid": grid, "provenance": provenance}])

    def complete(self, rows: pl.DataFrame, seconds: float) -> None:
        """Merge the rows, and put the wall time of the run that `begin` noted on record."""
        self.merge(rows)
        *earlier, last = self._manifest()["runs"]
        last["provenance"]["seconds"] = seconds
        self._write_manifest([*earlier, last])

    def _write_manifest(self, runs: list) -> None:
        content = {
            "kind": "tfixup sweep",
            "schema": SCHEMA,
            "settings": self.settings.stored(),
            "runs": runs,
        }
        write_json(self.manifest, content)

    def add(self, task: str, rows: pl.DataFrame) -> None:
        """Write the shard of one finished task."""
        with atomically(self.folder / "shards" / f"{task}.parquet") as path:
            rows.write_parquet(path)

    def merge(self, rows: pl.DataFrame) -> None:
        """Write all rows to one file, then remove the shards it holds."""
        shards = self.shards()
        with atomically(self.merged) as path:
            rows.sort(
                "n_encoder", "scheme", "optimizer", "seed", maintain_order=True
            ).write_parquet(path, compression="zstd")
        for shard in shards:
            shard.unlink()
        if shards and not any((self.folder / "shards").iterdir()):
            (self.folder / "shards").rmdir()

    def _check(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"the output must be a folder, got the file {self.folder}")
        if self.manifest.exists():
            held = self._manifest()["settings"]
            wanted = self.settings.stored()
            if held != wanted:
                keys = sorted(held.keys() | wanted.keys())
                named = ", ".join(
                    f"{key} {held.get(key)!r} there, {wanted.get(key)!r} asked for"
                    for key in keys
                    if held.get(key) != wanted.get(key)
                )
                raise InputError(
                    f"{self.folder} holds another sweep ({named}): choose a new folder"
                )
        elif self.folder.exists() and (strangers := sorted(self.folder.iterdir())):
            raise InputError(
                f"an output folder must be new, empty or a sweep's own, "
                f"but {self.folder} has no manifest.json and holds {strangers[0].name}"
            )

    def _manifest(self) -> Mapping:
        try:
            content = json.loads(self.manifest.read_text())
            kind, schema, _, _ = (content[key] for key in ("kind", "schema", "settings", "runs"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.manifest} is not a sweep's manifest ({error!r}): choose a new folder"
            ) from error
        if (kind, schema) != ("tfixup sweep", SCHEMA):
            raise InputError(
                f"{self.manifest} must be of kind 'tfixup sweep', schema {SCHEMA}, "
                f"got {kind!r}, {schema!r}"
            )
        return content


def open_for_reading(folder: Path) -> SweepStore:
    """The store in ``folder``, whatever its settings; an error if there is no sweep."""
    if not (folder / "manifest.json").is_file():
        raise InputError(f"{folder} holds no sweep (no manifest.json)")
    held = SweepStore(folder, Settings())._manifest()["settings"]
    try:
        return SweepStore(folder, Settings(**held))
    except TypeError as error:
        raise InputError(f"{folder}/manifest.json has unknown settings ({error})") from error


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(f"another sweep is writing to {folder}: wait for its end") from error


def _read(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{path} is not a readable Parquet file ({error}): "
            f"delete it to have its tasks run again"
        ) from error
    older = {name: kind for name, kind in COLUMNS.items() if name != "accurate"}
    if frame.schema == pl.Schema(older):
        frame = frame.with_columns(accurate=pl.lit(None, pl.Boolean)).select(*COLUMNS)
    if frame.schema != pl.Schema(COLUMNS):
        odd = ", ".join(sorted(set(COLUMNS) ^ set(frame.columns))) or "types differ"
        raise InputError(
            f"{path} does not have the columns of a sweep ({odd}): "
            f"delete it to have its tasks run again"
        )
    return frame


def task_rows(common: Mapping[str, object], values: Iterable[Mapping[str, object]]) -> pl.DataFrame:
    """Tidy rows: ``values`` (part, quantity, value, finite) beside the columns of one task."""
    return pl.DataFrame([{**common, **value} for value in values], schema=COLUMNS)
