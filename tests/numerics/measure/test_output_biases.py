import pytest
import torch

from numerics.evidence.biases import factors
from numerics.linearization.cotangents import random_cotangent
from numerics.linearization.measured_function import features_of
from numerics.measure.output_biases import bias_tangents, update
from numerics.measure.updates import measure_update
from numerics.models import ModelSpec
from numerics.models.tokens import random_batch
from numerics.schemes import build
from theory.errors import InputError

SPEC = ModelSpec(1, 2, d_model=8, d_ff=12, vocabulary=30, biases=True)


def _case():
    generator = torch.Generator().manual_seed(0)
    model = build("tfixup", SPEC, generator, dtype=torch.float64).eval()
    return model, random_batch(SPEC, generator, sequences=2, tokens=3)


def _cotangent(seed=3):
    return random_cotangent((2, 3, 8), torch.Generator().manual_seed(seed))


def test_all_biases_together_are_the_whole_update():
    model, batch = _case()
    found = bias_tangents(model, batch, _cotangent())
    whole = measure_update(model, batch, torch.Generator().manual_seed(3)).update["total"]
    assert update(found, output=1.0, inner=1.0) == pytest.approx(whole, rel=1e-6)


def test_a_factor_is_a_factor_in_the_function():
    model, batch = _case()
    function, theta = features_of(model, batch)
    factor = 0.3

    def scaled(values):
        return function(
            {
                name: value * (factor if name.endswith(("out_bias", "bias2")) else 1)
                for name, value in values.items()
                if not name.endswith(("in_bias", "bias1"))
            }
            | {n: v for n, v in theta.items() if n.endswith(("in_bias", "bias1"))}
        )

    free = {n: v.clone().requires_grad_() for n, v in theta.items()}
    output = scaled(free)
    u = _cotangent()(output)
    names = [name for name in free if not name.endswith(("in_bias", "bias1"))]
    slopes = torch.autograd.grad(output, [free[name] for name in names], u)
    eta = 1e-7
    moved = dict(theta)
    for name, slope in zip(names, slopes, strict=True):
        moved[name] = theta[name] + eta * slope
    finite = float((scaled(moved) - scaled(theta)).norm()) / eta
    assert update(bias_tangents(model, batch, _cotangent()), output=factor) == pytest.approx(
        finite, rel=1e-4
    )


def test_the_repair_is_a_learning_rate_of_eta_over_3n():
    assert factors(8)["times (3N)^(-1/2)"]["output"] ** 2 == pytest.approx(1 / 24)
    assert factors(8)["left out"] == {}


def test_a_model_without_biases_is_refused():
    generator = torch.Generator().manual_seed(0)
    model = build("tfixup", ModelSpec(1, 1, d_model=8, d_ff=8), generator)
    with pytest.raises(InputError, match="must have biases, got biases=False"):
        bias_tangents(model, random_batch(model.spec, generator), _cotangent())
