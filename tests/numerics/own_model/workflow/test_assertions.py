"""Assertions: they pass where the statement is true, and fail with the table where it is not."""

import pytest
import torch
from torch import nn

from numerics.own_model.workflow.assertions import (
    assert_constant,
    assert_depth_bounded,
    assert_initialized,
)
from numerics.recipes.initialize import initialize_
from theory.errors import InputError

D = 16


class Residual(nn.Module):
    """x + c F(x) repeated, F a two-layer perceptron behind a norm."""

    def __init__(self, layers: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(D), nn.Linear(D, 32), nn.ReLU(), nn.Linear(32, D))
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(D)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + self.factor * block(x)
        return self.norm(x)


def inputs() -> torch.Tensor:
    return torch.randn(2, 4, D, generator=torch.Generator().manual_seed(0))


def test_a_branch_that_falls_as_one_over_n_is_bounded_under_adam():
    found = assert_depth_bounded(
        lambda n: (Residual(n, 1 / n), inputs()), (2, 4, 8, 16, 32), "adamw", seeds=3
    )
    assert found.verdict == "bounded"


def test_one_that_does_not_fall_fails_with_the_table():
    with pytest.raises(AssertionError, match="is not bounded in depth") as caught:
        assert_depth_bounded(
            lambda n: (Residual(n, 1.0), inputs()), (2, 4, 8, 16), "adamw", seeds=2
        )
    told = str(caught.value)
    assert "lies above the margin 0.1" in told
    assert "‖Δf‖/η over depth" in told


def test_an_initialised_model_passes_and_another_fails_with_its_findings():
    model = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(D, 2, 32, dropout=0.0, batch_first=True, norm_first=True),
        3,
        enable_nested_tensor=False,
    )
    with pytest.raises(AssertionError, match="not initialised as asked"):
        assert_initialized(model, "gpt2", inputs())
    initialize_(model, "gpt2", torch.Generator().manual_seed(0), inputs())
    assert assert_initialized(model, "gpt2", inputs()).clean


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({2: 1.0, 4: 1.5, 8: 2.2, 16: 3.4}, "not constant"),
        ({2: [1.0, 3.0], 4: [2.0, 1.0], 8: [1.0, 2.5]}, "not decided"),
        ({2: 1.0, 4: float("nan"), 8: 1.0}, "no exponent"),
    ],
)
def test_what_is_not_constant_or_not_decided_fails(values, told):
    with pytest.raises(AssertionError, match=told):
        assert_constant(values)


def test_two_depths_decide_nothing():
    with pytest.raises(InputError, match="at least 3 depths"):
        assert_constant({2: 1.0, 4: 1.0})
