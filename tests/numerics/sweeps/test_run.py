import json
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from numerics.cli.main import run
from numerics.cli.sweep import Sweep
from numerics.models import Architecture
from numerics.schemes import SCHEMES, schemes_for
from numerics.sweeps.run import (
    SweepConfig,
    SweepSettings,
    SweepTask,
    exponent_table,
    failed_rows,
    measure_task,
    run_sweep,
)
from numerics.sweeps.shard import COLUMNS
from numerics.sweeps.store import open_for_reading
from theory.errors import InputError

RECORDED = Path(__file__).parents[3] / "results" / "sweep"
SMALL = SweepSettings(d_model=8, d_ff=12, vocabulary=20, sequences=2, tokens=4)
GRID = SweepConfig(("tfixup", "post-ln"), ("sgd", "sign"), (1, 2), 2, SMALL)


def _state(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


class _Counting:
    """Measures, and stops as a kill would after ``limit`` tasks."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit, self.done = limit, []

    def __call__(self, task: SweepTask) -> pl.DataFrame:
        if self.limit is not None and len(self.done) == self.limit:
            raise KeyboardInterrupt
        self.done.append(task.hash)
        return measure_task(task)


def test_rows_are_tidy(tmp_path):
    frame = run_sweep(GRID, tmp_path / "out")
    assert dict(frame.schema) == dict(COLUMNS)
    assert len(frame) == 16 * (2 * 9 + 1)
    assert frame["finite"].all()
    assert frame.select("task", "part", "quantity").is_duplicated().sum() == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["settings"]["d_model"] == 8
    assert manifest["runs"][0]["provenance"]["versions"]["torch"]
    assert sorted(os.listdir(tmp_path / "out")) == ["manifest.json", "rows.parquet"]


def test_nothing_is_kept_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(run_sweep(GRID)) == 16 * 19
    assert not list(tmp_path.iterdir())


def test_a_killed_sweep_goes_on_where_it_stopped(tmp_path):
    first = _Counting(limit=5)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(GRID, tmp_path, measure=first)
    assert len(list((tmp_path / "shards").glob("*.parquet"))) == 5
    second = _Counting()
    resumed = run_sweep(GRID, tmp_path, measure=second)
    assert len(second.done) == 11
    assert not set(first.done) & set(second.done)
    whole = run_sweep(GRID)
    columns = [name for name in COLUMNS if name != "seconds"]
    assert resumed.select(columns).equals(whole.select(columns))
    third = _Counting()
    assert run_sweep(GRID, tmp_path, measure=third).equals(resumed)
    assert third.done == []


def test_a_larger_grid_measures_only_what_is_new(tmp_path):
    run_sweep(GRID, tmp_path)
    larger = SweepConfig(GRID.schemes, GRID.optimizers, (1, 2, 3), 3, SMALL)
    counting = _Counting()
    frame = run_sweep(larger, tmp_path, measure=counting)
    assert len(counting.done) == 36 - 16
    assert frame["task"].n_unique() == 36
    assert len(json.loads((tmp_path / "manifest.json").read_text())["runs"]) == 2
    assert run_sweep(GRID, tmp_path)["task"].n_unique() == 16


def test_another_sweep_is_refused_and_left(tmp_path):
    run_sweep(GRID, tmp_path)
    before = _state(tmp_path)
    other = SweepConfig(GRID.schemes, settings=SweepSettings(d_model=16, d_ff=12))
    with pytest.raises(InputError, match=r"holds another sweep .*d_model 8 there, 16 asked for"):
        run_sweep(other, tmp_path)
    assert _state(tmp_path) == before


@pytest.mark.parametrize("where", ["shards/broken.parquet", "rows.parquet"])
@pytest.mark.parametrize("content", [b"", b"not Parquet", b"PAR1 cut short"])
def test_a_corrupt_shard_is_named_and_left(tmp_path, where, content):
    run_sweep(GRID, tmp_path)
    (tmp_path / "shards").mkdir()
    (tmp_path / where).write_bytes(content)
    before = _state(tmp_path)
    with pytest.raises(InputError) as caught:
        run_sweep(GRID, tmp_path)
    assert str(tmp_path / where) in str(caught.value)
    assert "delete it" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert _state(tmp_path) == before


def test_a_shard_of_other_columns_is_refused(tmp_path):
    run_sweep(GRID, tmp_path)
    (tmp_path / "shards").mkdir()
    pl.DataFrame({"value": [1.0]}).write_parquet(tmp_path / "shards" / "strange.parquet")
    with pytest.raises(InputError, match="does not have the columns"):
        run_sweep(GRID, tmp_path)


def test_every_changed_byte_of_the_merged_rows_and_of_a_shard_is_noticed(tmp_path):
    run_sweep(GRID, tmp_path)
    store = open_for_reading(tmp_path)
    store.add("a" * 64, store.rows().head(0))
    for path in (tmp_path / "rows.parquet", *store.shards()):
        content = path.read_bytes()
        for place in range(0, len(content), max(1, len(content) // 40)):
            flipped = bytes([content[place] ^ 0x55])
            path.write_bytes(content[:place] + flipped + content[place + 1 :])
            with pytest.raises(InputError, match="was changed after it was written"):
                store.rows()
        path.write_bytes(content)
    assert len(store.rows()) > 0


def test_the_name_of_a_folder_is_no_pattern(tmp_path):
    other = SweepConfig(GRID.schemes, settings=replace(GRID.settings, d_ff=16), depths=(1,))
    run_sweep(other, tmp_path / "sx")
    own = run_sweep(GRID, tmp_path / "s*")
    assert_frame_equal(
        open_for_reading(tmp_path / "s*").rows().select(pl.col("d_ff").unique()),
        own.select(pl.col("d_ff").unique()),
    )


def test_a_sweep_killed_before_the_merge_is_merged_by_the_next_run(tmp_path):
    whole = run_sweep(GRID, tmp_path / "whole")
    out = tmp_path / "killed"
    run_sweep(GRID, out)
    store = open_for_reading(out)
    rows = store.rows()
    for task, own in rows.group_by("task"):
        store.add(str(task[0]), own)
    (out / "rows.parquet").unlink()
    again = run_sweep(GRID, out)
    assert_frame_equal(again.drop("seconds"), whole.drop("seconds"))
    assert (out / "rows.parquet").exists()
    assert store.shards() == []


@pytest.mark.parametrize("content", [b"", b"[]", b'{"settings": null}', b"[" * 100_000])
def test_a_damaged_manifest_is_named_in_one_line(tmp_path, content):
    run_sweep(GRID, tmp_path)
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(InputError, match=r"manifest\.json") as caught:
        run_sweep(GRID, tmp_path)
    assert "\n" not in str(caught.value)


def test_an_edited_manifest_is_named(tmp_path):
    run_sweep(GRID, tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace('"seconds": ', '"seconds": 9', 1))
    with pytest.raises(InputError, match="was changed after it was written"):
        run_sweep(GRID, tmp_path)


def test_a_folder_of_strange_files_is_refused_and_left(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    before = _state(tmp_path)
    with pytest.raises(InputError, match=r"no manifest\.json and holds thesis\.tex"):
        run_sweep(GRID, tmp_path)
    assert _state(tmp_path) == before


@pytest.mark.parametrize("content", ["", "[]", '{"kind": "tfixup sweep"}', '{"kind": 1}'])
def test_a_strange_manifest_is_refused(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=r"manifest\.json"):
        run_sweep(GRID, tmp_path)


def test_another_schema_version_is_refused_and_left(tmp_path):
    run_sweep(GRID, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"schema": 99}))
    before = _state(tmp_path)
    with pytest.raises(InputError, match=r"schema 1, got 'tfixup sweep', 99"):
        run_sweep(GRID, tmp_path)
    assert _state(tmp_path) == before


def test_two_sweeps_at_once_do_not_share_a_folder(tmp_path):
    def measure(task: SweepTask) -> pl.DataFrame:
        with pytest.raises(InputError, match="another sweep is writing to"):
            run_sweep(GRID, tmp_path)
        return measure_task(task)

    one = SweepConfig(("tfixup",), ("sgd",), (1,), 1, SMALL)
    assert run_sweep(one, tmp_path, measure=measure)["error"].null_count() == 19
    assert run_sweep(GRID, tmp_path)["task"].n_unique() == 16


def test_what_a_kill_left_half_written_is_cleared_away(tmp_path):
    run_sweep(GRID, tmp_path / "sweep")
    part = tmp_path / "sweep" / "shards" / ".abc.parquet.123.part"
    part.parent.mkdir()
    part.write_bytes(b"PAR1")
    run_sweep(SweepConfig(GRID.schemes, GRID.optimizers, (1, 2, 3), 2, SMALL), tmp_path / "sweep")
    assert not part.parent.exists()


@pytest.mark.parametrize(
    ("architecture", "depths", "parts"),
    [("encoder-only", (2, 0), 5), ("decoder-only", (0, 2), 5)],
)
def test_a_sweep_of_one_stack(architecture, depths, parts):
    settings = replace(SMALL, architecture=architecture)
    rows = run_sweep(SweepConfig(("tfixup", "pre-ln"), ("sgd",), (2, 4), 2, settings))
    updates = rows.filter(pl.col("quantity") == "update")
    assert updates["part"].n_unique() == parts
    assert (updates["value"] > 0).all()
    assert updates.select("n_encoder", "n_decoder").row(0) == tuple(2 * n for n in depths)
    assert (exponent_table(rows, from_depth=1)["points"] == 4).all()


def test_a_scheme_that_the_architecture_does_not_have(monkeypatch, tmp_path, capsys):
    only = replace(SCHEMES["xavier"], architectures=frozenset({Architecture.ENCODER_ONLY}))
    monkeypatch.setitem(SCHEMES, "xavier", only)
    command = ["sweep", "--schemes", "tfixup,xavier", "--out", str(tmp_path / "out")]
    assert run(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "scheme xavier must be used on encoder-only, got encoder-decoder" in line
    assert not (tmp_path / "out").exists()


def test_the_settings_of_older_sweeps_keep_their_hashes():
    """The name of a shard that was recorded before there were other architectures."""
    recorded = open_for_reading(RECORDED).rows()
    settings = open_for_reading(RECORDED).settings
    tasks = SweepConfig(("tfixup", "xavier"), ("sgd",), (1, 200), 2, settings).tasks()
    assert {task.hash for task in tasks} <= set(recorded["task"])
    single = replace(settings, architecture="encoder-only")
    assert single.stored() != settings.stored()


def test_a_file_for_a_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="must be a folder"):
        run_sweep(GRID, tmp_path / "out")


def test_reading_a_folder_without_a_sweep(tmp_path):
    with pytest.raises(InputError, match="holds no sweep"):
        open_for_reading(tmp_path)


def test_a_task_that_fails_twice_becomes_a_row_and_is_tried_again(tmp_path):
    attempts = []

    def fragile(task: SweepTask) -> pl.DataFrame:
        if (task.scheme, task.optimizer, task.depth, task.seed) == ("tfixup", "sgd", 2, 0):
            attempts.append(task)
            raise MemoryError("too deep")
        return measure_task(task)

    frame = run_sweep(GRID, tmp_path, measure=fragile)
    assert len(attempts) == 2
    assert frame.drop_nulls("error")["error"].to_list() == ["MemoryError: too deep"]
    assert exponent_table(frame, from_depth=1).filter(
        (pl.col("scheme") == "tfixup")
        & (pl.col("optimizer") == "sgd")
        & (pl.col("part") == "total")
        & (pl.col("quantity") == "update")
    )["note"].to_list() == ["not finite from N = 2"]
    again = run_sweep(GRID, tmp_path)
    assert again["error"].null_count() == len(again)
    assert again["task"].n_unique() == 16


def test_failure_rows_have_every_column():
    rows = failed_rows(GRID.tasks()[0], RuntimeError("no"))
    assert dict(rows.schema) == dict(COLUMNS)


def test_streams_are_shared_by_schemes_and_independent_between_points():
    tasks = SweepConfig(("tfixup", "xavier"), ("sgd", "sign"), (1, 2, 3), 4, SMALL).tasks()
    streams = {}
    for task in tasks:
        for purpose in ("weights", "batch", "cotangent"):
            streams.setdefault((task.depth, task.seed, purpose), set()).add(task.stream(purpose))
    assert all(len(values) == 1 for values in streams.values())
    assert len(set.union(*streams.values())) == len(streams) == 36
    assert len({task.hash for task in tasks}) == len(tasks)


@pytest.mark.filterwarnings("ignore:.torch.jit.script.:DeprecationWarning")
def test_all_is_every_scheme_and_every_row_is_finite():
    config = Sweep(schemes="all", depths="1,2", seeds=1, optimizers="sgd", settings=SMALL).config()
    known = schemes_for(Architecture.ENCODER_DECODER)
    assert config.schemes == known
    assert set(SCHEMES) - set(known) == {"deepscalelm", "deepscalelm-code"}
    frame = run_sweep(config)
    assert set(frame["scheme"]) == set(known)
    assert frame["error"].null_count() == len(frame)
    assert frame["finite"].all()
    with pytest.raises(InputError, match="did you mean 'rezero'"):
        Sweep(schemes="rezerro").config()


COMMAND = """
import sys
from numerics.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.slow
def test_ten_kills_at_random_moments_lose_and_double_nothing(tmp_path):
    """Every task that was stored at a kill is in the final rows, to the second it took."""
    grid = SweepConfig(("tfixup", "post-ln"), ("sgd", "sign"), (1, 2, 3), 20, SMALL)
    out, moments, finished, sessions = tmp_path / "out", random.Random(4), {}, set()
    small = "--d-model 8 --d-ff 12 --vocabulary 20 --sequences 2 --tokens 4 --device cpu"
    what = "--schemes tfixup,post-ln --optimizers sgd,sign --depths 1,2,3 --seeds 20"
    words = ["sweep", *small.split(), *what.split(), "--no-progress", "--out", str(out)]
    for workers in "1111211111":
        command = [sys.executable, "-c", COMMAND, *words, "--workers", workers]
        process = subprocess.Popen(command, start_new_session=True)
        sessions.add(process.pid)
        wanted = len(finished) + moments.randrange(1, 10)
        while len(_stored_tasks(out / "shards")) < wanted:
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.03))
        process.kill()
        process.wait()
        finished |= _stored_tasks(out / "shards")
    _until_gone(sessions)
    assert 10 <= len(finished) < len(grid.tasks())
    assert run([*words, "--workers", "1"]) == 0
    final = pl.read_parquet(out / "rows.parquet")
    assert final.select("task", "part", "quantity").is_duplicated().sum() == 0
    for task, rows in finished.items():
        assert final.filter(pl.col("task") == task).equals(rows)
    assert run_sweep(grid, out).drop("seconds").equals(run_sweep(grid).drop("seconds"))
    assert sorted(os.listdir(out)) == ["manifest.json", "rows.parquet"]


def _stored_tasks(shards: Path) -> dict[str, pl.DataFrame]:
    """The rows of every finished task; a restarted sweep first packs the files that it finds."""
    while True:
        with suppress(FileNotFoundError):  # it was packed in between
            frames = [pl.read_parquet(path) for path in shards.glob("*.parquet")]
            return {
                task: rows
                for f in frames
                for (task,), rows in f.group_by("task", maintain_order=True)
            }


def _until_gone(sessions: set[int]) -> None:
    """Wait for the end of every process that the killed ones started."""
    deadline = time.monotonic() + 20
    while any(
        int(stat.rpartition(")")[2].split()[3]) in sessions
        for stat in map(_read_stat, Path("/proc").glob("[0-9]*/stat"))
        if stat
    ):
        assert time.monotonic() < deadline, "workers outlive the sweep"
        time.sleep(0.05)


def _read_stat(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
