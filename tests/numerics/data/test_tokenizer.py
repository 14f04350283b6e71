import numpy as np
import pytest

from numerics.data.corpus import ParallelText
from numerics.data.generated import generated_corpus
from numerics.data.tokenizer import BEGIN, END, PADDING, train_tokenizer
from theory.errors import InputError

TEXT = generated_corpus(500, 10, seed=0).train


def test_training_is_deterministic_and_sized_as_asked():
    one, two = (train_tokenizer(TEXT, 300) for _ in range(2))
    assert one == two
    assert one.vocabulary == 300
    assert train_tokenizer(TEXT, 301).model != one.model


def test_sentences_survive_the_round_trip():
    tokenizer = train_tokenizer(TEXT, 300)
    rows = tokenizer.encode(TEXT.en)
    assert tokenizer.decode(rows) == [sentence.replace("\xa0", " ") for sentence in TEXT.en]
    assert max(row.max() for row in rows) < 300
    assert not np.isin(np.concatenate(rows), (PADDING, BEGIN, END)).any()


def test_digits_are_single_tokens():
    tokenizer = train_tokenizer(TEXT, 300)
    assert len(tokenizer.encode(["2027"])[0]) >= 4


def test_special_tokens_vanish():
    tokenizer = train_tokenizer(TEXT, 300)
    row = tokenizer.encode(["3 March 2027"])[0]
    assert tokenizer.decode([[BEGIN, *row.tolist(), END, PADDING]]) == ["3 March 2027"]


def test_vocabulary_larger_than_the_data_allows():
    text = ParallelText(("ab cd",), ("cd ab",))
    with pytest.raises(InputError, match=r"at most \d+ for this training data, got 400"):
        train_tokenizer(text, 400)


def test_vocabulary_smaller_than_the_characters():
    with pytest.raises(InputError, match=r"at least \d+ to hold every character.*got 10"):
        train_tokenizer(TEXT, 10)


def test_the_stated_limit_is_the_limit():
    text = ParallelText(("ab cd",), ("cd ab",))
    with pytest.raises(InputError) as caught:
        train_tokenizer(text, 400)
    limit = int(str(caught.value).split("at most ")[1].split()[0])
    assert train_tokenizer(text, limit).vocabulary == limit
    with pytest.raises(InputError):
        train_tokenizer(text, limit + 1)
