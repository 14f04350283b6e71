"""Translation quality of a finished run: BLEU with sacreBLEU's signature on a held-out set.

BLEU is BP · exp(¼ Σ_n log p_n) with clipped n-gram precisions p_n over the corpus and brevity
penalty BP = min(1, exp(1 − r/c)). The record holds the score, its signature and the counts of each
sentence (c, r, matches and totals for n = 1 … 4), and never a text. Corpus BLEU depends only on the
sums of these counts, so a paired bootstrap over sentences can compare two runs on the same set.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
import torch
from jaxtyping import Float, Int

from numerics.data.batches import encode, index_batches, make_batch
from numerics.data.corpus import Corpus, ParallelText
from numerics.data.tokenizer import Tokenizer, train_tokenizer
from numerics.models.attention import fuse_attention
from numerics.models.transformer import Transformer
from numerics.schemes import build
from numerics.stores.files import atomically
from numerics.stores.seals import write_sealed
from numerics.training import recorded
from numerics.training.checkpoint import averaged_weights
from numerics.training.config import TrainConfig
from numerics.training.decode import beam_search
from numerics.training.loop import model_spec, resolve_device
from numerics.training.task import load_corpus, with_vocabulary
from theory.errors import InputError, extra, nearest, require_positive

COUNTS = ("hypothesis", "reference", *(f"match{n}" for n in (1, 2, 3, 4)))
COLUMNS = (*COUNTS, *(f"total{n}" for n in (1, 2, 3, 4)))
"""Columns of the stored counts: c, r, matches and totals by n."""
DECODED_TOGETHER = 4_096
"""Source tokens of a batch at least; training's are often too few to keep a processor busy."""
Counts = Int[np.ndarray, "_ 10"]


@dataclass(frozen=True)
class Evaluation:
    """BLEU of a run on a held-out set."""

    dataset: str
    """``validation``, or the name of a test set."""
    pairs: int
    bleu: float
    low: float
    """Lower end of the 95 % bootstrap interval over sentences."""
    high: float
    signature: str
    """sacreBLEU's, which says how it was computed."""
    beam: int
    length_penalty: float
    averaged: int
    """Checkpoints averaged."""


def evaluate_run(
    config: TrainConfig,
    out: Path,
    dataset: str,
    *,
    beam: int = 4,
    length_penalty: float = 0.3,
    pairs: int | None = None,
) -> Evaluation:
    """Translate a held-out set with a finished run and add the result to its record.

    Parameters
    ----------
    config
        The run's config.
    out
        Its folder, with its checkpoints.
    dataset
        ``validation``, or a test set of the data.
    beam, length_penalty
        k and α of `numerics.training.decode`; T-Fixup's are 4 and 0.3.
    pairs
        How many of the set's first sentences to translate; all of them by default.

    Raises
    ------
    InputError
        If the run is not finished, its checkpoints are gone, or the data has no such set.
    """
    require_positive(beam=beam, pairs=1 if pairs is None else pairs)
    run = recorded.read_run(out)
    corpus = load_corpus(config)
    config = with_vocabulary(config, corpus)
    whole = held_out(corpus, dataset)
    text = ParallelText(whole.de[:pairs], whole.en[:pairs])
    if not (out / recorded.CHECKPOINT).exists():
        raise InputError(f"{out} must hold the run's checkpoint, and holds only its record")
    device = resolve_device(str(run.config["device"]))
    model = build(config.scheme, model_spec(config), torch.Generator().manual_seed(config.seed))
    model.load_state_dict(averaged_weights(out / recorded.CHECKPOINT, config.average))
    fuse_attention(model)
    vocabulary = config.vocabulary
    assert vocabulary is not None
    tokenizer = train_tokenizer(corpus.train, vocabulary)
    found = translate(
        model.to(device).eval(),
        tokenizer,
        text.de,
        beam=beam,
        length_penalty=length_penalty,
        tokens=max(config.tokens, DECODED_TOGETHER),
    )
    bleu = extra("sacrebleu").BLEU()
    score = bleu.corpus_score(found, [list(text.en)])
    counts = sentence_counts(found, text.en)
    low, high = bootstrap_interval(counts)
    evaluation = Evaluation(
        dataset,
        len(text),
        score.score,
        low,
        high,
        str(bleu.get_signature()),
        beam,
        length_penalty,
        config.average,
    )
    record(out, evaluation, counts)
    return evaluation


def held_out(corpus: Corpus, dataset: str) -> ParallelText:
    """The validation part or a test set by name.

    Examples
    --------
    >>> one = ParallelText(("eins",), ("one",))
    >>> held_out(Corpus("text", one, one, {}), "test")
    Traceback (most recent call last):
    ...
    theory.errors.InputError: unknown held-out set 'test' (known: validation)
    """
    sets = {"validation": corpus.validation, **corpus.tests}
    if dataset not in sets:
        raise nearest(dataset, sets, "held-out set")
    return sets[dataset]


def translate(
    model: Transformer,
    tokenizer: Tokenizer,
    sentences: Sequence[str],
    *,
    beam: int,
    length_penalty: float,
    tokens: int,
) -> list[str]:
    """Translate sentences; the result has their order, whatever the batches."""
    data = encode(ParallelText(tuple(sentences), tuple(sentences)), tokenizer)
    sizes, device = data.sizes(), model.target_embedding.device
    by_length = np.argsort(sizes, kind="stable")
    rows: dict[int, tuple[int, ...]] = {}
    budget = max(tokens, int(sizes.max()))
    for indices in index_batches(sizes[by_length], budget, None):
        batch = make_batch(data, by_length[indices]).to(device)
        found = beam_search(
            model, batch.source_BS, batch.padding_BS, beam=beam, length_penalty=length_penalty
        )
        places = by_length[indices].tolist()
        rows |= {i: one.tokens for i, one in zip(places, found, strict=True)}
    return tokenizer.decode([rows[i] for i in range(len(sentences))])


