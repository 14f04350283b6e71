"""What a run trains on: tokenised pairs, held-out batches, and the unigram baseline there."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from numerics.data.batches import Encoded, TextBatch, batches, encode, without_long
from numerics.data.corpus import Corpus, ParallelText
from numerics.data.generated import generated_corpus
from numerics.data.hub import hub_corpus
from numerics.data.libreoffice import libreoffice_corpus
from numerics.data.text_files import read_text_folder
from numerics.data.tokenizer import (
    BEGIN,
    END,
    PADDING,
    UNKNOWN,
    Tokenizer,
    VocabularyTooLarge,
    train_tokenizer,
)
from numerics.training.config import USUAL_VOCABULARY, TrainConfig
from numerics.training.objective import SentenceLosses
from numerics.training.outcome import unigram_losses
from theory.errors import InputError

VALIDATION_PAIRS = 1_000
"""Generated validation pairs, unless the config says otherwise."""


@dataclass(frozen=True)
class TrainingTask:
    """What a run trains on: encoded training pairs, validation batches, and the baseline there."""

    train: Encoded
    validation: list[TextBatch]
    unigram: SentenceLosses
    dropped: int
    """Pairs left out because a side is too long."""
    tokenizer: Tokenizer


def load_corpus(config: TrainConfig) -> Corpus:
    """The sentences that ``config.data`` names."""
    rest = config.data.partition(":")[2]
    match config.data_name:
        case "text":
            return read_text_folder(Path(rest))
        case "libreoffice":
            return libreoffice_corpus()
        case "hub":
            return hub_corpus(rest)
    held_out = VALIDATION_PAIRS if config.validation_pairs is None else config.validation_pairs
    return generated_corpus(config.pairs, held_out, config.data_seed)


def with_vocabulary(config: TrainConfig, corpus: Corpus) -> TrainConfig:
    """The config with the number of tokens that a run has if none is given.

    That is the usual number, or as many as the data support where those are fewer.
    """
    if config.vocabulary is not None:
        return config
    try:
        found = _tokenizer(_read(corpus.train, config), USUAL_VOCABULARY).vocabulary
    except VocabularyTooLarge as refused:
        found = refused.most
    return replace(config, vocabulary=found)


@lru_cache(maxsize=1)  # What says whether the data support a vocabulary is what the run then needs.
def _tokenizer(text: ParallelText, vocabulary: int) -> Tokenizer:
    return train_tokenizer(text, vocabulary)


def prepare(corpus: Corpus, config: TrainConfig, device: torch.device) -> TrainingTask:
    """Tokenise, batch the validation pairs, and take the unigram baseline on them."""
    train_text, held_out_text = (_read(part, config) for part in (corpus.train, corpus.validation))
    chosen = with_vocabulary(config, corpus).vocabulary
    assert chosen is not None
    tokenizer = _tokenizer(train_text, chosen)
    train_data, dropped = _fitting(encode(train_text, tokenizer), config, "training")
    validation, also = _fitting(encode(held_out_text, tokenizer), config, "validation")
    _require_known(validation)
    held_out = list(batches(validation, config.tokens))
    tokens = np.concatenate(train_data.targets)
    counts_V = torch.from_numpy(np.bincount(tokens, minlength=chosen))
    unigram = unigram_losses(
        counts_V, [batch.expected_BT for batch in held_out], config.label_smoothing
    )
    on_device = [batch.to(device) for batch in held_out]
    return TrainingTask(train_data, on_device, unigram, dropped + also, tokenizer)


def _read(text: ParallelText, config: TrainConfig) -> ParallelText:
    """The text as the architecture reads it: a language model has the target on both sides."""
    if config.architecture == "encoder-decoder":
        return text
    return ParallelText(text.en, text.en)


def _require_known(validation: Encoded) -> None:
    """Refuse a validation text whose characters are mostly absent from the training text."""
    tokens = np.concatenate(validation.targets)
    written = tokens[~np.isin(tokens, (PADDING, BEGIN, END))]
    unknown = int((written == UNKNOWN).sum())
    if 2 * unknown >= len(written):
        raise InputError(
            "the validation text must share characters with the training text, "
            f"got {unknown} unknown tokens of {len(written)}"
        )


def _fitting(data: Encoded, config: TrainConfig, part: str) -> tuple[Encoded, int]:
    """The pairs that are short enough; none at all is an error."""
    limit = min(config.max_length or config.tokens, config.tokens)
    found, dropped = without_long(data, limit)
    if dropped and config.too_long == "error":
        name = "max_length" if limit == config.max_length else "tokens per batch"
        raise InputError(
            f"{name} must be at least the longest sentence's {data.sizes().max()}, got {limit}; "
            f"too_long drop leaves out the {dropped} longer {part} pairs"
        )
    if not len(found):
        raise InputError(f"max_length {limit} leaves no {part} pair of {len(data)}")
    return found, dropped
