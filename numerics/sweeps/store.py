"""The folder of a sweep: a manifest, one Parquet shard per finished task, one file of merged rows.

    manifest.json                 schema version, settings, every run's grid and provenance,
                                  the checksum of the merged rows, and its own
    shards/TASK.CHECKSUM.parquet  the rows of one task, written whole
    shards/pack-….parquet         the shards of many tasks, put together on the way
    rows.parquet                  the shards merged when a run completes

A folder belongs to the settings in its manifest. A file that cannot be read or was changed is
reported by name and left as it is. Files of earlier versions have no checksums and are read.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from numerics.stores.files import atomically, read_json
from numerics.stores.folder import ResultFolder
from numerics.stores.provenance import Provenance
from numerics.stores.seals import check_file, check_object, sha256_of, write_sealed
from numerics.sweeps.grid import SCHEMA, SweepConfig, SweepSettings
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


@dataclass(frozen=True)
class SweepStore:
    """Reads and writes one folder; opening it checks the folder and changes nothing."""

    folder: Path
    settings: SweepSettings

    @property
    def _place(self) -> ResultFolder:
        names = ("manifest.json", "*.parquet")
        return ResultFolder(self.folder, "manifest.json", "sweep", names)

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
        return sorted(path for path in self._shard_folder.glob("*.parquet") if path.is_file())

    @property
    def _shard_folder(self) -> Path:
        place = self.folder / "shards"
        if place.exists() and not place.is_dir():
            raise InputError(f"{place} must be a folder of shards, and is a file")
        return place

    @property
    def is_merged(self) -> bool:
        """Whether all stored rows are in one file; false after a kill before the merge."""
        return self.merged.exists() and not self.shards()

    def rows(self) -> pl.DataFrame:
        """Every stored row, each task once, errors left out so that they run again.

        Rows of a shard take precedence over merged rows, since a task may have been measured again.
        """
        self._check()
        files = [self.merged] if self.merged.exists() else []
        if files:
            check_file(self.merged, self._digests(), _AGAIN)
        frames = [_read(path) for path in (*self.shards(), *files)]
        stored = pl.concat([empty_rows(), *frames])
        return stored.filter(pl.col("error").is_null()).unique(
            ["task", "part", "quantity"], keep="first", maintain_order=True
        )

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Hold the folder's lock, which ends with the process.

        Raises
        ------
        InputError
            If another process writes to the folder.
        """
        with self._place.exclusively():
            yield

    def begin(self, config: SweepConfig, provenance: Provenance) -> None:
        """Write the manifest, with this run's grid added to those before."""
        held = self._manifest() if self.manifest.exists() else {"runs": [], "files": {}}
        grid = {key: value for key, value in asdict(config).items() if key != "settings"}
        runs = [*held["runs"], {"grid": grid, "provenance": provenance}]
        self._write_manifest(runs, held.get("files", {}))

    def complete(self, rows: pl.DataFrame, seconds: float) -> None:
        """Merge the rows, and record the wall time of the run that `begin` noted."""
        self.merge(rows)
        *earlier, last = self._manifest()["runs"]
        last["provenance"]["seconds"] = seconds
        self._write_manifest([*earlier, last], self._digests())

    def _write_manifest(self, runs: list, digests: Mapping[str, object]) -> None:
        content = {
            "kind": "tfixup sweep",
            "schema": SCHEMA,
            "settings": self.settings.stored(),
            "runs": runs,
            "files": digests,
        }
        write_sealed(self.manifest, content)

    def _digests(self) -> Mapping[str, object]:
        return self._manifest().get("files", {})

    def add(self, task: str, rows: pl.DataFrame) -> Path:
        """Write the shard of one finished task and return its path."""
        return self._write_shard(task, rows)

    def pack(self, loose: Mapping[Path, pl.DataFrame]) -> None:
        """Put the shards of many tasks into one file, and then remove them.

        A kill between the two steps leaves rows twice; `rows` then takes each of them once.

        Parameters
        ----------
        loose
            The rows of each shard, by the path that `add` returned.
        """
        # Sorted by name, newer files come first: single tasks, then packs from last to first.
        number = _MOST_PACKS - sum(_is_pack(path) for path in self.shards())
        self._write_shard(
            f"{_PACK_NAME}{number:0{len(str(_MOST_PACKS))}}", pl.concat(loose.values())
        )
        for path in loose:
            path.unlink()

    def pack_leftovers(self) -> None:
        """Pack the single shards that a killed run left behind."""
        loose = {path: _read(path) for path in self.shards() if not _is_pack(path)}
        if loose:
            self.pack(loose)

    def _write_shard(self, name: str, rows: pl.DataFrame) -> Path:
        content = _parquet(rows)
        checksum = hashlib.sha256(content).hexdigest()[:_CHECKSUM_LETTERS]
        target = self._shard_folder / f"{name}.{checksum}.parquet"
        with atomically(target) as path:
            path.write_bytes(content)
        return target

    def merge(self, rows: pl.DataFrame) -> None:
        """Write all rows to one file, then remove the shards it holds."""
        shards = self.shards()
        content = _parquet(
            rows.sort("n_encoder", "n_decoder", "scheme", "optimizer", "seed", maintain_order=True)
        )
        runs, new = self._manifest()["runs"], hashlib.sha256(content).hexdigest()
        # The rows and their checksum are two files. Between the two writes either digest is right.
        old = [sha256_of(self.merged)] if self.merged.exists() else []
        self._write_manifest(runs, {self.merged.name: [*old, new]})
        with atomically(self.merged) as path:
            path.write_bytes(content)
        self._write_manifest(runs, {self.merged.name: new})
        for shard in shards:
            shard.unlink()
        if shards and not any((self.folder / "shards").iterdir()):
            (self.folder / "shards").rmdir()

    def _check(self) -> None:
        self._place.require_usable()
        if self._place.is_ours:
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

    def _manifest(self) -> Mapping:
        content: dict = read_json(self.manifest, "a sweep")
        kinds = {"kind": str, "schema": int, "settings": dict, "runs": list}
        for key, kind in kinds.items():
            if not isinstance(content.get(key), kind):
                raise InputError(
                    f"{self.manifest} is not a sweep's manifest ({key} must be of type "
                    f"{kind.__name__}, got {content.get(key)!r}): choose a new folder"
                )
        kind, schema = content["kind"], content["schema"]
        if (kind, schema) != ("tfixup sweep", SCHEMA):
            raise InputError(
                f"{self.manifest} must be of kind 'tfixup sweep', schema {SCHEMA}, "
                f"got {kind!r}, {schema!r}"
            )
        check_object(content, str(self.manifest))
        return content


