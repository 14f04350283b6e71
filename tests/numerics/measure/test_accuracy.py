"""A finite number may be wrong: weights that saturate attention, in both precisions."""

import dataclasses

import pytest
import torch

from numerics.linearization.strain import StrainGauge, norm_strain
from numerics.measure import accuracy, updates
from numerics.measure.updates import measure_update, measure_updates
from numerics.models import Architecture, ModelSpec
from numerics.models.tokens import random_batch
from numerics.schemes import build, schemes_for
from tests.numerics.linearized import linearized

SPEC = ModelSpec(6, 6)
SMALL = ModelSpec(2, 2, d_model=8, d_ff=12, vocabulary=20)


def _generator(seed):
    return torch.Generator().manual_seed(seed)


def _scaled(scheme, factor, spec=SPEC):
    """A model whose matrices are multiplied by a factor, and a batch."""
    model = build(scheme, spec, _generator(0)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and name.startswith(("encoder.", "decoder.")):
                parameter.mul_(factor)
    return model, random_batch(spec, _generator(0))


def _report(scheme, factor, spec=SPEC, **options):
    return measure_update(*_scaled(scheme, factor, spec), _generator(5), **options)


@pytest.mark.parametrize("engine", ["closed-form", "autodiff"])
@pytest.mark.parametrize(("scheme", "factor"), [("post-ln", 3e3), ("pre-ln", 10), ("pre-ln", 1e5)])
def test_saturated_attention_is_measured_in_float64(scheme, factor, engine):
    found = _report(scheme, factor, engine=engine)
    assert (found.finite, found.accurate, found.dtype) == (True, True, "float64")
    narrow = _report(scheme, factor, engine=engine, dtype="float32")
    assert narrow.finite
    assert not narrow.accurate, f"float32 says {narrow.update['total']:.3g}"
    wide = _report(scheme, factor, dtype="float64")
    assert found.update == pytest.approx(wide.update, rel=1e-3, abs=1e-6 * wide.update["total"])


def test_float32_is_wrong_by_many_orders_and_says_so():
    worst = 0.0
    for factor in (1e3, 3e3, 1e4, 3e4):
        narrow, wide = (_report("post-ln", factor, dtype=dt) for dt in ("float32", "float64"))
        assert wide.accurate
        assert wide.update["total"] == pytest.approx(400, rel=0.01)
        if narrow.finite:
            worst = max(worst, accuracy.deviation(narrow, wide))
            assert accuracy.agree(narrow, wide) or not narrow.accurate
        found = _report("post-ln", factor)
        assert found.accurate
        assert accuracy.agree(found, wide)
    assert worst > 1e6


@pytest.mark.parametrize("engine", ["closed-form", "autodiff"])
@pytest.mark.parametrize(
    ("scheme", "factor", "depth"), [("post-ln", 1e8, 6), ("pre-ln", 1e8, 6), ("tfixup", 100, 2)]
)
def test_what_float64_cannot_hold_either_is_said(scheme, factor, depth, engine):
    spec = ModelSpec(depth, depth)
    found = _report(scheme, factor, spec, engine=engine)
    assert (found.finite, found.accurate, found.dtype) == (True, False, "float64")
    # The engines round differently, and their numbers have nothing in common.
    other = {"closed-form": "autodiff", "autodiff": "closed-form"}[engine]
    again = _report(scheme, factor, spec, engine=other)
    assert not accuracy.agree(found, again)


@pytest.mark.parametrize(
    "scheme", sorted(set(schemes_for(Architecture.ENCODER_DECODER)) - {"xavier"})
)
def test_an_ordinary_model_is_accurate_in_float32_without_a_second_look(scheme, monkeypatch):
    looks = []
    monkeypatch.setattr(updates, "rounded_again", lambda model: looks.append(model) or model)
    found = _report(scheme, 1.0, ModelSpec(3, 3, d_model=32, d_ff=64))
    assert (found.accurate, found.dtype, looks) == (True, "float32", [])
    assert found.strain < accuracy.LIMIT / 2
    wide = _report(scheme, 1.0, ModelSpec(3, 3, d_model=32, d_ff=64), dtype="float64")
    assert accuracy.deviation(found, wide) < 1e-3


def test_float32_stays_where_float64_agrees_with_it():
    found = _report("post-ln", 3)
    assert found.strain > accuracy.LIMIT
    assert (found.accurate, found.dtype) == (True, "float32")


def test_what_is_not_finite_is_not_accurate():
    found = _report("tfixup", 1e4)
    assert (found.finite, found.accurate) == (False, False)


def test_models_side_by_side_are_judged_one_by_one():
    models, batches = zip(*(_scaled("post-ln", factor) for factor in (1, 3e3, 1e8)), strict=True)
    found = measure_updates(models, batches, [_generator(5) for _ in models])
    assert [(report.dtype, report.accurate) for report in found] == [
        ("float32", True),
        ("float64", True),
        ("float64", False),
    ]


def test_a_variance_that_overflows_is_no_small_number():
    """1/σ comes out as 0: every derivative through the norm vanishes, and the result is finite."""
    model, batch = _scaled("post-ln", 1.0, SMALL)
    with torch.no_grad():
        for layer in model.decoder:
            layer.get_parameter("mlp.branch.w2").mul_(1e22)
    found = measure_update(model, batch, _generator(5))
    assert found.dtype == "float64"
    wide = measure_update(model, batch, _generator(5), dtype="float64")
    assert found.update == pytest.approx(wide.update, rel=1e-6)
    with torch.no_grad():
        for layer in model.decoder:
            layer.get_parameter("mlp.branch.w2").mul_(1e15)
    narrow = measure_update(model, batch, _generator(5), dtype="float32")
    assert not narrow.accurate
    assert float(norm_strain(torch.zeros(1), torch.zeros(1))) == float("inf")


def test_a_vanishing_function_is_looked_at_twice():
    model, batch = _scaled("post-ln", 1.0, SMALL)
    with torch.no_grad():
        model.get_parameter("decoder.1.mlp.norm.weight").fill_(1e-24)
        model.get_parameter("decoder.1.mlp.norm.bias").zero_()
    found = measure_update(model, batch, _generator(5))
    wide = measure_update(model, batch, _generator(5), dtype="float64")
    assert found.accurate
    assert found.gradient_energy == pytest.approx(wide.gradient_energy, rel=0.02)


@pytest.mark.parametrize("scheme", ["tfixup", "post-ln", "pre-ln", "admin", "rezero"])
def test_both_engines_feel_the_same_strain(scheme):
    model, batch = _scaled(scheme, 2.0, SMALL)
    closed, plain = (
        float(linearized(model, batch, torch.ones_like, engine=engine).strain)
        for engine in ("closed-form", "autodiff")
    )
    # Closed forms look at the logits of hidden keys too.
    assert plain <= closed * (1 + 1e-5)
    assert closed < 3 * plain


def test_the_gauge_sees_fused_attention_and_norms():
    rows = torch.tensor([[2.0, 2.5, 3.0]])
    with StrainGauge() as gauge:
        torch.nn.functional.layer_norm(rows, (3,))
    assert float(gauge.strain(like=rows)) == pytest.approx(2.5 / 0.408248, rel=1e-4)
    with StrainGauge() as gauge:
        torch.nn.functional.scaled_dot_product_attention(rows[None], 10 * rows[None], rows[None])
    product = 10 * float(rows.square().sum()) / 3**0.5
    assert float(gauge.strain(like=rows)) == pytest.approx(product, rel=1e-4)
    with StrainGauge() as gauge:
        torch.relu(1e9 * rows)
    assert float(gauge.strain(like=rows)) == 0


def test_deviation_is_relative_and_sees_every_number():
    report = _report("post-ln", 1.0, SMALL)
    assert accuracy.deviation(report, report) == 0
    moved = dict(report.update) | {"decoder.mlp": 1.5 * report.update["decoder.mlp"]}
    other = dataclasses.replace(report, update=moved)
    assert accuracy.deviation(other, report) == pytest.approx(0.5)
    assert not accuracy.agree(other, report)
    tiny = dict(report.update) | {"decoder.mlp": 0.0, "encoder": float("nan")}
    assert accuracy.deviation(dataclasses.replace(report, update=tiny), report) == float("inf")
