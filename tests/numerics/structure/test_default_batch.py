"""The batch that is drawn for a model which came without one."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.structure.default_batch import default_batch
from theory.errors import InputError

D = 8


def drawn(model: nn.Module, seed: int = 0) -> tuple[tuple[Tensor, ...], str]:
    """The positional arguments drawn, and what is said of them."""
    batch, note = default_batch(model, seed)
    assert isinstance(batch, tuple)
    return batch, note


class Tokens(nn.Module):
    """Reads a table by what a test says."""

    counted: Tensor

    def __init__(self, run: Any, rows: int = 20, positions: int = 64) -> None:
        super().__init__()
        self.run = run
        self.table, self.positions = nn.Embedding(rows, D), nn.Embedding(positions, D)
        self.register_buffer("counted", torch.zeros(()))
        self.dropped = nn.Dropout(0.5)

    def forward(self, ids: Tensor) -> Tensor:
        self.counted += 1
        return self.dropped(self.run(self, ids))


def by_module(m: Tokens, ids: Tensor) -> Tensor:
    return m.table(ids) + m.positions(torch.arange(ids.shape[1]))


@pytest.mark.parametrize(
    "run",
    [
        by_module,
        lambda m, ids: F.embedding(input=ids, weight=m.table.weight),
        lambda m, ids: m.table.weight[ids],
    ],
)
def test_ids_are_below_the_rows_of_the_table_that_they_read(run: Any) -> None:
    torch.manual_seed(0)
    model = Tokens(run).train()
    state = torch.get_rng_state()
    batch, note = drawn(model, seed=3)
    (ids,) = batch
    assert (ids.shape, ids.dtype) == ((2, 16), torch.long)
    assert int(ids.min()) >= 0
    assert int(ids.max()) < 20
    assert len(ids.unique()) > 8
    assert note == (
        "The factory gave no batch: 2 sequences of 16 random token ids below 20 (the embedding's "
        "rows) were drawn."
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert model.counted == 0
    (again,), (other,) = (drawn(model, seed)[0] for seed in (3, 4))
    assert torch.equal(ids, again)
    assert not torch.equal(ids, other)


def test_a_short_table_of_positions_and_padding_ids() -> None:
    model = Tokens(by_module, positions=9)
    assert drawn(model)[0][0].shape == (2, 8)
    model = Tokens(by_module, positions=5)
    (ids,), note = drawn(model)
    assert ids.shape == (2, 4)
    assert "2 sequences of 4 random token ids below 20" in note
    model.table = nn.Embedding(3, D, padding_idx=1)
    (ids,), _ = drawn(model)
    assert set(ids.unique().tolist()) == {0, 2}
    model.table = nn.Embedding(2, D, padding_idx=1)
    (ids,), _ = drawn(model)
    assert set(ids.unique().tolist()) == {0}


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(12, D), nn.Embedding(7, D)

    def forward(self, source: Tensor, target: Tensor, scale: float = 1.0) -> Tensor:
        return self.source(source).mean() + scale * self.target(target)


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Pair()

    def forward(
        self, input_ids: Tensor, mask: object = None, decoder_input_ids: Any = None
    ) -> Tensor:
        assert mask is None
        return self.inner(input_ids, decoder_input_ids)


class Maybe(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Pair()

    def forward(self, source: Tensor, target: Any = None) -> Tensor:
        return self.inner(source, target)


def test_two_sequences_where_the_forward_asks_for_two() -> None:
    batch, note = drawn(Pair())
    assert len(batch) == 2
    assert "below 7" in note
    named, _ = default_batch(Named())
    assert isinstance(named, dict)
    assert list(named) == ["input_ids", "decoder_input_ids"]
    assert torch.equal(named["input_ids"], named["decoder_input_ids"])
    optional, _ = drawn(Maybe())
    assert len(optional) == 2


def test_vectors_and_images() -> None:
    layer = nn.TransformerEncoderLayer(12, 2, 20, batch_first=True).double()
    (x,), note = drawn(layer)
    assert (x.shape, x.dtype) == ((2, 16, 12), torch.float64)
    assert note == (
        "The factory gave no batch: 2 sequences of 16 random vectors of width 12 were drawn."
    )
    assert float(x.std()) == pytest.approx(1.0, rel=0.2)
    bilinear = nn.Bilinear(6, 6, 3)
    # Two arguments, of the width of a matrix that is there.
    bilinear.extra = nn.Linear(6, 2)
    batch, _ = drawn(bilinear)
    assert [tuple(part.shape) for part in batch] == [(2, 16, 6)] * 2

    class Pixels(nn.Module):
        def __init__(self, side: int | None = None) -> None:
            super().__init__()
            self.patches, self.head = nn.Conv2d(3, D, 8, 8), nn.LazyLinear(2)
            self.sides = (side,) if side else (224, 32)
            self.head = nn.Linear(D, 2)
            if side:
                self.config = type("Config", (), {"image_size": side})()

        def forward(self, image: Tensor) -> Tensor:
            if image.shape[-1] not in self.sides:
                raise ValueError("wrong side")
            return self.head(self.patches(image).flatten(2).mT)

    (image,), note = drawn(Pixels(48))
    assert image.shape == (2, 3, 48, 48)
    assert note == "The factory gave no batch: 2 random images of 48 × 48 were drawn."
    (image,), _ = drawn(Pixels())
    assert image.shape == (2, 3, 224, 224)
    small = Pixels()
    small.sides = (32,)
    (image,), _ = drawn(small)
    assert image.shape == (2, 3, 32, 32)


def test_a_model_that_runs_on_nothing_shows_its_first_error() -> None:
    class Never(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, 3))
            self.calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1 + 0 * x.numel()
            raise ValueError(f"call {self.calls}:\n no " + "x" * 300)

    model = Never().train()
    words = r"none that was tried does: return \(model, batch\) from the factory"
    with pytest.raises(InputError, match=words) as refused:
        drawn(model)
    told = str(refused.value)
    assert "(last error: ValueError: call 1: no xxx" in told
    assert told.endswith("x" * 187 + ")")
    assert model.training
