import json
import subprocess

import pytest

from numerics.data import libreoffice
from numerics.data.libreoffice import aligned, check_counts, libreoffice_corpus, paragraphs, split
from numerics.training.config import TrainConfig
from numerics.training.task import load_corpus
from theory.errors import InputError

PAGE = """<html><head><meta charset="utf-8"></head><body>
<p id="par_1" dir="auto">Öffnen Sie <span class="emph">Datei</span>
  und  dann „Neu“.</p>
<p>ohne Kennung</p><h1 id="hd_1">Titel</h1>
<p id="par_2">&lt;b&gt; &amp; mehr</p><p id="par_1">doppelt</p></body></html>"""


@pytest.fixture
def cache(tmp_path):
    pairs = [
        (f"page{i // 5}", f"das ist der Satz {i}", f"this is sentence {i}") for i in range(900)
    ]
    content = {"version": "x", "sha256": libreoffice._digest(pairs), "pairs": pairs}
    (tmp_path / "pairs.json").write_text(json.dumps(content))
    return tmp_path


def test_paragraphs_with_an_id_by_page(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.html").write_text(PAGE, encoding="utf-8")
    assert paragraphs(tmp_path) == {
        ("a/b.html", "par_1"): "Öffnen Sie Datei und dann „Neu“.",
        ("a/b.html", "par_2"): "<b> & mehr",
    }


def test_only_pairs_within_the_rule_and_each_once():
    words = " ".join("abcde")
    de = {("p", str(i)): text for i, text in enumerate([words, words, "a b c", words, "w " * 41])}
    en = {("p", str(i)): f"{text} x" for i, text in enumerate(de.values())}
    en["p", "3"] = words  # the same on both sides
    en["p", "9"] = "only in English, no German side"
    assert list(aligned(de, en)) == [("p", words, f"{words} x")]


def test_no_page_is_in_two_parts(cache):
    corpus = libreoffice_corpus(cache)
    parts = [corpus.train, corpus.validation, corpus.tests["test"]]
    assert sum(map(len, parts)) == 900
    assert all(len(part) > 0 for part in parts)
    pages = [{int(line.split()[-1]) // 5 for line in part.de} for part in parts]
    assert sum(map(len, pages)) == len(set.union(*pages))
    assert len(corpus.train) > 0.8 * 900
    assert all(
        de.split()[-1] == en.split()[-1]
        for de, en in zip(corpus.train.de, corpus.train.en, strict=True)
    )


def test_the_config_reads_the_cache(cache, monkeypatch):
    monkeypatch.setattr(libreoffice, "cache_folder", lambda: cache)
    assert load_corpus(TrainConfig(data="libreoffice")) == libreoffice_corpus(cache)


def test_a_damaged_cache_is_named(cache):
    path = cache / "pairs.json"
    path.write_text(path.read_text().replace("Satz 17", "Satz 18"))
    with pytest.raises(InputError, match=r"pairs\.json must be the whole cache"):
        libreoffice_corpus(cache)
    path.write_text("{")
    with pytest.raises(InputError, match="remove it"):
        libreoffice_corpus(cache)


def test_out_of_reach_says_what_to_do_instead(tmp_path, monkeypatch):
    def offline(command, **_):
        return subprocess.CompletedProcess(command, 100, "", "W: slow\nE: Could not resolve host")

    monkeypatch.setattr(subprocess, "run", offline)
    with pytest.raises(InputError, match=r"Could not resolve host; put .*\.deb\) into .* text:DIR"):
        libreoffice_corpus(tmp_path)

    def not_debian(*_, **__):
        raise FileNotFoundError("No such file or directory: 'apt-get'")

    monkeypatch.setattr(subprocess, "run", not_debian)
    with pytest.raises(InputError, match=r"needs apt-get download to work.*No such file"):
        libreoffice_corpus(tmp_path)
    assert not (tmp_path / "pairs.json").exists()


def test_packages_that_changed_are_noticed(monkeypatch):
    pairs = [("p", f"a b c {i}", f"d e f g {i}") for i in range(3)]
    with pytest.raises(InputError, match="at least 10000 pairs"):
        check_counts("new", pairs)
    monkeypatch.setattr(libreoffice, "LEAST_PAIRS", 3)
    check_counts("new", pairs)
    monkeypatch.setattr(libreoffice, "KNOWN", {"new": (3, 12, 15)})
    check_counts("new", pairs)
    with pytest.raises(InputError, match=r"must give \(3, 12, 15\) .* got \(2, 8, 10\)"):
        check_counts("new", pairs[:2])


@pytest.mark.slow
def test_the_packages_give_the_counted_pairs(tmp_path):
    try:
        corpus = libreoffice_corpus(tmp_path)
    except InputError as error:
        pytest.skip(str(error))
    version = json.loads((tmp_path / "pairs.json").read_text())["version"]
    if version not in libreoffice.KNOWN:
        pytest.skip(f"version {version} has not been counted")
    parts = [corpus.train, corpus.validation, corpus.tests["test"]]
    assert sum(map(len, parts)) == libreoffice.KNOWN[version][0]
    assert split(libreoffice._cached(tmp_path / "pairs.json")) == corpus
