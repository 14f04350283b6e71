"""What a run trains on: tokenised pairs, held-out batches, and the unigram baseline there."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from numerics.data.batches import Batch, Encoded, batches, encode
from numerics.data.corpus import Corpus
from numerics.data.generated import generated_corpus
from numerics.data.text_files import read_text_folder
from numerics.data.tokenizer import train_tokenizer
from numerics.training.config import TrainConfig
from numerics.training.objective import SentenceLosses
from numerics.training.outcome import unigram_losses

VALIDATION_PAIRS = 1_000
"""Generated validation pairs."""


@dataclass(frozen=True)
class Task:
    """What a run trains on: encoded training pairs, validation batches, and the baseline there."""

    train: Encoded
    validation: list[Batch]
    unigram: SentenceLosses


def load_corpus(config: TrainConfig) -> Corpus:
    """The sentences that ``config.data`` names."""
    if config.data_name == "text":
        return read_text_folder(Path(config.data.removeprefix("text:")))
    return generated_corpus(config.pairs, VALIDATION_PAIRS, config.data_seed)


def prepare(corpus: Corpus, config: TrainConfig, device: torch.device) -> Task:
    """Tokenise, batch the validation pairs, and take the unigram baseline on them."""
    tokenizer = train_tokenizer(corpus.train, config.vocabulary)
    train_data = encode(corpus.train, tokenizer)
    held_out = list(batches(encode(corpus.validation, tokenizer), config.tokens))
    tokens = np.concatenate(train_data.targets)
    counts_V = torch.from_numpy(np.bincount(tokens, minlength=config.vocabulary))
    unigram = unigram_losses(
        counts_V, [batch.expected_BT for batch in held_out], config.label_smoothing
    )
    return Task(train_data, [batch.to(device) for batch in held_out], unigram)
