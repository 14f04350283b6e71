from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerics.data.batches import Encoded, batches, index_batches, make_batch
from numerics.data.tokenizer import BEGIN, END, PADDING
from theory.errors import InputError


def random_pairs(count: int, seed: int) -> Encoded:
    rng = np.random.default_rng(seed)

    def rows():
        return [np.append(rng.integers(4, 50, size=rng.integers(1, 12)), END) for _ in range(count)]

    return Encoded(rows(), rows())


@given(st.lists(st.integers(1, 20), min_size=1, max_size=60), st.booleans())
def test_every_pair_once_and_within_the_budget(sizes, shuffled):
    generator = np.random.default_rng(0) if shuffled else None
    found = index_batches(np.array(sizes), 40, generator)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(sizes)))
    assert all(len(batch) * np.array(sizes)[batch].max() <= 40 for batch in found)


def tokens_of(data: Encoded) -> Counter[tuple[int, ...]]:
    return Counter(
        (*x.tolist(), -1, *y.tolist()) for x, y in zip(data.sources, data.targets, strict=True)
    )


def tokens_in(found) -> Counter[tuple[int, ...]]:
    pairs = (
        pair
        for batch in found
        for pair in zip(batch.source_BS.tolist(), batch.expected_BT.tolist(), strict=True)
    )
    return Counter(
        (*[t for t in x if t != PADDING], -1, *[t for t in y if t != PADDING]) for x, y in pairs
    )


def test_no_token_is_lost_or_doubled():
    data = random_pairs(200, seed=0)
    found = list(batches(data, 64, np.random.default_rng(1)))
    assert tokens_in(found) == tokens_of(data)
    assert sum(batch.tokens for batch in found) == sum(map(len, data.targets))
    assert tokens_in(found[1:]) != tokens_of(data)


def test_order_depends_on_the_generator_alone():
    data = random_pairs(100, seed=0)

    def order(seed):
        return [
            batch.expected_BT.tolist() for batch in batches(data, 64, np.random.default_rng(seed))
        ]

    assert order(3) == order(3)
    assert order(3) != order(4)


def test_bucketing_wastes_little():
    data = random_pairs(400, seed=0)

    def padding(generator):
        found = list(batches(data, 128, generator))
        places = sum(batch.expected_BT.numel() for batch in found)
        return 1 - sum(batch.tokens for batch in found) / places

    assert padding(np.random.default_rng(0)) < padding(None)


def test_teacher_forcing_and_padding():
    data = Encoded(
        [np.array([7, 8, END]), np.array([9, END])], [np.array([5, END]), np.array([4, 6, END])]
    )
    batch = make_batch(data, np.array([0, 1]))
    assert batch.source_BS.tolist() == [[7, 8, END], [9, END, PADDING]]
    assert batch.padding_BS.tolist() == [[False, False, False], [False, False, True]]
    assert batch.target_BT.tolist() == [[BEGIN, 5, PADDING], [BEGIN, 4, 6]]
    assert batch.expected_BT.tolist() == [[5, END, PADDING], [4, 6, END]]
    assert batch.tokens == 5
    assert batch.to(torch.device("cpu")).source_BS.equal(batch.source_BS)


def test_a_sentence_longer_than_the_budget():
    with pytest.raises(InputError, match=r"at least the longest sentence's 9, got 8"):
        index_batches(np.array([3, 9]), 8, None)
