"""Joint byte-pair encoding of both languages with SentencePiece, trained in memory.

Ids 0…3 are padding, unknown, beginning and end of sentence. Digits are always single tokens.
Numbers are hence read and written digit by digit, and the vocabulary does not fill up with years.
"""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from numerics.data.corpus import ParallelText
from theory.errors import InputError, extra, require_positive

PADDING, UNKNOWN, BEGIN, END = range(4)
_USUAL_SENTENCE = 4192
"""Bytes of the longest sentence that SentencePiece reads unless told otherwise."""


@dataclass(frozen=True)
class Tokenizer:
    """A trained SentencePiece model."""

    vocabulary: int
    """Number of tokens, including the four special ones."""
    model: bytes
    """The serialised SentencePiece model."""

    def encode(self, sentences: Sequence[str]) -> list[Int[np.ndarray, " T"]]:
        """Token ids of each sentence, without those of begin and end."""
        processor = self._processor()
        return [np.asarray(ids, dtype=np.int64) for ids in processor.encode(list(sentences))]

    def decode(self, rows: Iterable[Sequence[int] | Int[np.ndarray, " _"]]) -> list[str]:
        """The sentences of rows of token ids; special tokens are dropped."""
        return self._processor().decode([[int(token) for token in row] for row in rows])

    def _processor(self) -> Any:
        return extra("sentencepiece").SentencePieceProcessor(model_proto=self.model)


def train_tokenizer(text: ParallelText, vocabulary: int) -> Tokenizer:
    """Train a joint BPE of exactly ``vocabulary`` tokens on both sides of ``text``.

    Training uses no randomness.

    Raises
    ------
    InputError
        If the text does not support a vocabulary of this size; the message gives the limit.

    Examples
    --------
    >>> text = ParallelText(("der Hund bellt",) * 3, ("the dog barks",) * 3)
    >>> tokenizer = train_tokenizer(text, 30)
    >>> tokenizer.decode(tokenizer.encode(["the dog"]))
    ['the dog']
    """
    require_positive(vocabulary=vocabulary)
    written = io.BytesIO()
    sentences = [*text.de, *text.en]
    # SentencePiece leaves longer sentences out without a word.
    longest = max((len(sentence.encode()) for sentence in sentences), default=0)
    try:
        extra("sentencepiece").SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=written,
            model_type="bpe",
            vocab_size=vocabulary,
            character_coverage=1.0,
            split_digits=True,
            shuffle_input_sentence=False,
            max_sentence_length=max(_USUAL_SENTENCE, longest),
            num_threads=1,
            pad_id=PADDING,
            unk_id=UNKNOWN,
            bos_id=BEGIN,
            eos_id=END,
            minloglevel=3,
        )
    except RuntimeError as error:
        raise _size_error(vocabulary, str(error)) from None
    return Tokenizer(vocabulary, written.getvalue())


class VocabularyTooLarge(InputError):
    """More tokens are asked for than the training data support."""

    def __init__(self, most: int, wanted: int) -> None:
        super().__init__(f"vocabulary may be at most {most} for this training data, got {wanted}")
        self.most = most
        """Tokens that the data support."""


def _size_error(vocabulary: int, message: str) -> InputError:
    if found := re.search(r"value <= (\d+)", message):
        return VocabularyTooLarge(int(found[1]), vocabulary)
    if found := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return InputError(
            f"vocabulary must be at least {found[1]} to hold every character of this training "
            f"data, got {vocabulary}"
        )
    return InputError(f"vocabulary {vocabulary} does not fit this training data: {message}")
