import pytest
import torch

from numerics.measure.finite_updates import finite_update, remainder_slope
from numerics.measure.updates import measure_update
from numerics.models import ModelSpec
from numerics.models.tokens import random_batch
from numerics.schemes import build
from numerics.statistics.exponents import Exponent
from numerics.statistics.tolerances import tolerance
from theory.errors import InputError

SPEC = ModelSpec(2, 2, d_model=16, d_ff=24, vocabulary=50)


def _setting(scheme):
    model = build(scheme, SPEC, torch.Generator().manual_seed(0), dtype=torch.float64)
    batch = random_batch(model.spec, torch.Generator().manual_seed(1), sequences=3, tokens=6)
    return model, batch, torch.Generator().manual_seed(2)


@pytest.mark.parametrize("scheme", ["tfixup", "post-ln", "pre-ln"])
@pytest.mark.parametrize("optimizer", ["sgd", "sign"])
def test_remainder_vanishes_linearly(scheme, optimizer):
    slope = remainder_slope(*_setting(scheme), optimizer=optimizer)
    assert isinstance(slope, Exponent)
    assert slope.equivalent(1.0, tolerance("remainder-slope")), slope


@pytest.mark.parametrize("dropped", ["encoder.attention", "decoder.mlp", "embeddings"])
def test_a_dropped_part_leaves_a_constant(dropped):
    slope = remainder_slope(*_setting("tfixup"), dropped=dropped)
    assert isinstance(slope, Exponent)
    assert slope.equivalent(1.0, tolerance("remainder-slope")) is False
    assert slope.equivalent(0.0, tolerance("remainder-slope")) is True


def test_finite_update_approaches_the_limit():
    model, batch, generator = _setting("tfixup")
    exact = measure_update(model, batch, torch.Generator().manual_seed(2)).update["total"]
    state = generator.get_state()
    gaps = []
    for eta in (1e-1, 1e-5):
        generator.set_state(state)
        gaps.append(abs(finite_update(model, batch, generator, eta=eta) / exact - 1))
    assert gaps[1] < 1e-4 < gaps[0]


@pytest.mark.parametrize("eta", [0.0, -1.0, float("nan"), float("inf")])
def test_eta_must_be_positive(eta):
    with pytest.raises(InputError, match="eta must be positive"):
        finite_update(*_setting("tfixup"), eta=eta)
