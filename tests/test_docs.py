"""The documents: links lead somewhere, commands are commands, snippets are Python."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from numerics.cli.main import COMMANDS
from numerics.cli.parsing import parsed

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "tutorials"))
PAGES = sorted(
    path for path in (ROOT / "README.md", *DOCS.rglob("*.md")) if "_generated" not in path.parts
)
WRITTEN_AT_THE_BUILD = "_generated"
MADE_UP = ("RUN", "NAME", "CLAIM", "MODULE:FACTORY", "…")


def named(path):
    return str(path.relative_to(ROOT))


def blocks(text, *languages):
    """The code blocks in one of the languages, without the lines that are output."""
    found = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    return [body for language, body in found if language in languages]


def commands(text):
    """Every whole line of a shell block that calls the command, continued lines joined."""
    for body in blocks(text, "sh", "console"):
        for line in body.replace("\\\n", " ").splitlines():
            words = line.removeprefix("$ ")
            if words.startswith("tfixup "):
                yield words
    for body in re.findall(r"`(tfixup [^`\n]+)`", text):
        if not any(word in body for word in MADE_UP):
            yield body


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_and_figure_is_there(page):
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http", "#")):
            continue
        path = (page.parent / target.partition("#")[0]).resolve()
        assert WRITTEN_AT_THE_BUILD in path.parts or path.exists(), target


def in_contents(page):
    """The pages that a page's tables of contents name, relative to the documentation's folder."""
    trees = re.findall(r"```\{toctree\}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    entries = [line for tree in trees for line in tree.splitlines() if line and line[0] != ":"]
    folder = page.parent.relative_to(DOCS)
    return {(folder / entry).as_posix() for entry in entries}


def test_every_page_stands_in_a_table_of_contents():
    pages = {page.relative_to(DOCS).with_suffix("").as_posix(): page for page in DOCS.rglob("*.md")}
    named, new = {"index"}, {"index"}
    while new:
        new = set().union(*(in_contents(pages[one]) for one in new if one in pages)) - named
        named |= new
    assert pages.keys() <= named
    assert len(named) > 20


def test_every_command_is_understood_with_its_options(capsys):
    """Parsed, not run: a renamed option or command would be caught here."""
    lines = dict.fromkeys(line for page in PAGES for line in commands(page.read_text("utf-8")))
    assert len(lines) > 30
    for line in lines:
        name, *words = shlex.split(line.partition(" | ")[0], comments=True)[1:]
        if name == "--help":
            continue
        assert name in COMMANDS, line
        try:
            parsed(COMMANDS[name], f"tfixup {name}", words)
        except SystemExit:
            # In prose a command is often named without what it needs.
            told = "".join(capsys.readouterr())
            bare = all(not word.startswith("-") for word in words)
            assert bare, line
            assert "required" in told, f"{line}: {told}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_python_snippet_compiles(page):
    for body in blocks(page.read_text("utf-8"), "python"):
        compile(body, named(page), "exec")


def test_the_examples_of_a_scheme_and_a_recipe_run():
    import torch
    from my_decoder import make  # pyright: ignore[reportMissingImports]

    import tfixup
    from numerics.models.spec import ModelSpec

    scheme, recipe = blocks((DOCS / "how-to" / "extend.md").read_text("utf-8"), "python")[:2]
    names: dict[str, Any] = {"__name__": "extend"}
    exec(compile(scheme, "extend.md", "exec", dont_inherit=True), names)
    exec(compile(recipe, "extend.md", "exec", dont_inherit=True), names)
    spec = ModelSpec(encoder_layers=1, decoder_layers=1)
    assert names["HALVED"].prescribe(spec).factors["encoder.mlp.w2"] == 0.5
    model = make(4)
    assert not tfixup.audit(model, names["QUIET"]).clean
    tfixup.initialize_(model, names["QUIET"], torch.Generator().manual_seed(0))
    assert tfixup.audit(model, names["QUIET"]).clean


def test_the_solved_model_of_the_tutorial_is_drawn_as_solved():
    page = (DOCS / "tutorials" / "choose-an-initialisation.md").read_text("utf-8")
    (body,) = blocks(page, "python")
    names: dict[str, Any] = {}
    exec(compile(body.replace("32", "8"), "choose-an-initialisation.md", "exec"), names)
    assert len({group["lr"] for group in names["groups"]}) > 1
    assert max(group["lr"] for group in names["groups"]) == 3e-4


@pytest.mark.slow
def test_the_readmes_python_runs():
    from my_decoder import make  # pyright: ignore[reportMissingImports]

    (body,) = blocks((ROOT / "README.md").read_text("utf-8"), "python")
    grows = [line for line in body.splitlines() if "assert_depth_bounded" in line]
    assert len(grows) == 1
    names = {"make_model": make}
    exec(compile(body.replace(grows[0], ""), "README.md", "exec"), names)
    assert names["found"].verdict == "grows"
    with pytest.raises(AssertionError, match="not bounded in depth"):
        exec(grows[0], names)


@pytest.mark.slow
def test_the_readmes_commands_print_what_it_shows(capsys, monkeypatch):
    from numerics.cli.main import run

    monkeypatch.chdir(ROOT)
    (body,) = blocks((ROOT / "README.md").read_text("utf-8"), "console")
    shown = re.findall(r"^\$ tfixup (.*)\n(.*)$", body, re.MULTILINE)
    assert len(shown) == 2
    for line, first in shown:
        run(shlex.split(line))
        printed = capsys.readouterr().out
        assert " ".join(printed.split()).startswith(first)