def _is_pack(path: Path) -> bool:
    return path.name.startswith(_PACK_NAME)


def open_for_reading(folder: Path) -> SweepStore:
    """The store in ``folder``, whatever its settings; an error if there is no sweep."""
    if not (folder / "manifest.json").is_file():
        raise InputError(f"{folder} holds no sweep (no manifest.json)")
    held = SweepStore(folder, SweepSettings())._manifest()["settings"]
    try:
        return SweepStore(folder, SweepSettings(**held))
    except TypeError as error:
        raise InputError(f"{folder}/manifest.json has unknown settings ({error})") from error


_AGAIN = "delete it to have its tasks run again"
_CHECKSUM_LETTERS = 16
_PACK_NAME = "pack-"
_MOST_PACKS = 99_999
PACK = 500
"""Shards that are put into one file, so that a long sweep has few files to read and to list."""
"""Of a SHA-256, in a shard's name: 64 bits find every accident."""


def _parquet(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def _read(path: Path) -> pl.DataFrame:
    # The checksum comes first: the reader of a damaged table can take the whole process down.
    _, *checksum = path.stem.split(".")
    if checksum and sha256_of(path)[:_CHECKSUM_LETTERS] != checksum[0]:
        raise InputError(f"{path} was changed after it was written: {_AGAIN}")
    try:
        # No glob: a folder's name may hold characters that stand for other folders' names.
        frame = pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise InputError(f"{path} is not a readable Parquet file ({error}): {_AGAIN}") from error
    older = {name: kind for name, kind in COLUMNS.items() if name != "accurate"}
    if frame.schema == pl.Schema(older):
        frame = frame.with_columns(accurate=pl.lit(None, pl.Boolean)).select(*COLUMNS)
    if frame.schema != pl.Schema(COLUMNS):
        odd = ", ".join(sorted(set(COLUMNS) ^ set(frame.columns))) or "types differ"
        raise InputError(f"{path} does not have the columns of a sweep ({odd}): {_AGAIN}")
    return frame


def task_rows(common: Mapping[str, object], values: Iterable[Mapping[str, object]]) -> pl.DataFrame:
    """Tidy rows: ``values`` (part, quantity, value, finite) beside the columns of one task."""
    return pl.DataFrame([{**common, **value} for value in values], schema=COLUMNS)
