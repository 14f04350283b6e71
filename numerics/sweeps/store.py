"""The folder of a sweep: a manifest, one Parquet shard per finished task, one file of merged rows.

    manifest.json                 schema version, settings, every run's grid and provenance,
                                  the checksum of the merged rows, and its own
    shards/TASK.CHECKSUM.parquet  the rows of one task, written whole
    shards/pack-….parquet         the shards of many tasks, put together on the way
    rows.parquet                  the shards merged when a run completes

A folder belongs to the settings in its manifest. A file that cannot be read or was changed is
reported by name and left as it is. Files of earlier versions have no checksums and are read.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from numerics.stores.files import atomically, read_json
from numerics.stores.folder import ResultFolder
from numerics.stores.provenance import Provenance
from numerics.stores.seals import check_file, check_object, sha256_of, write_sealed
from numerics.sweeps.grid import SCHEMA, SweepConfig, SweepSettings
from numerics.sweeps.merge import merge_shards
from numerics.sweeps.shard import REMEDY, empty_rows, read_shard, write_shard
from theory.errors import InputError


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

    def merged_rows(self) -> pl.DataFrame:
        """What `merge` wrote, the errors of tasks that failed in that run among it."""
        check_file(self.merged, self._digests(), REMEDY)
        return read_shard(self.merged)

    def rows(self) -> pl.DataFrame:
        """Every stored row, each task once, errors left out so that they run again.

        Rows of a shard take precedence over merged rows, since a task may have been measured again.
        """
        self._check()
        files = [self.merged] if self.merged.exists() else []
        if files:
            check_file(self.merged, self._digests(), REMEDY)
        frames = [read_shard(path) for path in (*self.shards(), *files)]
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

    def complete(self, failed: Collection[str], seconds: float) -> None:
        """Merge the rows, and record the wall time of the run that `begin` noted."""
        self.merge(failed)
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
        return write_shard(self._shard_folder, task, rows)

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
        name = f"{_PACK_NAME}{number:0{len(str(_MOST_PACKS))}}"
        write_shard(self._shard_folder, name, pl.concat(loose.values()))
        for path in loose:
            path.unlink()

    def pack_leftovers(self) -> None:
        """Pack the single shards that a killed run left behind."""
        loose = {path: read_shard(path) for path in self.shards() if not _is_pack(path)}
        if loose:
            self.pack(loose)

    def merge(self, failed: Collection[str] = ()) -> None:
        """Write all rows to one file, then remove the shards it holds.

        Parameters
        ----------
        failed
            Tasks that failed in this run: their errors are kept as their rows.
        """
        shards = self.shards()
        files = [*shards, *([self.merged] if self.merged.exists() else [])]
        runs, digests = self._manifest()["runs"], self._digests()
        if self.merged.exists():
            check_file(self.merged, digests, REMEDY)
        with atomically(self.merged) as path:
            merge_shards(files, failed, path)
            # The rows and their checksum are two files. Between the two writes either is right.
            old = [sha256_of(self.merged)] if self.merged.exists() else []
            new = sha256_of(path)
            self._write_manifest(runs, {self.merged.name: [*old, new]})
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


_PACK_NAME = "pack-"
_MOST_PACKS = 99_999
PACK = 500
"""Shards that are put into one file, so that a long sweep has few files to read and to list."""
