"""The shape of a distribution told from a sample, and chance told from a difference."""

from collections import Counter

import pytest
import torch

from numerics.own_model.audit.comparison import MARGIN, compare
from numerics.own_model.audit.sample import describe
from numerics.recipes import recipe_named
from numerics.recipes.draw import Draw, normal, truncated, uniform
from numerics.recipes.place import ModelSizes, ParameterPlace
from numerics.structure.types import TensorView

SETTING = ModelSizes(768, 3072, None, None)


def _place(fan_in: int = 768, fan_out: int = 768) -> ParameterPlace:
    view = TensorView("w", "q", None, None, fan_in, fan_out, 1)
    return ParameterPlace(view, None, "stream", 1, (fan_out, fan_in), "Linear", fan_in, False)


@pytest.mark.parametrize("count", [1000, 10_000, 100_000])
@pytest.mark.parametrize(
    ("draw", "shape"),
    [(normal(0.02), "normal"), (uniform(0.02), "uniform"), (truncated(0.02, 2.0), "truncated")],
)
def test_shapes_are_told_apart(count: int, draw: Draw, shape: str) -> None:
    generator = torch.Generator().manual_seed(count)
    found = Counter(describe(draw.sample((count,), generator)).shape for _ in range(50))
    assert found[shape] >= 48, found


def test_a_loose_cut_is_seen_where_there_are_entries_enough() -> None:
    sample = describe(truncated(0.02, 3.0).sample((300, 400), torch.Generator().manual_seed(0)))
    assert sample.shape == "truncated"
    assert sample.cut == pytest.approx(3.0, rel=0.01)


def test_constants_are_constants_to_the_last_bit() -> None:
    assert describe(torch.full((40, 40), 0.1)).shape == "constant"
    assert describe(torch.zeros(40)).shape == "zero"
    assert describe(torch.empty(0)).count == 0
    assert describe(torch.ones(3)).words == "all 1"


def test_case_b10_outliers_are_not_a_scale() -> None:
    x = torch.randn(100_000, generator=torch.Generator().manual_seed(0)) * 0.02
    assert describe(x).outliers == 0
    assert describe(x).ratio == pytest.approx(4.6, abs=0.8)
    x[torch.randperm(100_000, generator=torch.Generator().manual_seed(1))[:400]] = -2
    sample = describe(x)
    assert sample.std == pytest.approx(0.1265, rel=0.02)
    assert sample.bulk == pytest.approx(0.02, rel=0.02)
    assert sample.outliers == 400
    assert sample.shape == "heavy"
    assert sample.largest / sample.bulk == pytest.approx(100, rel=0.03)


@pytest.mark.parametrize(
    ("factor", "finding"), [(1.0, False), (0.98658, False), (1.04, True), (0.96, True)]
)
def test_1_3_percent_is_no_finding_and_4_percent_is(factor: float, finding: bool) -> None:
    x = torch.randn(768, 768, generator=torch.Generator().manual_seed(0)) * 0.02 * factor
    (row,) = compare((_place(),), (describe(x),), recipe_named("bert"), SETTING)
    assert bool(row.problem) is finding
    assert row.tolerance < 0.025


def test_a_cut_at_three_sigma_is_no_finding_and_at_two_is() -> None:
    for cut, problem in ((3.0, ""), (2.0, "scale")):
        x = truncated(0.02, cut).sample((768, 768), torch.Generator().manual_seed(0))
        (row,) = compare((_place(),), (describe(x),), recipe_named("bert"), SETTING)
        assert row.problem == problem
        assert row.factor == pytest.approx({3.0: 0.98658, 2.0: 0.87963}[cut], rel=0.004)


def test_false_alarms_are_as_rare_as_four_standard_errors() -> None:
    generator = torch.Generator().manual_seed(0)
    recipe, place = recipe_named("bert"), _place(16, 16)
    samples = [describe(normal(0.02).sample((16, 16), generator)) for _ in range(2000)]
    rows = [compare((place,), (sample,), recipe, SETTING)[0] for sample in samples]
    assert sum(bool(row.problem) for row in rows) <= 2
    assert rows[0].tolerance == pytest.approx(MARGIN + 4 / (2 * 256) ** 0.5, rel=1e-9)


def test_uniform_with_the_right_std_is_a_finding_of_shape() -> None:
    x = uniform(0.02).sample((768, 768), torch.Generator().manual_seed(0))
    (row,) = compare((_place(),), (describe(x),), recipe_named("bert"), SETTING)
    assert row.problem == "shape"
