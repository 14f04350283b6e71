"""Loads parallel text from the Hugging Face hub: ``hub:NAME`` or ``hub:NAME:CONFIGURATION``.

A row has German and English either as columns ``de`` and ``en`` (bentrevett/multi30k) or below
``translation`` (wmt14:de-en). The parts ``train`` and ``validation`` are required. Every part whose
name begins with ``test`` is a test set.
"""

from collections.abc import Mapping
from typing import Any

from numerics.data.corpus import Corpus, ParallelText
from theory.errors import InputError, extra


def hub_corpus(name: str) -> Corpus:
    """Load a dataset, from the hub or from its own cache.

    Raises
    ------
    InputError
        If ``datasets`` is not installed, the hub is out of reach, or the dataset has not the parts
        and columns that are needed.
    """
    datasets = extra("datasets", "hub")
    repository, _, configuration = name.partition(":")
    try:
        parts = datasets.load_dataset(repository, configuration or None)
    except (OSError, ValueError, RuntimeError) as error:
        detail = str(error).strip().partition("\n")[0]
        raise InputError(
            f"data hub:{name} must be within reach, and is not: {detail}; load it where there is a "
            "connection and use data text:DIR, or take generated or libreoffice"
        ) from None
    missing = {"train", "validation"} - set(parts)
    if missing:
        raise InputError(f"hub:{name} must have the parts train and validation, has {list(parts)}")
    tests = {part: _text(name, parts[part]) for part in sorted(parts) if part.startswith("test")}
    train, validation = (_text(name, parts[part]) for part in ("train", "validation"))
    return Corpus("hub", train, validation, tests)


def _text(name: str, rows: Any) -> ParallelText:
    pairs = [_pair(name, row) for row in rows]
    return ParallelText(tuple(de for de, _ in pairs), tuple(en for _, en in pairs))


def _pair(name: str, row: Mapping[str, Any]) -> tuple[str, str]:
    sides = row.get("translation", row)
    try:
        de, en = (str(sides[side]).strip() for side in ("de", "en"))
        return de, en
    except (KeyError, TypeError):
        raise InputError(
            f"hub:{name} must have the columns de and en, or translation with both, has {list(row)}"
        ) from None
