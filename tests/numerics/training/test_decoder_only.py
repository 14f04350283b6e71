"""Training of a decoder alone: what it reads, what it refuses, and a scheme's factors on rates."""

import pytest
import torch

from numerics.cli.train import Train
from numerics.schemes import build
from numerics.training.config import TrainConfig
from numerics.training.loop import model_spec, run_training
from numerics.training.optimizers import make_optimizer, rate_groups
from numerics.training.outcome import RunOutcome
from numerics.training.task import load_corpus, prepare
from theory.errors import InputError

TINY = TrainConfig(
    architecture="decoder-only",
    scheme="depth-mup",
    layers=8,
    steps=3,
    d_model=16,
    d_ff=32,
    pairs=300,
    validation_pairs=30,
    vocabulary=200,
    tokens=128,
)


def test_it_trains_and_is_read_back(tmp_path):
    found = run_training(TINY, tmp_path / "run")
    assert found.config["architecture"] == "decoder-only"
    assert found.outcome in (RunOutcome.TRAINED, RunOutcome.STUCK)
    assert "--architecture decoder-only" in found.provenance["command"]


def test_both_sides_are_the_target():
    task = prepare(load_corpus(TINY), TINY, torch.device("cpu"))
    for source, target in zip(task.train.sources[:5], task.train.targets[:5], strict=True):
        assert (source == target).all()


def test_the_first_step_of_adam_is_each_group_s_own_rate():
    model = build("depth-mup", model_spec(TINY), torch.Generator().manual_seed(0))
    groups = rate_groups(model, TINY)
    optimizer = make_optimizer(groups, TINY)
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    for group in optimizer.param_groups:
        group["lr"] = 1e-3 * group["factor"]
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        inside = name.split(".")[1:2] and name.split(".")[1].isdigit()
        moved = float((parameter.detach() - before[name]).abs().max())
        assert moved == pytest.approx(1e-3 * (0.5 if inside else 1.0), rel=1e-3)


@pytest.mark.parametrize("settings", [{"encoder_layers": 2}, {"signals": True}])
def test_what_does_not_apply_is_an_error(settings):
    with pytest.raises(InputError):
        TrainConfig(architecture="decoder-only", **settings).check()


def test_a_language_model_translates_nothing():
    with pytest.raises(InputError, match="encoder-decoder"):
        Train(architecture="decoder-only", evaluate="validation").run()
