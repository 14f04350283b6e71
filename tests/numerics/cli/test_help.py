"""The help of the commands: plain words, kinds of values, and hints that concern the command."""

import re
from dataclasses import dataclass

import pytest
import tyro

from numerics.cli.main import COMMANDS, run
from numerics.cli.optimizer_names import known_optimizers
from numerics.cli.parsing import parsed


def shown(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(arguments)
    captured = capsys.readouterr()
    return stopped.value.code, captured.out + captured.err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_no_marks_and_no_private_forms(command, capsys):
    code, text = shown([command, "--help"], capsys)
    assert code == 0
    assert f"tfixup {command}" in text
    assert not re.search(r"``|:func:|:class:|\{None\}", text)


def test_the_prose_of_a_help_fits_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    _, text = shown(["check", "--help"], capsys)
    prose = text.split("╭")[0].splitlines()
    assert prose
    assert max(map(len, prose)) <= 60


@dataclass(frozen=True)
class Group:
    inner: int = 0
    """One line of the source
    and the next."""


@dataclass(frozen=True)
class Planted(Group):
    outer: int = 0
    """The first of two lines
    and the second."""
    group: Group = Group()


@pytest.mark.parametrize("text", ["source and the next", "two lines and the second"])
def test_the_help_of_an_option_is_running_text(text, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parsed(Planted, "planted", ["--help"])
    assert capsys.readouterr().out.count(text) == (2 if "source" in text else 1)


def test_tyro_alone_would_keep_the_breaks_of_the_source(capsys, monkeypatch):
    @dataclass(frozen=True)
    class Plain:
        outer: int = 0
        """The first of two lines
        and the second."""

    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        tyro.cli(Plain, args=["--help"])
    out = capsys.readouterr().out
    assert "two lines" in out
    assert "two lines and" not in out


def test_a_misspelt_option_is_compared_with_its_own_command(capsys):
    code, text = shown(["solve", "--layer", "6"], capsys)
    assert code == 2
    assert "--layers STR" in text
    assert "tfixup train" not in text


def test_an_option_left_out_is_none_and_one_given_is_read():
    from numerics.cli.parsing import parsed

    assert parsed(COMMANDS["sweep"], "tfixup sweep", []).out is None
    given = parsed(COMMANDS["sweep"], "tfixup sweep", ["--out", "runs/x", "--workers", "3"])
    assert (str(given.out), given.workers) == ("runs/x", 3)


def test_every_optimizer_that_a_command_lists_is_accepted_by_it(capsys):
    known = known_optimizers()
    assert {"sgd", "adam", "adamw", "lion"} <= {
        name for name, one in known.items() if {"solve", "sweep", "check"} <= set(one.commands)
    }
    for name, one in known.items():
        found = run(["solve", "--optimizer", name, "--layers", "2", "--json"])
        assert found == (0 if "solve" in one.commands else 2), name
    capsys.readouterr()


@pytest.mark.parametrize("command", ["solve", "sweep", "check", "train"])
def test_the_help_of_a_command_names_its_optimizers_and_where_all_are_listed(command, capsys):
    with pytest.raises(SystemExit) as done:
        run([command, "--help"])
    assert done.value.code == 0
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "tfixup list optimizers" in words
    for name, one in known_optimizers().items():
        if command in one.commands:
            assert re.search(rf"[ {{,]{name}[ ,;.}}]", words), name


@pytest.mark.parametrize("name", ["swiglu", "geglu"])
def test_a_gated_mlp_has_its_usual_names(name, capsys):
    assert run(["solve", "--mlp", name, "--layers", "6", "--json"]) == 0
    named = capsys.readouterr().out
    assert run(["solve", "--mlp", "gated", "--layers", "6", "--json"]) == 0
    assert capsys.readouterr().out == named
