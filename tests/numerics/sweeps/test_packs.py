"""Shards are put together on the way, so that a long sweep has few files and flat memory."""

import polars as pl
import pytest

from numerics.executors import Local
from numerics.sweeps import merge
from numerics.sweeps import run as sweep_run
from numerics.sweeps.run import SweepConfig, SweepSettings, SweepTask, run_sweep
from numerics.sweeps.store import SweepStore, open_for_reading
from numerics.sweeps.task import failed_rows

SMALL = SweepSettings(d_model=8, d_ff=12, vocabulary=20, sequences=2, tokens=4)
GRID = SweepConfig(("tfixup",), ("sgd",), (1, 2), 11, SMALL)
KEY = ["task", "part", "quantity"]


def invented(task: SweepTask) -> pl.DataFrame:
    """Rows whose value names the task, at no cost."""
    rows = failed_rows(task, ValueError("none"))
    value = pl.lit(float(1000 * task.depth + task.seed))
    return rows.with_columns(value=value, finite=pl.lit(True), error=pl.lit(None, pl.String))


def failing(task: SweepTask) -> pl.DataFrame:
    if task.seed == 3:
        raise ValueError("seed 3")
    return invented(task)


@pytest.fixture(autouse=True)
def _packs_of_four(monkeypatch):
    monkeypatch.setattr(sweep_run, "PACK", 4)


class Stopped(KeyboardInterrupt):
    """A kill."""


def stopping(limit):
    done = []

    def measure(task):
        if len(done) == limit:
            raise Stopped
        done.append(task)
        return invented(task)

    return measure


@pytest.mark.parametrize("limit", [3, 4, 5, 21])
def test_a_sweep_that_is_killed_goes_on_with_the_same_rows(tmp_path, limit):
    whole = run_sweep(GRID, measure=invented)
    with pytest.raises(Stopped):
        run_sweep(GRID, tmp_path, measure=stopping(limit))
    names = [path.name for path in open_for_reading(tmp_path).shards()]
    assert sum(name.startswith("pack-") for name in names) == limit // 4
    assert len(names) == limit // 4 + limit % 4
    done = []
    rows = run_sweep(GRID, tmp_path, measure=lambda task: done.append(task) or invented(task))
    assert len(done) == 22 - limit
    assert rows.equals(whole)
    assert open_for_reading(tmp_path).shards() == []
    assert pl.read_parquet(tmp_path / "rows.parquet").sort(KEY).equals(whole.sort(KEY))


def test_a_kill_between_a_pack_and_its_shards_leaves_each_row_once(tmp_path, monkeypatch):
    whole = run_sweep(GRID, measure=invented)
    pack = SweepStore.pack

    def killed(store, loose):
        held = {path: path.read_bytes() for path in loose}
        pack(store, loose)
        for path, content in held.items():
            path.write_bytes(content)
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(SweepStore, "pack", killed)
        with pytest.raises(Stopped):
            run_sweep(GRID, tmp_path, measure=invented)
    store = open_for_reading(tmp_path)
    assert len(store.shards()) == 5
    assert len(store.rows()) == 4
    assert run_sweep(GRID, tmp_path, measure=invented).equals(whole)


def test_what_was_measured_again_counts_in_whatever_file_it_stands(tmp_path):
    with pytest.raises(Stopped):
        run_sweep(GRID, tmp_path, measure=stopping(10))

    def doubled(task):
        return invented(task).with_columns(pl.col("value") * 2)

    rows = run_sweep(GRID, tmp_path, measure=doubled, again=("tfixup",))
    assert rows["value"].to_list() == [2 * v for v in run_sweep(GRID, measure=invented)["value"]]
    assert run_sweep(GRID, tmp_path, measure=invented).equals(rows)


def test_failed_tasks_are_told_and_run_again(tmp_path):
    rows = run_sweep(GRID, tmp_path, measure=failing)
    assert set(rows.filter(pl.col("error").is_not_null())["seed"]) == {3}
    assert len(rows) == 22
    assert len(open_for_reading(tmp_path).rows()) == 20
    healed = run_sweep(GRID, tmp_path, measure=invented)
    assert healed["error"].null_count() == len(healed) == 22


def test_a_pool_gives_the_same_rows(tmp_path):
    found = run_sweep(GRID, tmp_path, measure=invented, engine=Local(2))
    assert found.equals(run_sweep(GRID, measure=invented))


def test_merging_in_groups_gives_what_sorting_everything_gives(tmp_path, monkeypatch):
    with pytest.raises(Stopped):
        run_sweep(GRID, tmp_path, measure=stopping(21))
    store = open_for_reading(tmp_path)
    wanted = store.rows().sort(*merge.ORDER, maintain_order=True)
    monkeypatch.setattr(merge, "GROUP", 5)
    store.merge()
    assert store.merged_rows().equals(wanted)


def test_a_folder_without_any_success_is_merged(tmp_path):
    def never(task):
        raise ValueError(task.hash)

    rows = run_sweep(GRID, tmp_path, measure=never)
    assert rows["error"].null_count() == 0
    assert open_for_reading(tmp_path).rows().is_empty()
    # Errors that are not of this run are left out, and their tasks run again.
    assert run_sweep(GRID, tmp_path, measure=invented)["error"].null_count() == 22
