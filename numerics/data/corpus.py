"""The values of parallel text: sentence pairs, and the parts of a corpus.

The source side is German (``de``) and the target side English (``en``) throughout.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from theory.errors import InputError


@dataclass(frozen=True)
class ParallelText:
    """Sentence pairs, source ``de[i]`` with target ``en[i]``."""

    de: tuple[str, ...]
    en: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.de) != len(self.en):
            raise InputError(
                f"both sides need as many sentences, got {len(self.de)} de and {len(self.en)} en"
            )

    def __len__(self) -> int:
        return len(self.de)


@dataclass(frozen=True)
class Corpus:
    """A named corpus: training, validation and any number of test sets."""

    name: str
    """``generated``, ``text``, ``libreoffice`` or ``hub``: what stored results call it."""
    train: ParallelText
    validation: ParallelText
    tests: Mapping[str, ParallelText]

    def facts(self) -> dict[str, object]:
        """Pair counts and a SHA-256 over all training and validation sentences.

        They identify the data in a stored result without holding any of its text.

        Examples
        --------
        >>> one = ParallelText(("eins",), ("one",))
        >>> facts = Corpus("text", one, one, {}).facts()
        >>> facts["train_pairs"], str(facts["sha256"])[:8]
        (1, '49b5c920')
        """
        digest = hashlib.sha256()
        for part in (self.train, self.validation):
            for side in (part.de, part.en):
                digest.update("\n".join(side).encode() + b"\0")
        return {
            "name": self.name,
            "train_pairs": len(self.train),
            "validation_pairs": len(self.validation),
            "sha256": digest.hexdigest(),
        }
