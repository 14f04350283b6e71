import subprocess
from dataclasses import replace

import pytest

from proofs import coqc as coq
from proofs import hints, providers
from proofs.coqc import ALLOWED, altered_text, check, imports, sources
from proofs.supports import SUPPORTS
from proofs.theorems import THEOREMS, Alteration
from theory.claims import Context

BY_NAME = {theorem.name: theorem for theorem in THEOREMS}


@pytest.fixture(scope="module")
def usable():
    reason = coq.unusable()
    if reason and not coq.required():
        pytest.skip(reason)
    assert not reason


@pytest.fixture
def few():
    """Files that need no others, so that a test takes seconds."""
    texts = sources()
    return {name: texts[name] for name in ("FiniteSums", "Constants")}


def named(*names):
    return tuple(BY_NAME[name] for name in names)


@pytest.mark.parametrize("theorem", THEOREMS, ids=lambda theorem: theorem.name)
def test_every_alteration_changes_its_file_once(theorem):
    text = sources()[theorem.file]
    assert theorem.alterations
    for change in theorem.alterations:
        changed, line = altered_text(text, theorem.name, change)
        assert changed != text[: len(changed)]
        assert changed.count("\n", 0, changed.index("\nProof.")) > 0
        assert 0 < line <= changed.count("\n")


def test_a_change_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="occurs 0 times"):
        altered_text(sources()["Constants"], "decoder_values", Alteration("", "no such text", ""))


def test_names_are_unique_and_supports_name_theorems():
    assert len(BY_NAME) == len(THEOREMS)
    assert {name for support in SUPPORTS for name in support.statements} <= set(BY_NAME)


def test_nothing_is_admitted_and_no_axiom_added():
    for name, text in sources().items():
        assert not any(word in text for word in ("Admitted", "Axiom", "Parameter ", "admit.")), name
        assert set(imports(text)) <= set(sources()), name
        assert text.count("\n") < 350, name


@pytest.mark.coq
@pytest.mark.usefixtures("usable")
def test_constants_are_proved_on_the_four_axioms_and_altered_ones_rejected(few):
    chosen = named("encoder_digits", "decoder_scale_unique", "cauchy_schwarz")
    found = check(chosen, texts=few)
    assert all(item.sound for item in found)
    assert all(set(item.axioms) <= set(ALLOWED) for item in found)


@pytest.mark.coq
@pytest.mark.usefixtures("usable")
def test_a_true_change_is_not_called_rejected(few):
    harmless = Alteration("u bound again", "0 < u -> 9", "0 < u -> (9)")
    chosen = (replace(BY_NAME["decoder_scale_unique"], alterations=(harmless,)),)
    (item,) = check(chosen, texts=few)
    assert item.proved
    assert not item.sound
    assert [altered.rejected for altered in item.altered] == [False]


@pytest.mark.coq
@pytest.mark.usefixtures("usable")
def test_a_proof_that_is_not_one_leaves_its_file_unchecked(few):
    few["Constants"] = few["Constants"].replace("= encoder_root).", "= 2 * encoder_root).")
    broken, sound = check(named("encoder_digits", "cauchy_schwarz"), texts=few)
    assert broken.proved is None
    assert "Constants.v, line" in broken.problem
    assert sound.proved is None
    assert "axioms could not be listed" in sound.problem


@pytest.mark.coq
@pytest.mark.usefixtures("usable")
def test_an_admitted_theorem_is_not_proved():
    text = "Theorem cauchy_schwarz : 0 = 1.\nProof.\nAdmitted.\n(*\nQed.\n*)\n"
    theorem = replace(BY_NAME["cauchy_schwarz"], alterations=())
    (item,) = check((theorem,), texts={"FiniteSums": text})
    assert item.proved is False
    assert "cauchy_schwarz" in item.problem


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            'File "./X.v", line 4, characters 0-46:\nError: Cannot find a physical path bound to '
            "logical path Coquelicot.",
            "Coquelicot is not installed: apt-get install",
        ),
        (
            'File "./X.v", line 1:\nError: Y.vo has bad version number 8140',
            "libraries of another Coq",
        ),
    ],
)
def test_a_broken_installation_is_one_line(monkeypatch, tmp_path, failure, message):
    def refuse(command, **_):
        return subprocess.CompletedProcess(command, 1, "", failure)

    monkeypatch.setattr(subprocess, "run", refuse)
    compiled = coq.run_coqc(tmp_path, "X")
    assert message in compiled.problem
    assert "\n" not in compiled.problem
    assert not compiled.refused


def test_a_time_out_is_no_rejection(monkeypatch, tmp_path):
    def hang(command, timeout=None, **_):
        raise subprocess.TimeoutExpired(command, timeout or 0)

    monkeypatch.setattr(subprocess, "run", hang)
    compiled = coq.run_coqc(tmp_path, "X", 3)
    assert compiled.problem == "coqc took more than 3 s over X.v"
    assert not compiled.refused


def test_without_coq_nothing_is_proved(monkeypatch):
    monkeypatch.setattr(coq.shutil, "which", lambda _: None)
    monkeypatch.delenv("REQUIRE_COQ", raising=False)
    assert all(item.proved is None and "apt-get" in item.problem for item in check())
    assert not set(coq.PROVIDERS) & set(providers())
    assert any("Coq theorems were not checked" in line for line in hints())
    monkeypatch.setenv("REQUIRE_COQ", "1")
    (provider,) = set(coq.PROVIDERS) & set(providers())
    assert all(item.passed is None and not item.admissible for item in provider(Context()))
