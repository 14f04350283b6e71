"""The copy that is measured must move by itself: functions that refer to the user's own module."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from numerics.own_model.measurement.measure import measure_module
from numerics.structure.module_copy import copy_module
from theory.errors import InputError

V, D = 12, 8
GLOBAL = nn.Linear(D, D)


class Tied(nn.Module):
    """Embedding, one matrix, and a head that is a function of the embedding."""

    def __init__(self, head: Callable[["Tied"], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(V, D)
        self.hidden = nn.Linear(D, D)
        self.to_logits = head(self)

    def forward(self, ids: Tensor) -> Tensor:
        return self.to_logits(torch.tanh(self.hidden(self.embedding(ids))))


def by_lambda(model: Tied) -> Any:
    return lambda x: x @ model.embedding.weight.t()


def by_default(model: Tied) -> Any:
    def head(x: Tensor, table: nn.Module = model.embedding) -> Tensor:
        return x @ table.weight.t()  # type: ignore[operator]

    return head


def by_keyword(model: Tied) -> Any:
    def head(x: Tensor, *, table: nn.Module = model.embedding) -> Tensor:
        return x @ table.weight.t()  # type: ignore[operator]

    return head


def by_partial(model: Tied) -> Any:
    def head(table: nn.Embedding, x: Tensor) -> Tensor:
        return x @ table.weight.t()

    return partial(head, model.embedding)


def by_list(model: Tied) -> Any:
    tables = [lambda: model.embedding.weight]
    return lambda x: x @ tables[0]().t()


class Plain(Tied):
    """The same function with the head in the forward."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)

    def forward(self, ids: Tensor) -> Tensor:
        return torch.tanh(self.hidden(self.embedding(ids))) @ self.embedding.weight.t()


IDS = torch.arange(V).reshape(2, V // 2)


@pytest.mark.parametrize("head", [by_lambda, by_default, by_keyword, by_partial, by_list])
def test_a_function_of_the_model_moves_with_the_copy(head: Callable[[Tied], Any]) -> None:
    model = Tied(head)
    before = model.embedding.weight.detach().clone()
    found = measure_module(model, IDS, output="logits")["sgd"]
    assert found.total == pytest.approx(
        measure_module(Plain(), IDS, output="logits")["sgd"].total, rel=1e-12
    )
    assert found.dtype == "float64"
    assert torch.equal(model.embedding.weight, before)
    assert torch.equal(copy_module(model)(IDS), model(IDS))


def test_a_copy_without_functions_rebuilt_would_not_move() -> None:
    import copy

    model = Tied(by_lambda)
    plain, ours = copy.deepcopy(model), copy_module(model)
    for copied, moves in ((plain, False), (ours, True)):
        with torch.no_grad():
            copied.embedding.weight.zero_()  # type: ignore[operator, union-attr]
        assert bool((copied.to_logits(torch.ones(1, D)) == 0).all()) is moves  # type: ignore[operator]


def test_a_global_variable_is_refused_by_name() -> None:
    class Outside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = GLOBAL

        def forward(self, x: Tensor) -> Tensor:
            return GLOBAL(x.to(GLOBAL.weight.dtype))

    with pytest.raises(InputError, match=r"reads the original's inner\.weight"):
        measure_module(Outside(), torch.ones(2, D))


def test_a_tensor_that_is_held_past_its_module_is_refused_by_name() -> None:
    def by_tensor(model: Tied) -> Any:
        table = model.embedding.weight
        return lambda x: x @ table.t()

    with pytest.raises(InputError, match=r"reads embedding\.weight from a closure"):
        measure_module(Tied(by_tensor), IDS, output="logits")


def test_shared_and_recursive_parts_are_copied_once() -> None:
    model = nn.Sequential(nn.Linear(D, D), nn.Linear(D, D))
    model[1].weight = model[0].weight
    model.parts = [model[0], (model[1],)]  # type: ignore[assignment]
    model.owner = partial(lambda module: module, model)  # type: ignore[assignment]
    copied = copy_module(model)
    assert copied[0].weight is copied[1].weight  # type: ignore[index]
    assert copied.parts[0] is copied[0]  # type: ignore[index]
    assert copied.owner() is copied  # type: ignore[operator]
    assert copied[0].weight is not model[0].weight  # type: ignore[index]


def test_a_forward_that_draws_without_use_has_no_dropout() -> None:
    class Draws(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Linear(D, D)

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(self.w(x)) * (1 + 1e-15 * torch.rand(()))

    found = measure_module(Draws(), torch.randn(4, D))["sgd"]
    assert not [note for note in found.notes if "dropout" in note]


def test_x_transformers_tied_head() -> None:
    made = pytest.importorskip("x_transformers")
    torch.manual_seed(0)
    model = made.TransformerWrapper(
        num_tokens=V,
        max_seq_len=8,
        tie_embedding=True,
        attn_layers=made.Decoder(dim=16, depth=2, heads=2, attn_dim_head=8),
    )
    found = measure_module(model, IDS, output="logits")["sgd"]
    assert found.dtype == "float64"
    assert found.by_role["token_emb.emb.weight"] > 0
