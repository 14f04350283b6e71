"""Turns sentence pairs into padded and masked batches of similar length, in a seeded order.

Shape suffixes: B is the batch, S are source tokens, T are target tokens. The source is x … END. The
decoder reads BEGIN y … and predicts y … END (teacher forcing).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numerics.data.corpus import ParallelText
from numerics.data.tokenizer import BEGIN, END, PADDING, Tokenizer
from theory.errors import InputError

TokenRows = Sequence[Int[np.ndarray, " _"]]


@dataclass(frozen=True)
class Encoded:
    """Token ids of sentence pairs; both sides end with END."""

    sources: TokenRows
    targets: TokenRows

    def __len__(self) -> int:
        return len(self.sources)

    def sizes(self) -> Int[np.ndarray, " N"]:
        """Number of tokens of the longer side of each pair."""
        pairs = zip(self.sources, self.targets, strict=True)
        return np.array([max(len(x), len(y)) for x, y in pairs])


@dataclass(frozen=True)
class TextBatch:
    """Padded token ids of some sentence pairs."""

    source_BS: Int[Tensor, "B S"]
    """Token ids that the encoder reads."""
    target_BT: Int[Tensor, "B T"]
    """Token ids that the decoder reads: BEGIN, then all but the last target token."""
    expected_BT: Int[Tensor, "B T"]
    """Token ids to predict at each place; padding where there is nothing to predict."""
    padding_BS: Bool[Tensor, "B S"]
    """True where the source is padding."""
    tokens: int
    """Number of target tokens to predict."""

    def to(self, device: torch.device) -> "TextBatch":
        """The same batch on another device."""
        return TextBatch(
            source_BS=self.source_BS.to(device),
            target_BT=self.target_BT.to(device),
            expected_BT=self.expected_BT.to(device),
            padding_BS=self.padding_BS.to(device),
            tokens=self.tokens,
        )


def encode(text: ParallelText, tokenizer: Tokenizer) -> Encoded:
    """Token ids of both sides with END appended."""
    sides = (tokenizer.encode(side) for side in (text.de, text.en))
    sources, targets = ([np.append(row, END) for row in side] for side in sides)
    return Encoded(sources, targets)


def index_batches(
    sizes: Int[np.ndarray, " N"], tokens: int, generator: np.random.Generator | None
) -> list[Int[np.ndarray, " _"]]:
    """Split pairs into batches with (pairs in the batch) × (longest side) ≤ ``tokens``.

    With a generator pairs are bucketed by length, ties in random order, and the batches come in
    random order; without one pairs keep their order.

    Raises
    ------
    InputError
        If one pair alone is longer than ``tokens``.

    Examples
    --------
    >>> [list(map(int, batch)) for batch in index_batches(np.array([3, 3, 4, 2]), 8, None)]
    [[0, 1], [2, 3]]
    """
    if sizes.max() > tokens:
        raise InputError(
            f"tokens per batch must be at least the longest sentence's {sizes.max()}, got {tokens}"
        )
    order = np.arange(len(sizes))
    if generator is not None:
        order = generator.permutation(order)
        order = order[np.argsort(sizes[order], kind="stable")]
    batches, start, longest = [], 0, 0
    for end, size in enumerate(sizes[order]):
        longest = max(longest, int(size))
        if longest * (end - start + 1) > tokens:
            batches.append(order[start:end])
            start, longest = end, int(size)
    batches.append(order[start:])
    if generator is not None:
        batches = [batches[i] for i in generator.permutation(len(batches))]
    return batches


def make_batch(data: Encoded, indices: Int[np.ndarray, " B"]) -> TextBatch:
    """Pad the chosen pairs; each side is padded to its own longest sentence."""
    source = _pad([data.sources[i] for i in indices])
    expected = _pad([data.targets[i] for i in indices])
    begin = np.full((len(indices), 1), BEGIN)
    target = np.concatenate([begin, expected[:, :-1]], axis=1)
    # A shifted END would be read at places that predict padding only; hide it.
    target = np.where(expected == PADDING, PADDING, target)
    source_BS, target_BT, expected_BT = map(torch.from_numpy, (source, target, expected))
    tokens = int((expected != PADDING).sum())
    return TextBatch(source_BS, target_BT, expected_BT, source_BS == PADDING, tokens)


def share(batch: TextBatch, rank: int, processes: int) -> TextBatch:
    """The share of one process: every ``processes``-th pair from ``rank`` on.

    ``tokens`` still counts the whole batch.

    A process without a pair of its own gets one with nothing to predict.
    """
    if processes == 1:
        return batch
    rows = slice(rank, None, processes) if rank < len(batch.source_BS) else slice(0, 1)
    expected_BT = batch.expected_BT[rows]
    if rank >= len(batch.source_BS):
        expected_BT = torch.full_like(expected_BT, PADDING)
    return TextBatch(
        source_BS=batch.source_BS[rows],
        target_BT=batch.target_BT[rows],
        expected_BT=expected_BT,
        padding_BS=batch.padding_BS[rows],
        tokens=batch.tokens,
    )


def without_long(data: Encoded, longest: int) -> tuple[Encoded, int]:
    """The pairs of at most ``longest`` tokens per side, and how many pairs were dropped.

    Examples
    --------
    >>> rows = [np.arange(3), np.arange(9)]
    >>> found, dropped = without_long(Encoded(rows, rows), 8)
    >>> len(found), dropped
    (1, 1)
    """
    kept = data.sizes() <= longest
    sources, targets = (list(compress(side, kept)) for side in (data.sources, data.targets))
    return Encoded(sources, targets), len(data) - len(sources)


def _pad(rows: Sequence[Int[np.ndarray, " _"]]) -> Int[np.ndarray, "B T"]:
    padded = np.full((len(rows), max(map(len, rows))), PADDING, dtype=np.int64)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    return padded


def batches(
    data: Encoded, tokens: int, generator: np.random.Generator | None = None
) -> Iterator[TextBatch]:
    """One pass over the data: every pair exactly once (`index_batches`)."""
    for indices in index_batches(data.sizes(), tokens, generator):
        yield make_batch(data, indices)
