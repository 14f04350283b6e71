"""Several models measured in one pass against each of them alone and automatic differentiation."""

import dataclasses

import pytest
import torch

from numerics.measure.report import UpdateReport
from numerics.measure.updates import measure_update, measure_updates
from numerics.models import ModelSpec, Positions, Transformer
from numerics.models.tokens import TokenBatch, random_batch
from numerics.schemes import build
from numerics.statistics.tolerances import tolerance
from theory.errors import InputError

# The first `torch.func.jvp` of a process compiles decompositions with the old compiler.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script.:DeprecationWarning")

SPEC = ModelSpec(2, 2, d_model=8, d_ff=12, vocabulary=20)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _shaken(scheme: str, spec: ModelSpec, seed: int) -> Transformer:
    """A model with every parameter away from 0 and 1."""
    model = build(scheme, spec, _generator(seed), dtype=torch.float64)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(
                parameter.shape, generator=_generator(9 + seed), dtype=torch.float64
            )
            parameter.add_(0.1 * noise)
    return model


def _problem(scheme: str, spec: ModelSpec = SPEC) -> tuple[list[Transformer], list[TokenBatch]]:
    """Three models, and batches of which only the second is padded."""
    models = [_shaken(scheme, spec, seed) for seed in range(3)]
    batches = [random_batch(spec, _generator(5 + k), sequences=3, tokens=4) for k in range(3)]
    padding = torch.zeros(3, 4, dtype=torch.bool)
    padding[1, 2:] = True
    batches[1] = dataclasses.replace(batches[1], padding_BS=padding)
    return models, batches


def _generators() -> list[torch.Generator]:
    return [_generator(20 + k) for k in range(3)]


def _close(found: UpdateReport, expected: UpdateReport, rel: float) -> bool:
    return all(
        getattr(found, field) == pytest.approx(getattr(expected, field), rel=rel)
        for field in ("update", "gradient_energy", "output_rms_ratio")
    )


@pytest.mark.parametrize(
    ("scheme", "changes", "optimizer", "inputs"),
    [
        ("tfixup", {}, "sgd", "table"),
        ("pre-ln", {"biases": True}, "sign", "free"),
        ("post-ln", {"positions": Positions.LEARNED}, "adam", "table"),
        ("admin", {"shared_embeddings": True}, "sgd", "table"),
        ("rezero", {}, "momentum", "free"),
    ],
)
def test_every_model_gets_the_report_it_gets_alone(scheme, changes, optimizer, inputs):
    models, batches = _problem(scheme, dataclasses.replace(SPEC, **changes))
    options = {"optimizer": optimizer, "inputs": inputs, "dtype": "float64", "earlier": 2}
    together = measure_updates(models, batches, _generators(), **options)
    alone = [
        measure_update(*one, **options, engine="autodiff")
        for one in zip(models, batches, _generators(), strict=True)
    ]
    rel = tolerance("closed-form")
    for k, (found, expected) in enumerate(zip(together, alone, strict=True)):
        assert _close(found, expected, rel)
        assert not _close(found, alone[k - 1], rel), "another model's report must be told apart"


def test_models_without_closed_forms_are_measured_one_after_another():
    models, batches = _problem("dlcl-pre")
    together = measure_updates(models[:2], batches[:2], _generators()[:2])
    alone = measure_update(models[1], batches[1], _generators()[1])
    assert together[1] == alone


def test_only_the_model_that_overflows_is_measured_in_float64():
    spec = ModelSpec(8, 8, d_model=8, d_ff=16, vocabulary=20)
    models = [build("tfixup", spec, _generator(seed)) for seed in range(2)]
    with torch.no_grad():
        models[0].target_embedding.mul_(1e30)
    batches = [random_batch(spec, _generator(1), sequences=2, tokens=4)] * 2
    reports = measure_updates(models, batches, _generators()[:2])
    assert [report.dtype for report in reports] == ["float64", "float32"]
    assert all(report.finite for report in reports)


def test_unequal_models_are_refused():
    models, batches = _problem("tfixup")
    with pytest.raises(InputError, match=r"must be as many, got \(3, 2, 3\)"):
        measure_updates(models, batches[:2], _generators())
    models[2] = _shaken("tfixup", dataclasses.replace(SPEC, decoder_layers=1), 2)
    with pytest.raises(InputError, match="must have one specification"):
        measure_updates(models, batches, _generators())
    models, batches = _problem("tfixup")
    batches[0] = random_batch(SPEC, _generator(0), sequences=2, tokens=4)
    with pytest.raises(InputError, match="must have one shape"):
        measure_updates(models, batches, _generators())
    assert measure_updates([], [], []) == []