def sentence_counts(hypotheses: Sequence[str], references: Sequence[str]) -> Counts:
    """Lengths c and r, matches and totals of each sentence."""
    bleu = extra("sacrebleu").BLEU(effective_order=True)
    scores = [
        bleu.sentence_score(hypothesis, [reference])
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]
    rows = [[one.sys_len, one.ref_len, *one.counts, *one.totals] for one in scores]
    return np.array(rows, dtype=np.int64)


def bleu_of(counts: Counts) -> float:
    """Corpus BLEU of summed counts, with sacreBLEU's exponential smoothing of empty matches.

    Examples
    --------
    >>> same = np.array([[4, 4, 4, 3, 2, 1, 4, 3, 2, 1]])
    >>> bleu_of(same)
    100.0
    """
    return _bleu_of_sums(counts.sum(0))


def _bleu_of_sums(sums: Int[np.ndarray, " 10"]) -> float:
    c, r, *rest = sums.tolist()
    score = extra("sacrebleu").BLEU.compute_bleu(rest[:4], rest[4:], c, r, smooth_method="exp")
    return float(score.score)


def bootstrap_interval(counts: Counts, *, samples: int = 1_000) -> tuple[float, float]:
    """Interval of corpus BLEU at 95 %, over sentences drawn with replacement."""
    low, high = np.quantile(resampled_bleu(counts, samples=samples), [0.025, 0.975])
    return float(low), float(high)


def paired_bootstrap(one: Counts, other: Counts, *, samples: int = 1_000) -> float:
    """Share of resamples of the same sentences in which ``one`` does not beat ``other`` (Koehn).

    Examples
    --------
    >>> good = np.tile([4, 4, 4, 3, 2, 1, 4, 3, 2, 1], (5, 1))
    >>> bad = np.tile([4, 4, 2, 1, 0, 0, 4, 3, 2, 1], (5, 1))
    >>> paired_bootstrap(good, bad, samples=20), paired_bootstrap(good, good, samples=20)
    (0.0, 1.0)
    """
    if len(one) != len(other):
        raise InputError(f"both need the same sentences, got {len(one)} and {len(other)}")
    ours, theirs = (resampled_bleu(each, samples=samples) for each in (one, other))
    return float(np.mean(ours <= theirs))


def paired_difference(
    one: Counts, other: Counts, *, level: float = 0.95, samples: int = 1_000
) -> tuple[float, float, float]:
    """BLEU of ``one`` minus ``other`` with its bootstrap interval over the same sentences.

    Parameters
    ----------
    one, other
        Counts of the same sentences.
    level
        Confidence of the interval.
    samples
        Resamples.

    Examples
    --------
    >>> good = np.tile([4, 4, 4, 3, 2, 1, 4, 3, 2, 1], (5, 1))
    >>> paired_difference(good, good, samples=20)
    (0.0, 0.0, 0.0)
    """
    if len(one) != len(other):
        raise InputError(f"both need the same sentences, got {len(one)} and {len(other)}")
    ours, theirs = (resampled_bleu(each, samples=samples) for each in (one, other))
    low, high = np.quantile(ours - theirs, [(1 - level) / 2, (1 + level) / 2])
    return bleu_of(one) - bleu_of(other), float(low), float(high)


def record(out: Path, evaluation: Evaluation, counts: Counts) -> None:
    """Write ``bleu-SET.json`` and the counts beside the run's other files."""
    name = out / f"bleu-{evaluation.dataset}"
    with atomically(name.with_suffix(".parquet")) as temporary:
        pl.DataFrame(counts, schema=dict.fromkeys(COLUMNS, pl.Int32)).write_parquet(temporary)
    write_sealed(name.with_suffix(".json"), asdict(evaluation))


def read_counts(out: Path, dataset: str) -> Counts:
    """The stored counts of a run on a held-out set."""
    path = out / f"bleu-{dataset}.parquet"
    if not path.exists():
        raise InputError(f"{out} must hold {path.name}: tfixup train --evaluate {dataset} makes it")
    return pl.read_parquet(path, glob=False).to_numpy().astype(np.int64)


def resampled_bleu(counts: Counts, *, samples: int = 1_000) -> Float[np.ndarray, " R"]:
    """Corpus BLEU on bootstrap resamples of the held-out sentences.

    Two runs on the same set are resampled alike, so that their scores can be compared in pairs.

    Examples
    --------
    >>> resampled_bleu(np.tile([4, 4, 4, 3, 2, 1, 4, 3, 2, 1], (5, 1)), samples=2)
    array([100., 100.])
    """
    return _resampled_bleu(counts.astype(np.int64).tobytes(), samples)


@lru_cache(maxsize=100)  # One run stands in many comparisons.
def _resampled_bleu(stored: bytes, samples: int) -> Float[np.ndarray, " R"]:
    counts = np.frombuffer(stored, dtype=np.int64).reshape(-1, len(COLUMNS))
    # A product of whole numbers is exact below 2^53.
    sums = (_resamples(len(counts), samples) @ counts).astype(np.int64)
    scores = np.array([_bleu_of_sums(row) for row in sums])
    scores.flags.writeable = False
    return scores


@lru_cache(maxsize=2)
def _resamples(count: int, samples: int) -> Float[np.ndarray, "R N"]:
    """How many times each resample has each sentence."""
    drawn = np.random.default_rng(0).integers(count, size=(samples, count))
    return np.stack([np.bincount(row, minlength=count) for row in drawn]).astype(float)
