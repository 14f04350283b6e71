"""Distributions: their moments against scipy's, and what is drawn against what is said."""

import math

import pytest
import torch
from scipy import stats

from numerics.recipes.draw import (
    Draw,
    constant,
    normal,
    truncated,
    truncation_kurtosis,
    truncation_shrink,
    uniform,
    xavier,
)


@pytest.mark.parametrize("cut", [0.5, 1.0, 2.0, 3.0, 5.0])
def test_moments_of_a_truncated_normal_are_scipys(cut: float) -> None:
    reference = stats.truncnorm(-cut, cut)
    assert truncation_shrink(cut) == pytest.approx(float(reference.std()), rel=1e-9)
    excess = float(reference.stats(moments="k"))
    assert truncation_kurtosis(cut) == pytest.approx(3 + excess, rel=1e-6)


@pytest.mark.parametrize(
    "draw", [normal(0.02), truncated(0.5, 2.0), truncated(0.1, 3.0), uniform(1.5), xavier(48, 96)]
)
def test_what_is_drawn_has_the_moments_said(draw: Draw) -> None:
    x = draw.sample((400, 500), torch.Generator().manual_seed(1))
    assert float(x.std()) == pytest.approx(draw.std, rel=0.01)
    assert float(x.pow(4).mean() / x.square().mean() ** 2) == pytest.approx(draw.kurtosis, rel=0.02)
    assert abs(float(x.mean())) < 0.01 * draw.std
    if draw.kind == "truncated":
        assert float(x.abs().max()) <= draw.sigma * draw.cut
    if draw.kind == "uniform":
        assert float(x.abs().max()) <= draw.sigma * math.sqrt(3)


def test_xavier_is_torchs() -> None:
    weight = torch.empty(300, 500)
    torch.nn.init.xavier_uniform_(weight, generator=torch.Generator().manual_seed(0))
    assert xavier(500, 300).std == pytest.approx(float(weight.std()), rel=0.01)
    assert xavier(4, 4, 0.0) == constant(0.0)


def test_what_is_not_said_is_no_cut_no_value_and_no_group() -> None:
    for draw in (normal(0.5), uniform(0.5), constant(0.25), truncated(0.5, math.inf)):
        assert draw.cut == math.inf
        assert draw.value == (0.25 if draw.kind == "constant" else 0)
        assert draw.sigma == (0 if draw.kind == "constant" else 0.5)
        assert draw.profiled is None
    assert (normal(1.0).kurtosis, truncation_kurtosis(math.inf)) == (3.0, 3.0)
    assert truncation_shrink(math.inf) == 1.0
    assert torch.equal(
        constant(0.25).sample((2, 3), torch.Generator()), torch.full((2, 3), 0.25).double()
    )
    one, two = (normal(2.0).sample((5,), torch.Generator().manual_seed(s)) for s in (0, 1))
    assert one.dtype == torch.float64
    assert not torch.equal(one, two)
