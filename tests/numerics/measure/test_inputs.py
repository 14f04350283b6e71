"""Models and batches that do not fit a measurement, and parameters shared by hand."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from numerics.linearization.engines import shared_parameters
from numerics.measure.updates import measure_update, measure_updates
from numerics.models import Architecture, ModelSpec
from numerics.models.tokens import random_batch
from numerics.schemes import build
from theory.errors import InputError

SPEC = ModelSpec(2, 2, d_model=16, d_ff=32, heads=2, vocabulary=50)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def model(spec=SPEC):
    return build("tfixup", spec, generator())


BATCH = random_batch(SPEC, generator(1), sequences=3, tokens=4)
SOURCE, TARGET = BATCH.source_BS, BATCH.target_BT


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"source_BS": SOURCE[:0], "target_BT": TARGET[:0]}, r"at least one of each, got shape"),
        ({"source_BS": SOURCE[:, :0]}, r"at least one of each, got shape \(3, 0\)"),
        ({"source_BS": SOURCE + 100}, "source tokens must lie between 0 and 49, got 1"),
        ({"target_BT": TARGET - 100}, "target tokens must lie between 0 and 49, got -"),
        ({"source_BS": SOURCE[:1]}, "both sides must have as many sequences, got"),
        ({"source_BS": SOURCE[0]}, r"sequences × positions, .* got shape \(4,\)"),
        ({"source_BS": SOURCE.float()}, "must be a tensor of integers, got torch.float32"),
        ({"target_BT": [[1, 2]]}, "must be a tensor of integers, got list"),
        ({"padding_BS": torch.zeros(3, 9, dtype=torch.bool)}, r"shape \(3, 4\), got \(3, 9\)"),
        ({"padding_BS": torch.zeros(3, 4)}, "a tensor of booleans, got torch.float32"),
        ({"padding_BS": torch.ones(3, 4, dtype=torch.bool)}, "got one all padding"),
        ({"source_BS": SOURCE.to("meta")}, "must be on the model's cpu, got meta"),
    ],
)
@pytest.mark.parametrize("engine", ["auto", "autodiff"])
def test_a_batch_that_does_not_fit(changed, message, engine):
    batch = replace(BATCH)
    for name, value in changed.items():
        object.__setattr__(batch, name, value)  # past the types that the tests watch
    with pytest.raises(InputError, match=message):
        measure_update(model(), batch, generator(), engine=engine)
    with pytest.raises(InputError, match=message):
        measure_updates([model()], [batch], [generator()], engine=engine)


def test_models_that_are_not_measurable():
    with pytest.raises(InputError, match="got parameters on the meta device"):
        measure_update(model().to("meta"), BATCH, generator())


# Without the types that the tests watch, as a user calls it.
WRONG_KINDS = """
import torch, tfixup
generator = torch.Generator()
spec = tfixup.ModelSpec(1, 1, d_model=4, d_ff=4, heads=1, vocabulary=5)
model = tfixup.build("tfixup", spec, generator)
batch = tfixup.random_batch(spec, generator, sequences=1, tokens=2)
for arguments, options in (
    ((torch.nn.Linear(2, 2), batch), {}),
    ((model, None), {}),
    ((model, batch), {"earlier": 1.5}),
    ((model, batch), {"cotangent": 3}),
    ((model, batch), {"optimizer": 3}),
):
    try:
        tfixup.measure_update(*arguments, generator, **options)
    except tfixup.InputError as error:
        print(error)
"""


def test_values_of_a_wrong_kind_are_named():
    command = [sys.executable, "-c", WRONG_KINDS]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines() == [
        "model must be a Transformer of this package, got Linear: "
        "tfixup.measure_module measures any other module",
        "batch must be a TokenBatch, got NoneType",
        "earlier must be an integer of at least 0, got 1.5",
        "cotangent must be a function of f, got 3",
        "optimizer must be a name, got 3",
    ], ran.stderr


def test_a_side_that_the_model_does_not_read_may_be_anything():
    alone = replace(SPEC, decoder_layers=0, architecture=Architecture.ENCODER_ONLY)
    batch = replace(BATCH, target_BT=TARGET + 100)
    assert measure_update(model(alone), batch, generator()).finite


@pytest.mark.parametrize("blocks", [(0, 1), (1, 0)])
def test_parameters_shared_by_hand_are_one(blocks):
    one, other = blocks
    shared = model()
    mine = shared.get_parameter(f"encoder.{one}.mlp.branch.w1")
    theirs = shared.get_submodule(f"encoder.{other}.mlp.branch")
    theirs.register_parameter("w1", mine)
    assert shared_parameters(shared) is not None
    found = {
        engine: measure_update(shared, BATCH, generator(), engine=engine).update["total"]
        for engine in ("auto", "autodiff")
    }
    assert found["auto"] == found["autodiff"]
    with pytest.raises(InputError, match="closed forms need parameters of their own, got enc"):
        measure_update(shared, BATCH, generator(), engine="closed-form")
    theirs.register_parameter("w1", torch.nn.Parameter(mine.detach().clone()))
    assert shared_parameters(shared) is None
    apart = measure_update(shared, BATCH, generator(), engine="autodiff").update["total"]
    assert apart != pytest.approx(found["autodiff"], rel=1e-6)


def test_embeddings_tied_by_hand_are_one_and_tables_tied_by_the_specification_are_no_fault():
    shared = model()
    shared.target_embedding = shared.source_embedding
    assert shared_parameters(shared) == ("source_embedding", "target_embedding")
    for options in ({"shared_embeddings": True}, {"tied_output": True}):
        assert shared_parameters(model(replace(SPEC, **options))) is None
