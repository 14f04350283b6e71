"""Factors on the learning rate, through the measurement, the sweep and an optimizer's groups."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from numerics.linearization.measured_function import features_of
from numerics.linearization.update_directions import step_rule_named
from numerics.measure.updates import measure_update
from numerics.models import Architecture, ModelSpec, single_stack
from numerics.models.roles import factors_of
from numerics.models.tokens import random_batch
from numerics.schemes import build, scheme_named
from numerics.schemes.param_groups import param_groups
from numerics.schemes.scheme import Prescription
from numerics.sweeps.grid import SweepSettings, SweepTask
from numerics.sweeps.task import measure_task
from theory.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script.:DeprecationWarning")

SPEC = single_stack(Architecture.DECODER_ONLY, 3, d_model=8, d_ff=12, vocabulary=20)
RATES = {
    "hidden": 0.5,
    "decoder.mlp.w2": 0.25,
    "decoder.self_attention.k": 3.0,
    "decoder.self_attention.v": 0.125,
    "final_norm": 2.0,
}


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _model(scheme="pre-ln", spec=SPEC) -> Any:
    return build(scheme, spec, _generator(), dtype=torch.float64).eval()


@pytest.mark.parametrize("optimizer", ["sign", "muon", "lamb"])
def test_a_step_with_rates_is_the_step_with_each_piece_times_its_factor(optimizer):
    """Against finite differences of a step that the test takes itself."""
    model, batch = _model(), random_batch(SPEC, _generator(1), sequences=2, tokens=4)
    function, theta = features_of(model, batch)
    f = function(theta)
    u = torch.randn(f.shape, generator=_generator(2), dtype=torch.float64)
    leaves = {name: value.clone().requires_grad_() for name, value in theta.items()}
    slopes = torch.autograd.grad(function(leaves), list(leaves.values()), u)
    rule, eta = step_rule_named(optimizer), 1e-6
    moved = {}
    for (name, value), slope in zip(theta.items(), slopes, strict=True):
        step = rule(slope, value, parameter=name)
        if name.endswith("in_proj"):
            step = (
                step
                * torch.tensor([0.5, 3.0, 0.125], dtype=torch.float64).repeat_interleave(8)[:, None]
            )
        elif name.endswith("w2"):
            step = 0.25 * step
        elif name.startswith("decoder_norm"):
            step = 2 * step
        elif name.startswith("decoder."):
            step = 0.5 * step
        moved[name] = value + eta * step
    expected = float((function(moved) - f).norm()) / eta

    def total(rates):
        return measure_update(
            model,
            batch,
            _generator(),
            optimizer=optimizer,
            cotangent=lambda output: u.to(output.dtype),
            dtype="float64",
            rates=rates,
        ).update["total"]

    assert total(RATES) == pytest.approx(expected, rel=1e-3)
    assert total(None) != pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_rates_are_for_adam_and_its_like(optimizer):
    model, batch = _model(), random_batch(SPEC, _generator(1), sequences=2, tokens=4)
    plain, rated = (
        measure_update(model, batch, _generator(2), optimizer=optimizer, rates=rates)
        for rates in (None, RATES)
    )
    assert plain == rated


def test_a_sweep_takes_the_schemes_rates():
    settings = SweepSettings(
        architecture="decoder-only", d_model=8, d_ff=12, vocabulary=20, sequences=2, tokens=4
    )
    settings = replace(settings, inputs="table", dtype="float64")
    task = SweepTask(settings, "depth-mup", "sign", 8, 0)
    rows = measure_task(task)
    found = rows.filter((rows["part"] == "decoder") & (rows["quantity"] == "update"))["value"][0]
    spec = settings.spec(8)
    model = build("depth-mup", spec, _generator(task.stream("weights")))
    batch = random_batch(spec, _generator(task.stream("batch")), sequences=2, tokens=4)
    rates = scheme_named("depth-mup").prescribe(model.spec).rates
    assert rates == {"hidden": 0.5}

    def decoder(rates):
        generator = _generator(task.stream("cotangent"))
        report = measure_update(
            model, batch, generator, optimizer="sign", inputs="table", dtype="float64", rates=rates
        )
        return report.update["decoder"]

    assert found == pytest.approx(decoder(rates), rel=1e-12)
    assert found != pytest.approx(decoder(None), rel=0.05)


@pytest.mark.parametrize("scheme", ["depth-mup", "completep", "u-mup", "pre-ln"])
def test_groups_of_an_optimizer_hold_every_parameter_once_with_its_factors(scheme):
    spec = replace(SPEC, biases=True)
    model = _model(scheme, spec)
    prescription = scheme_named(scheme).prescribe(model.spec)
    groups: Any = param_groups(model, scheme, 1e-3, weight_decay=0.1, eps=1e-8)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    seen = [names[id(parameter)] for group in groups for parameter in group["params"]]
    assert sorted(seen) == sorted(names.values())
    for group in groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            assert group["lr"] == pytest.approx(1e-3 * factors_of(name, prescription.rates)[0])
            decay = factors_of(name, prescription.weight_decays)[0]
            assert group["weight_decay"] == pytest.approx(0.1 * decay)
            assert group["eps"] == pytest.approx(1e-8 * factors_of(name, prescription.epsilons)[0])
    torch.optim.AdamW(groups)
    assert (len(groups) > 1) == (scheme != "pre-ln")


def test_factors_are_checked():
    for table in ("rates", "weight_decays", "epsilons"):
        with pytest.raises(InputError, match="did you mean 'hidden'"):
            Prescription({}, **{table: {"hiden": 0.5}})  # type: ignore[arg-type]
        with pytest.raises(InputError, match=f"{table} must be finite and at least 0"):
            Prescription({}, **{table: {"hidden": float("nan")}})  # type: ignore[arg-type]
    tables = scheme_named("flat").tables(ModelSpec(1, 1))  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="did you mean 'embeddings'"):
        Prescription({}, draws={"embedings": tables["output"]})
