"""Dask and Slurm as engines: the same rows as here, whatever happens to a worker on the way."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl
import pytest

from numerics.cli.main import run
from numerics.executors import DaskCluster, SlurmJobs, outcomes
from numerics.sweeps.run import SweepConfig, SweepSettings, SweepTask, measure_task, run_sweep
from theory.errors import InputError

pytest.importorskip("distributed")
pytest.importorskip("submitit")

SMALL = SweepSettings(d_model=8, d_ff=12, vocabulary=20, sequences=2, tokens=4)
GRID = SweepConfig(("tfixup", "post-ln"), ("sgd", "sign"), (1, 2), 2, SMALL)


def _slowly(task: SweepTask) -> pl.DataFrame:
    time.sleep(0.2)
    return measure_task(task)


def _same_rows(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    return one.drop("seconds").equals(other.drop("seconds"))


def _until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def _at_three_shards(folder: Path, strike) -> Iterator[None]:
    """Run ``strike`` in the middle of the sweep that is written to ``folder``."""

    ended = threading.Event()

    def wait_and_strike() -> None:
        while len(list((folder / "shards").glob("*.parquet"))) < 3:
            if ended.wait(0.02):
                return
        strike()

    thread = threading.Thread(target=wait_and_strike)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_local_cluster_starts_where_another_has_the_usual_port():
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # somebody else's, then
            taken.bind(("", 8787))
            taken.listen()
        with DaskCluster(1) as engine:
            assert engine.executor().submit(abs, -1).result(timeout=60) == 1


def test_a_dask_worker_killed_in_the_middle_changes_nothing(tmp_path):
    engine, killed = DaskCluster(2), []

    def kill_a_worker() -> None:
        assert engine.client is not None
        assert engine.client.cluster is not None
        killed.append(engine.client.cluster.workers[0].pid)
        os.kill(killed[0], signal.SIGKILL)

    with _at_three_shards(tmp_path / "out", kill_a_worker):
        found = run_sweep(GRID, tmp_path / "out", engine=engine, measure=_slowly)
    assert killed
    assert found["error"].null_count() == len(found) == 16 * 19
    assert _same_rows(found, run_sweep(GRID))


@contextmanager
def _dask(program: str, *options: str) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "distributed.cli.dask_" + program, *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def _scheduler(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    told = tmp_path / "scheduler.json"
    options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file")
    with _dask("scheduler", *options, str(told)) as process:
        _until(told.exists)
        address = re.search(r"tcp://[\d.:]+", told.read_text())
        assert address is not None
        yield address[0], process


def _options(out: Path, address: str) -> list[str]:
    small = "--d-model 8 --d-ff 12 --vocabulary 20 --sequences 2 --tokens 4 --device cpu"
    grid = "--schemes tfixup,post-ln --optimizers sgd,sign --depths 1,2 --seeds 2 --no-progress"
    where = ["--executor", "dask", "--address", address, "--out", str(out)]
    return ["sweep", *small.split(), *grid.split(), *where]


def test_a_cluster_is_joined_and_its_loss_is_one_line(tmp_path, capsys):
    out = tmp_path / "out"
    with _scheduler(tmp_path) as (address, scheduler):
        assert run(_options(out, address)) == 2
        line = capsys.readouterr().err
        assert f"the Dask scheduler at {address} has no worker: start one with" in line
        assert not out.exists()
        with _dask("worker", address, "--nthreads", "1", "--no-dashboard"):
            _until(lambda: "no worker" not in _answer(address))
            with (
                _at_three_shards(out, scheduler.kill),
                pytest.raises(InputError, match=f"lost the Dask scheduler at {address}"),
            ):
                run_sweep(GRID, out, engine=DaskCluster(1, address), measure=_slowly)
    kept = {path.name: path.read_bytes() for path in (out / "shards").iterdir()}
    assert 3 <= len(kept) < 16
    assert _same_rows(run_sweep(GRID, out), run_sweep(GRID))


def _answer(address: str) -> str:
    try:
        with DaskCluster(1, address):
            return "joined"
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "foo://x", "tcp://127.0.0.1"])
def test_an_unreachable_scheduler_is_one_line_within_ten_seconds(tmp_path, capsys, address):
    started = time.monotonic()
    assert run(_options(tmp_path / "out", address)) == 2
    assert time.monotonic() - started < 10
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tfixup: error: no Dask scheduler answers at {address}: ")
    assert not (tmp_path / "out").exists()


def test_jobs_have_outcomes_and_those_that_were_lost_keep_their_files(tmp_path, monkeypatch):
    monkeypatch.setattr("submitit.core.core.Job._results_timeout_s", 0.1)
    lost = "__import__('os')._exit(1)"
    with SlurmJobs(tmp_path / "jobs", cluster="local", poll_seconds=0.05) as engine:
        found = dict(outcomes(eval, ["1 + 1", "1 / 0", lost], engine))
    assert found["1 + 1"] == 2
    assert repr(found["1 / 0"]) == "ZeroDivisionError('division by zero')"
    assert type(found[lost]).__name__ == "UncompletedJobError"
    left = {path.name.partition("_")[0] for path in (tmp_path / "jobs").glob("*_*")}
    assert len(left) == 2, "both attempts of the job that was lost"


def test_a_sweep_of_slurm_jobs(tmp_path):
    grid = SweepConfig(("tfixup",), ("sgd",), (1,), 2, SMALL)
    jobs = SlurmJobs(tmp_path / "slurm", cluster="local", poll_seconds=0.05)
    assert _same_rows(run_sweep(grid, tmp_path, engine=jobs), run_sweep(grid))
    assert sorted(os.listdir(tmp_path)) == ["manifest.json", "rows.parquet", "slurm"]


def test_without_slurm_there_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")
    command = ["sweep", "--executor", "slurm", "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert run(command) == 2
    assert "needs the command srun" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "module"), [("dask", "distributed"), ("slurm", "submitit")])
def test_a_missing_extra_is_named(tmp_path, capsys, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    command = ["sweep", "--executor", name, "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert run(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{module} is not installed: pip install -e '.[{name}]'" in line
    assert not (tmp_path / "out").exists()
