"""The grammar of the fuzz knows every option of every command, and draws the same lines again."""

from dataclasses import fields

import pytest

from benchmarks.faults.forks import Ran
from benchmarks.faults.fuzz import Line, alone, drawn, judged
from benchmarks.faults.grammar import GRAMMARS, Option
from numerics.cli.main import COMMANDS

NOT_DRAWN = {"betas", "settings", "progress", "ties", "powers", "model", "runs", "folder", "claim"}
"""Pairs of numbers, groups of options, and what stands without a name."""


def test_every_command_and_every_option_is_drawn():
    known = {grammar.base[0]: grammar for grammar in GRAMMARS}
    assert known.keys() == COMMANDS.keys()
    for name, kind in COMMANDS.items():
        grammar = known[name]
        named = {word.removeprefix("--no-").removeprefix("--") for word in grammar.flags}
        named |= {option.removeprefix("--") for option in grammar.options}
        asked = {field.name.replace("_", "-") for field in fields(kind)} - NOT_DRAWN
        if grammar.place != Option():
            asked -= {"name", "what", "model"}
        left_out = asked - named
        assert left_out <= {"rerun", "all", "fresh", "measure"}, name  # these take minutes


def test_lines_repeat_with_their_seed_and_differ_between_seeds():
    assert list(drawn(0, 50)) == list(drawn(0, 50))
    assert list(drawn(0, 50)) != list(drawn(1, 50))
    assert sum(bool(line.nonsense) for line in drawn(0, 400)) > 100
    assert all(line.nonsense for line in alone())


@pytest.mark.parametrize(
    ("code", "shown", "stopped", "nonsense", "kind"),
    [
        (2, "tfixup: error: depths must be integers", "", "--depths", None),
        (0, "", "", "", None),
        (0, "", "", "--depths", "accepted"),
        (3, "KeyError (a fault of this program; …)", "", "", "traceback"),
        (1, "Traceback (most recent call last):", "", "", "traceback"),
        (-11, "", "", "", "traceback"),
        (-9, "", "time", "", "time"),
        (-9, "", "memory", "", "memory"),
    ],
)
def test_what_fails(code, shown, stopped, nonsense, kind):
    found = judged(Line(("solve",), nonsense), Ran(("solve",), code, "", shown, 1.0, 1, stopped))
    assert (found and found.kind) == kind
