"""Every call of ours is checked while testing: its types, and its shapes where it names them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import jaxtyping
import pytest
import torch
from beartype import beartype
from jaxtyping import Float
from torch import Tensor

from numerics.linearization.closed_form.attention import _softmax_derivative
from numerics.models.blocks import Residual
from numerics.models.spec import ModelSpec
from numerics.training.schedules import learning_rate
from tests.watched_calls import watched, with_shapes

watch = watched(typechecker=beartype)


@watch
def half(number: float, *, name: str = "") -> float:
    return number / 2 if name == "" else name  # pyright: ignore[reportReturnType]


@watch
def product(a: Float[Tensor, "N K"], b: Float[Tensor, "K M"]) -> Float[Tensor, "N M"]:
    return a @ b


@watch
def pairs(of: "Sequence[Float[Tensor, '2 N']] | None", size: Float[Tensor, " N"]) -> int:
    return len(of or ()) + len(size)


@watch
@dataclass(frozen=True)
class Held:
    number: float
    shape: Float[Tensor, "2 3"] | None = None

    @watch
    @property
    def doubled(self) -> int:
        return 2 * self.number  # pyright: ignore[reportReturnType]

    @watch
    @classmethod
    def of(cls, number: float) -> "Held":
        return cls(number)

    @watch
    @staticmethod
    def count(first: int) -> Iterator[int]:
        yield from range(first)


def test_types_are_checked_where_no_shape_is_named():
    assert half(3.0) == 1.5
    assert list(Held.count(2)) == [0, 1]
    assert Held.of(2.0).number == 2.0
    wrong = (
        lambda: half("3"),  # pyright: ignore[reportArgumentType]
        lambda: half(3.0, name=3),  # pyright: ignore[reportArgumentType]
        lambda: half(3.0, name="returned"),
        lambda: Held("3"),  # pyright: ignore[reportArgumentType]
        lambda: Held(0.5).doubled,
        lambda: Held.of("3"),  # pyright: ignore[reportArgumentType]
        lambda: list(Held.count("3")),  # pyright: ignore[reportArgumentType]
    )
    for call in wrong:
        with pytest.raises(TypeError):
            call()


def test_shapes_are_compared_within_one_call():
    assert product(torch.ones(2, 3), torch.ones(3, 4)).shape == (2, 4)
    assert Held(1.0, torch.ones(2, 3)).shape is not None
    assert pairs([torch.ones(2, 3)], torch.ones(3)) == 4
    for call in (
        lambda: product(torch.ones(2, 3), torch.ones(2, 4)),
        lambda: Held(1.0, torch.ones(3, 2)),
        lambda: pairs([torch.ones(2, 2)], torch.ones(3)),
    ):
        with pytest.raises(jaxtyping.TypeCheckError):
            call()


def test_a_combination_of_kinds_is_compared_once_and_every_other_is_compared():
    compared = []

    def counting(function):
        checked = beartype(function)

        def counted(*args, **kwargs):
            compared.append(function.__name__)
            return checked(*args, **kwargs)

        return counted

    @watched(typechecker=counting)
    def total(
        a: Float[Tensor, "N K"], b: Float[Tensor, "N K"], how: Literal["sum", "mean"] = "sum"
    ) -> Float[Tensor, "N K"]:
        return a + b if how == "sum" else (a + b) / 2

    for _ in range(3):
        total(torch.ones(2, 3), torch.zeros(2, 3))
    once = len(compared)
    assert once == 2, "the arguments, then the same with the result"
    total(torch.ones(2, 4), torch.zeros(2, 4))
    assert len(compared) == 2 * once
    for wrong in (torch.ones(2, 3), torch.ones(2, 4, dtype=torch.int64), torch.ones(2)):
        with pytest.raises(jaxtyping.TypeCheckError):
            total(torch.ones(2, 4), wrong)
    with pytest.raises(jaxtyping.TypeCheckError):
        total(torch.ones(2, 3), torch.zeros(2, 3), "product")  # pyright: ignore[reportArgumentType]


def test_another_result_of_the_same_arguments_is_compared_each_time():
    results = [torch.ones(2), torch.zeros(2), torch.ones(3), torch.ones(3), torch.ones(2)]

    @watched(typechecker=beartype)
    def next_one(x: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        return results.pop(0).to(x)

    x = torch.ones(2)
    assert len(next_one(x)) == len(next_one(x)) == 2
    for _ in range(2):
        with pytest.raises(jaxtyping.TypeCheckError, match="return value"):
            next_one(x)
    assert len(next_one(x)) == 2


def test_long_containers_are_compared_each_time():
    for _ in range(2):
        assert pairs([torch.ones(2, 3)] * 100, torch.ones(3)) == 103
        with pytest.raises(jaxtyping.TypeCheckError):
            pairs([torch.ones(2, 2)] * 100, torch.ones(3))


def test_names_that_cannot_be_found_are_not_checked_and_the_others_are():
    def named(what: "Nowhere", number: int) -> int:  # pyright: ignore # noqa: F821
        return number if what else 0

    assert watch(named)("anything", 3) == 3
    with pytest.raises(TypeError):
        watch(named)("anything", "3")


def test_our_own_functions_are_watched():
    assert jaxtyping.jaxtyped is watched is not with_shapes
    with pytest.raises(TypeError):
        learning_rate("first")  # pyright: ignore
    with pytest.raises(jaxtyping.TypeCheckError):
        _softmax_derivative(torch.ones(2, 3, 4, 5), torch.ones(2, 3, 4, 6))
    with pytest.raises(TypeError):
        ModelSpec(2, "2")  # pyright: ignore[reportArgumentType]
    with pytest.raises(jaxtyping.TypeCheckError):
        Residual.skip(torch.nn.Identity(), torch.ones(1, 2, 3), torch.ones(1, 2, 4))  # pyright: ignore
