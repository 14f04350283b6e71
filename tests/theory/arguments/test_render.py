import json
from dataclasses import replace
from functools import cache
from unicodedata import combining

import pytest

from theory.arguments import arguments_about
from theory.arguments.render import RENDERERS, as_json, latex, renderer_named, text
from theory.derivations.derivation import Derivation
from theory.errors import InputError


def run(lines):
    printed = []
    while True:
        try:
            printed.append(next(lines))
        except StopIteration as done:
            return "\n".join(printed), done.value


class Replayed(Derivation):
    """A derivation whose steps are checked once, however often it is printed."""

    def check(self):
        return iter(checked(self))


@cache
def checked(derivation):
    return tuple(Derivation.check(derivation))


@cache
def replayed(claim):
    """The arguments about one claim, checked once."""
    found = []
    for argument in arguments_about(claim):
        built = argument.build()
        once = Replayed(built.claim, built.title, built.steps)
        found.append(replace(argument, build=lambda once=once: once))
    return tuple(found)


@cache
def rendered(claim, renderer=text, **options):
    """What is printed of the derivations of one claim, and whether it holds."""
    return run(renderer(replayed(claim), **options))


@pytest.mark.parametrize("name", RENDERERS)
def test_the_path_to_the_constant_ends_at_its_digits(name):
    printed, sound = rendered("tfixup.encoder-scale", renderer_named(name))
    assert "0.669628722978" in printed
    assert sound


def test_json_records_each_check_and_its_control():
    printed, _ = rendered("tfixup.thm31-lower", as_json)
    documents = json.loads(printed)
    steps = [step for document in documents for step in document["steps"]]
    assert all(step["holds"] and step["control"]["rejected"] for step in steps)
    assert [document["refutes"] for document in documents] == [True, True, False]


def test_a_definition_has_no_control_in_json():
    printed, sound = rendered("tfixup.eq1", as_json)
    steps = [step for document in json.loads(printed) for step in document["steps"]]
    defined = [step for step in steps if step["checked"] == "definition: nothing to check"]
    assert [step for step in steps if step["control"] is None] == defined != []
    assert sound
    assert all(step["control"]["rejected"] for step in steps if step not in defined)


def test_latex_environments_are_closed():
    printed, _ = rendered("tfixup.eq6", latex)
    for name in ("document", "enumerate"):
        assert printed.count(rf"\begin{{{name}}}") == printed.count(rf"\end{{{name}}}") > 0


def test_steps_are_checked_while_they_are_printed():
    lines = text(arguments_about("tfixup.eq6"))
    assert next(lines).startswith("tfixup.eq6")
    assert "[checked: for every N_e, v_e, w_e, x]" in " ".join(run(lines)[0].split())


def test_an_unknown_format_offers_the_nearest():
    with pytest.raises(InputError, match="did you mean 'latex'"):
        renderer_named("latxe")


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_no_line_of_the_text_is_wider_than_the_terminal(width):
    printed, _ = rendered("tfixup.thm31-repaired", width=width)
    lines = ["".join(sign for sign in line if not combining(sign)) for line in printed.splitlines()]
    assert max(map(len, lines)) <= width
    at_100, _ = rendered("tfixup.thm31-repaired")
    words = [line.strip() for line in at_100.split() if line.isalpha() and len(line) > 3]
    assert all(word in printed for word in words)


def test_the_parts_of_a_derivation_have_headings():
    printed, _ = rendered("tfixup.encoder-scale")
    lines = printed.splitlines()
    headings = ("The update gain K of attention", "The encoder's constant")
    assert all(f"  {heading}" in lines for heading in headings)
    (document,) = json.loads(rendered("tfixup.encoder-scale", as_json)[0])
    assert [step["section"] for step in document["steps"] if step["section"]][-1] == headings[1]
    assert rf"\textbf{{{headings[0]}}}" in rendered("tfixup.encoder-scale", latex)[0]


def test_a_statement_of_ours_is_not_said_to_be_printed():
    printed, _ = rendered("tfixup.thm31-repaired")
    assert "establishes the statement\n" in printed
    assert "as printed" in rendered("tfixup.encoder-scale")[0]


def test_a_change_is_one_letter_with_its_delta_in_latex():
    assert r"\Delta G" in rendered("tfixup.encoder-scale", latex)[0]
