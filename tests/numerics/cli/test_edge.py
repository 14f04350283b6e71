"""The edge of the command: whatever goes wrong is one line with its exit code."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool

import polars as pl
import pytest

from numerics.cli import main
from numerics.cli.verify import Verify
from theory.errors import InputError

ARGUMENTS = ["verify", "--claims", "tfixup.eq1"]


@pytest.mark.parametrize(
    ("failure", "code", "told"),
    [
        (InputError("depth must be\nan integer"), 2, "depth must be an integer"),
        (OSError(28, "No space left on device", "/x/rows.parquet"), 3, "No space left on device"),
        (MemoryError(), 3, "the memory is full"),
        (RecursionError(), 2, "nests too deeply"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("1/0"), 3, "ZeroDivisionError: 1/0"),
        (pl.exceptions.PanicException("index out of range"), 2, "could not be read"),
        (ValueError(""), 3, "ValueError: no message"),
        (BrokenProcessPool("died"), 3, "a worker process died twice"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_a_failure_is_one_line_and_a_code(monkeypatch, capsys, failure, code, told):
    def fail(_):
        raise failure

    monkeypatch.setattr(Verify, "run", fail)
    monkeypatch.delenv("TFIXUP_TRACEBACK", raising=False)
    assert main.run(ARGUMENTS) == code
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert told in shown


@pytest.mark.parametrize("command", ["sweep", "train", "reproduce", "verify", "check"])
@pytest.mark.parametrize("columns", [40, 60, 200])
def test_a_terminal_breaks_an_interruption_between_words(monkeypatch, capsys, command, columns):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "_command", stop)
    assert main.run([command]) == 130
    whole = capsys.readouterr().err
    assert whole.count("\n") == 1
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main.run([command]) == 130
    broken = capsys.readouterr().err
    assert max(map(len, broken.splitlines())) <= columns
    assert broken.split() == whole.split()


def test_a_traceback_is_shown_where_it_is_asked_for(monkeypatch, capsys):
    def fail(_):
        raise ZeroDivisionError

    monkeypatch.setattr(Verify, "run", fail)
    monkeypatch.setenv("TFIXUP_TRACEBACK", "1")
    assert main.run(ARGUMENTS) == 3
    assert "Traceback" in capsys.readouterr().err


def test_the_version_is_printed(capsys):
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tfixup 0.")


@pytest.mark.parametrize("target", ["missing/a.json", "."])
def test_a_target_that_cannot_be_written_is_refused_before_the_work(
    tmp_path, monkeypatch, capsys, target
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Verify, "_computed", lambda *_: pytest.fail("the work was begun"))
    assert main.run([*ARGUMENTS, "--json", target]) == 2
    assert "cannot write to" in capsys.readouterr().err or target == "."


def test_a_terminal_without_utf8_gets_what_it_can_show():
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ran = subprocess.run(
        [sys.executable, "-m", "tfixup", "derive", "tfixup.decoder-scale"],
        capture_output=True,
        env=environment,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.isascii()


def test_a_reader_that_has_enough_ends_it_quietly():
    command = f"{sys.executable} -m tfixup derive --all | head -1"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    assert ran.stdout


def test_ctrl_c_in_a_sweep_is_one_line_and_the_same_command_goes_on(tmp_path):
    words = [
        "--d-model",
        "16",
        "--d-ff",
        "32",
        "--heads",
        "2",
        "--vocabulary",
        "50",
        "--sequences",
        "2",
        "--tokens",
        "4",
    ]
    command = [sys.executable, "-m", "tfixup", "sweep", "--schemes", "tfixup"]
    command += ["--depths", "1,2,3,4", "--seeds", "50", "--workers", "2", "--no-progress"]
    command += [*words, "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    shards = tmp_path / "run" / "shards"
    while not shards.exists() and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert told.splitlines()[-1].startswith("tfixup: error: interrupted: the same command goes on")
    assert "Traceback" not in told
