import json

import pytest

from theory.arguments import arguments_about
from theory.arguments.render import RENDERERS, as_json, latex, renderer_named, text
from theory.errors import InputError


def run(lines):
    printed = []
    while True:
        try:
            printed.append(next(lines))
        except StopIteration as done:
            return "\n".join(printed), done.value


@pytest.mark.parametrize("name", RENDERERS)
def test_the_path_to_the_constant_ends_at_its_digits(name):
    printed, sound = run(renderer_named(name)(arguments_about("tfixup.encoder-scale")))
    assert "0.669628722978" in printed
    assert sound


def test_json_records_each_check_and_its_control():
    printed, _ = run(as_json(arguments_about("tfixup.thm31-lower")))
    documents = json.loads(printed)
    steps = [step for document in documents for step in document["steps"]]
    assert all(step["holds"] and step["control"]["rejected"] for step in steps)
    assert [document["refutes"] for document in documents] == [True, True, False]


def test_latex_environments_are_closed():
    printed, _ = run(latex(arguments_about("tfixup.eq6")))
    for name in ("document", "enumerate"):
        assert printed.count(rf"\begin{{{name}}}") == printed.count(rf"\end{{{name}}}") > 0


def test_steps_are_checked_while_they_are_printed():
    lines = text(arguments_about("tfixup.eq6"))
    assert next(lines).startswith("tfixup.eq6")
    assert "[checked: for every N_e, v_e, w_e, x]" in run(lines)[0]


def test_an_unknown_format_offers_the_nearest():
    with pytest.raises(InputError, match="did you mean 'latex'"):
        renderer_named("latxe")
