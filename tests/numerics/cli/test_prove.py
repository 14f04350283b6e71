import json

import pytest

from numerics.cli import prove
from numerics.cli.main import run
from proofs import coqc as coq
from proofs.result import Altered, Machine, Result

PROVED = Result(Machine.SMT, "one", "1 = 1", True, (Altered("1 = 2", True),))


def results(*found):
    return lambda kind, **_: found if kind == "smt" else ()


def test_an_unknown_kind_offers_the_nearest(capsys):
    assert run(["prove", "--kind", "intervall"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "did you mean 'interval'" in line


def test_intervals_as_json(capsys):
    assert run(["prove", "--kind", "interval", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["proved"] is True
    assert all(item["sound"] for item in document["statements"])
    assert document["environment"]["python-flint"] != "not installed"


@pytest.mark.parametrize(
    ("found", "code", "word"),
    [
        (PROVED, 0, "proved"),
        (Result(Machine.SMT, "two", "2", None, (), problem="z3 gave no answer"), 1, "not checked"),
        (Result(Machine.SMT, "three", "3", False, (Altered("4", True),)), 1, "not proved"),
        (Result(Machine.SMT, "four", "4", True, (Altered("5", False),)), 1, "control kept"),
        (Result(Machine.SMT, "five", "5", True, ()), 1, "control kept"),
    ],
)
def test_only_what_is_proved_with_its_altered_versions_rejected_passes(
    monkeypatch, capsys, found, code, word
):
    monkeypatch.setattr("proofs.results", results(found))
    assert run(["prove", "--kind", "smt"]) == code
    assert word in capsys.readouterr().out
    assert word in prove.outcome(found)


def test_without_coq_it_skips_with_a_hint_unless_coq_is_required(monkeypatch, capsys):
    monkeypatch.setattr(coq.shutil, "which", lambda _: None)
    monkeypatch.delenv("REQUIRE_COQ", raising=False)
    unchecked = tuple(
        Result(Machine.COQ, name, name, None, (), problem=coq.unusable())
        for name in ("a_theorem_with_a_rather_long_name", "another_theorem_with_a_long_name")
    )
    compared = Result(Machine.COQ, "formulas", "the same", True, (Altered("another", True),))
    monkeypatch.setattr(
        "proofs.results",
        lambda kind, **_: {"coq": (*unchecked, compared), "smt": (PROVED,)}.get(kind, ()),
    )
    monkeypatch.setenv("COLUMNS", "60")
    assert run(["prove"]) == 0
    captured = capsys.readouterr()
    assert "2 not checked: a_theorem_with_a_rather_long_name," in captured.out
    assert "4 statements: 2 proved, 0 not proved, 2 not checked" in " ".join(captured.out.split())
    assert "formulas: proved by coq" in captured.out
    assert "apt-get install" not in captured.out
    assert run(["prove", "--kind", "coq"]) == 1
    capsys.readouterr()
    assert captured.err.count("apt-get install") == 1
    assert max(map(len, captured.out.splitlines())) <= 60
    monkeypatch.setenv("REQUIRE_COQ", "1")
    assert run(["prove"]) == 1
