"""What is remembered of a compilation, and what must never be."""

import pytest

from proofs import coqc as coq
from proofs.compilation_cache import CompilationCache, Compiled, default_folder
from proofs.theorems import THEOREMS

GOOD = Compiled(True, 0, "", "said", 1.5)
REFUSED = Compiled(False, 7, "no such lemma", "", 0.5)
TIMED_OUT = Compiled(False, 0, "coqc took more than 3 s", "", 3.0)


@pytest.fixture
def cache(tmp_path):
    return CompilationCache(tmp_path / "cache")


@pytest.fixture
def binary(tmp_path):
    path = tmp_path / "X.vo"
    path.write_bytes(b"compiled")
    return path


@pytest.mark.parametrize("outcome", [GOOD, REFUSED])
def test_an_outcome_about_the_text_is_remembered_with_its_compiled_file(cache, binary, outcome):
    cache.keep("key", outcome, binary)
    binary.unlink()
    assert cache.recall("key", binary) == outcome
    assert binary.exists() is outcome.succeeded
    assert cache.recall("other", binary) is None


def test_a_time_out_is_not_remembered(cache, binary):
    cache.keep("key", TIMED_OUT, binary)
    assert cache.recall("key", binary) is None


@pytest.mark.parametrize("suffix", [".json", ".vo"])
def test_a_flipped_byte_is_noticed(cache, binary, suffix):
    cache.keep("key", GOOD, binary)
    (path,) = cache.folder.glob(f"*{suffix}")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert cache.recall("key", binary) is None


def test_an_error_cannot_be_turned_into_a_success_by_editing_the_entry(cache, binary):
    cache.keep("key", REFUSED, binary)
    (path,) = cache.folder.glob("*.json")
    path.write_text(path.read_text().replace('"succeeded": false', '"succeeded": true'))
    (cache.folder / "key.vo").write_bytes(b"compiled")
    assert cache.recall("key", binary) is None


def test_the_environment_can_forbid_it(monkeypatch):
    monkeypatch.setenv("TFIXUP_NO_CACHE", "1")
    assert default_folder() is None


@pytest.mark.coq
@pytest.mark.skipif(bool(coq.unusable()), reason="coqc is not installed")
def test_an_unchanged_file_is_compiled_once_and_a_changed_one_again(tmp_path, monkeypatch):
    calls = []
    run = coq.run_coqc
    monkeypatch.setattr(
        coq, "run_coqc", lambda folder, name: calls.append(name) or run(folder, name)
    )
    chosen = tuple(t for t in THEOREMS if t.name == "cauchy_schwarz")
    texts = {"FiniteSums": coq.sources()["FiniteSums"]}
    first = coq.check(chosen, texts=texts, cache=tmp_path)
    compiled = len(calls)
    assert compiled >= 3
    assert coq.check(chosen, texts=texts, cache=tmp_path) == first
    assert len(calls) == compiled
    texts["FiniteSums"] += "(* another text *)\n"
    again = coq.check(chosen, texts=texts, cache=tmp_path)
    assert [item.sound for item in again] == [item.sound for item in first] == [True]
    assert "FiniteSums" in calls[compiled:]
    assert "Audit" in calls[compiled:]
