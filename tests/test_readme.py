"""The README: its table is the recorded one, its commands exist, and it stays short."""

import re
from pathlib import Path

import pytest

from benchmarks.readme import with_table
from numerics.cli.main import run

README = Path(__file__).parent.parent / "README.md"


def test_the_table_of_verdicts_is_the_recorded_one():
    text = README.read_text("utf-8")
    assert with_table(text) == text
    assert text.count("| **") == 8


def test_it_is_short():
    assert README.read_text("utf-8").count("\n") <= 125


def test_every_command_in_it_is_one(capsys):
    named = set(re.findall(r"tfixup (\w+)", README.read_text("utf-8")))
    known = {"verify", "explain", "derive", "prove", "solve", "sweep", "plot", "train"}
    known |= {"reproduce", "check", "audit", "list", "report"}
    commands = {name for name in named if name in known}
    for name in sorted(commands):
        with pytest.raises(SystemExit) as done:
            run([name, "--help"])
        assert done.value.code == 0
    assert {"check", "audit", "verify", "explain"} <= commands
    capsys.readouterr()


def test_only_the_public_face_is_imported():
    text = README.read_text("utf-8")
    assert re.findall(r"^(?:from|import) .*", text, re.MULTILINE) == ["import torch, tfixup"]
