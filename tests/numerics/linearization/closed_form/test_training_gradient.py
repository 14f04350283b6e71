"""Closed gradients against automatic differentiation, in float64."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch

from numerics.linearization import closed_form
from numerics.linearization.closed_form import ClosedGradient
from numerics.models import Architecture, ModelSpec, Positions, Transformer, single_stack
from numerics.schemes import build, scheme_named
from numerics.statistics.tolerances import tolerance
from numerics.training import loop
from numerics.training.config import TrainConfig
from numerics.training.objective import token_losses
from numerics.training.recorded import LOG

SPEC = ModelSpec(2, 3, d_model=8, d_ff=12, vocabulary=20)
ENCODER = single_stack(Architecture.ENCODER_ONLY, 2, d_model=8, d_ff=12, vocabulary=20)
DECODER = single_stack(Architecture.DECODER_ONLY, 2, d_model=8, d_ff=12, vocabulary=20)
CLOSED = ("tfixup", "xavier", "pre-ln", "post-ln", "admin", "deepnorm", "rezero")


def _model(scheme: str, spec: ModelSpec) -> Transformer:
    """A float64 model with every parameter away from 0 and 1."""
    generator = torch.Generator().manual_seed(3)
    model = build(scheme, spec, generator, dtype=torch.float64)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.1 * noise)
    return model


def _gradients(module: torch.nn.Module, model: Transformer) -> dict[str, torch.Tensor]:
    """∇ of the training loss on a padded batch."""
    source = torch.arange(10).view(2, 5)
    target = torch.arange(5, 13).view(2, 4) if model.spec.has_decoder else source
    padding = torch.zeros(2, 5, dtype=torch.bool)
    padding[1, 3:] = True
    model.zero_grad()
    logits = module(source, target, padding)
    expected = (torch.arange(logits.shape[0] * logits.shape[1]) % 20).view(logits.shape[:2])
    token_losses(logits, expected, 0.1).sum().backward()
    return {
        name: value.grad.clone()
        for name, value in model.named_parameters()
        if value.grad is not None
    }


def _agree(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    rel = tolerance("closed-form")
    return set(found) == set(expected) and all(
        torch.allclose(found[name], expected[name], rtol=rel, atol=rel) for name in expected
    )


@pytest.mark.usefixtures("heads")
@pytest.mark.parametrize("spec", [SPEC, ENCODER, DECODER])
@pytest.mark.parametrize("scheme", CLOSED)
def test_every_gradient_is_that_of_automatic_differentiation(scheme: str, spec: ModelSpec):
    model = _model(scheme, spec)
    expected = _gradients(model, model)
    assert all(value.abs().max() > 0 for value in expected.values())
    assert _agree(_gradients(ClosedGradient(model), model), expected)
    # The comparison sees one weight that moved by a thousandth.
    with torch.no_grad():
        next(model.encoder.parameters() if spec.has_encoder else model.decoder.parameters()).add_(
            1e-3
        )
    assert not _agree(_gradients(ClosedGradient(model), model), expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"biases": True},
        {"shared_embeddings": True},
        {"tied_output": True},
        {"positions": Positions.LEARNED},
    ],
)
@pytest.mark.usefixtures("heads")
def test_biases_shared_tables_and_learned_positions(changes: dict[str, object]):
    model = _model("post-ln", replace(SPEC, **changes))
    assert _agree(_gradients(ClosedGradient(model), model), _gradients(model, model))


def test_without_gradients_the_logits_are_the_models_own():
    model, tokens = _model("pre-ln", SPEC), torch.arange(8).view(2, 4)
    with torch.no_grad():
        assert torch.equal(ClosedGradient(model)(tokens, tokens), model(tokens, tokens))


def test_weights_that_were_moved_elsewhere_are_found_again():
    model = _model("post-ln", SPEC)
    closed = ClosedGradient(model)
    before = _gradients(closed, model)
    for parameter in model.parameters():
        parameter.data = 1.1 * parameter.data
    assert _agree(_gradients(closed, model), _gradients(model, model))
    assert not _agree(_gradients(closed, model), before)


def test_dropout_and_other_wirings_have_none():
    config = TrainConfig()
    dropped = _model("tfixup", replace(SPEC, dropout=0.1))
    assert loop.differentiated(dropped, config) is dropped
    for scheme in ("r-fixup", "dlcl-pre"):
        model = _model(scheme, scheme_named(scheme).adapt(SPEC))
        assert loop.differentiated(model, config) is model


@pytest.mark.parametrize(
    "changes", [{"signals": True}, {"precision": "bf16-mixed"}, {"processes": 2}]
)
def test_training_uses_closed_forms_unless_more_is_asked_for(changes: dict[str, object]):
    model = _model("tfixup", SPEC)
    assert isinstance(loop.differentiated(model, TrainConfig()), ClosedGradient)
    assert loop.differentiated(model, replace(TrainConfig(), **changes)) is model


def test_a_run_takes_the_same_steps_either_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = TrainConfig(
        scheme="post-ln",
        layers=2,
        d_model=8,
        d_ff=12,
        heads=2,
        pairs=100,
        validation_pairs=20,
        vocabulary=120,
        tokens=128,
        steps=5,
        validate_every=5,
        precision="64-true",
    )
    closed = pl.read_parquet(loop.run_training(config, tmp_path / "closed").path / LOG)
    monkeypatch.setattr(closed_form, "serves", lambda _: False)
    plain = pl.read_parquet(loop.run_training(config, tmp_path / "plain").path / LOG)
    for column in ("loss", "gradient_norm", "update_norm"):
        assert closed[column].to_list() == pytest.approx(plain[column].to_list(), rel=1e-9)
