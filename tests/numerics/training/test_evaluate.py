import json
from dataclasses import replace

import numpy as np
import pytest

from numerics.cli.train import Train
from numerics.training import evaluate, task
from numerics.training.config import TrainConfig
from numerics.training.evaluate import (
    bleu_of,
    bootstrap_interval,
    evaluate_run,
    paired_bootstrap,
    read_counts,
    sentence_counts,
)
from numerics.training.loop import run_training
from numerics.training.recorded import CHECKPOINT, read_run
from theory.errors import InputError, extra

TINY = TrainConfig(
    layers=1, d_model=16, d_ff=32, pairs=300, vocabulary=200, steps=6, checkpoint_every=2, average=2
)
GOOD = ["the cat sat on the mat today", "two dogs ran over a hill", "it is 5 pm"]
BAD = ["the cat sat on a mat", "two dogs", "it was 5 pm in all"]


@pytest.fixture(autouse=True)
def _few_validation_pairs(monkeypatch):
    monkeypatch.setattr(task, "VALIDATION_PAIRS", 20)


def test_counts_add_up_to_sacrebleus_corpus_score():
    theirs = extra("sacrebleu").BLEU().corpus_score(BAD, [GOOD]).score
    counts = sentence_counts(BAD, GOOD)
    assert bleu_of(counts) == pytest.approx(theirs, rel=1e-12)
    by_sentence = np.mean([bleu_of(row[None]) for row in counts])
    assert abs(by_sentence - theirs) > 1


def test_the_bootstrap_brackets_the_score_and_orders_systems():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(30)]
    references = [" ".join(rng.choice(words, 9)) for _ in range(80)]

    def noisy(share):
        return [
            " ".join(w if rng.random() > share else "x" for w in line.split())
            for line in references
        ]

    better, worse = (sentence_counts(noisy(share), references) for share in (0.1, 0.3))
    low, high = bootstrap_interval(better, samples=200)
    assert low < bleu_of(better) < high
    assert high - low > 1
    assert paired_bootstrap(better, worse, samples=100) < 0.01
    assert paired_bootstrap(worse, better, samples=100) > 0.99
    with pytest.raises(InputError, match="same sentences, got 80 and 79"):
        paired_bootstrap(better, worse[1:])


def test_a_run_gets_its_bleu_with_a_signature(tmp_path, capsys):
    config = Train(**vars(TINY), out=tmp_path / "run", evaluate="validation", beam=2)
    assert config.run() == 0
    shown = capsys.readouterr().out
    stored = json.loads((tmp_path / "run/bleu-validation.json").read_text())
    assert stored["pairs"] == 20
    assert stored["averaged"] == stored["beam"] == 2
    assert "tok:13a" in stored["signature"]
    assert f"BLEU {stored['bleu']:.2f}" in shown
    assert stored["signature"] in shown
    assert bleu_of(read_counts(tmp_path / "run", "validation")) == pytest.approx(stored["bleu"])
    text = "".join(path.read_text() for path in (tmp_path / "run").glob("*.json"))
    assert not any(sentence in text for sentence in task.load_corpus(TINY).validation.en)
    assert read_run(tmp_path / "run").bleu["validation"] == pytest.approx(stored["bleu"])


def test_the_order_of_translations_is_the_order_of_sentences(tmp_path, monkeypatch):
    """With a search that copies its source, each sentence comes back in its own place."""

    class Copy:
        def __init__(self, row):
            self.tokens = tuple(row)

    def copying(_, source, padding, **__):
        return [Copy(r[~p].tolist()) for r, p in zip(source, padding, strict=True)]

    monkeypatch.setattr(evaluate, "beam_search", copying)
    run_training(replace(TINY, steps=1, average=1), tmp_path)
    corpus = task.load_corpus(TINY)
    seen = []
    monkeypatch.setattr(
        evaluate, "sentence_counts", lambda h, r: seen.append((h, r)) or np.ones((1, 10), int)
    )
    evaluate_run(replace(TINY, steps=1, average=1), tmp_path, "validation")
    ((found, references),) = seen
    expected = [line.replace("\xa0", " ").replace("\u202f", " ") for line in corpus.validation.de]
    assert found == expected
    assert references == corpus.validation.en


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match="must hold a finished run"):
        evaluate_run(TINY, tmp_path / "none", "validation")
    run_training(TINY, tmp_path / "run")
    with pytest.raises(InputError, match="unknown held-out set 'test_2016'"):
        evaluate_run(TINY, tmp_path / "run", "test_2016")
    with pytest.raises(InputError, match="--evaluate validation makes it"):
        read_counts(tmp_path / "run", "validation")
    (tmp_path / "run" / CHECKPOINT).unlink()
    with pytest.raises(InputError, match="must hold the run's checkpoint"):
        evaluate_run(TINY, tmp_path / "run", "validation")
