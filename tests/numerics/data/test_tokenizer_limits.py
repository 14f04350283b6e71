"""Sentences longer than SentencePiece's own limit are read, and unknown text is refused."""

import pytest
import torch

from numerics.data.corpus import Corpus, ParallelText
from numerics.data.tokenizer import train_tokenizer
from numerics.training.config import TrainConfig
from numerics.training.task import prepare
from theory.errors import InputError


def test_no_sentence_is_too_long_for_the_tokenizer():
    long = "ab " * 3000 + "xy"
    tokenizer = train_tokenizer(ParallelText((long,), (long,)), 12)
    assert tokenizer.decode(tokenizer.encode(["xy ab"])) == ["xy ab"]


def test_a_validation_text_without_a_known_character_is_refused():
    train = ParallelText(("ab cd", "ef gh") * 10, ("ab cd", "ef gh") * 10)
    strange = ParallelText(("ξψ", "ζζ"), ("ξψ", "ζζ"))
    config = TrainConfig(vocabulary=20, tokens=64)
    with pytest.raises(InputError, match="must share characters with the training text, got"):
        prepare(Corpus("text", train, strange, {}), config, torch.device("cpu"))
    found = prepare(Corpus("text", train, train, {}), config, torch.device("cpu"))
    assert found.dropped == 0
