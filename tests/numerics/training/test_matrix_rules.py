"""Muon and Adafactor as runs take them: against torch, and against the measured rules."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from numerics.linearization.update_directions import DIRECTIONS, step_rule_named
from numerics.models.spec import ModelSpec
from numerics.schemes import build
from numerics.training.config import TrainConfig
from numerics.training.loop import run_training
from numerics.training.optimizers import make_optimizer, rate_groups
from tests.numerics.training.short_run import FEW, TINY, losses
from theory.errors import InputError
from theory.scales.muon_scalings import MUONS

RULES = ("adafactor", *MUONS)
SHAPES = [(6, 4), (4, 6), (5,)]


def drawn(shape: tuple[int, ...], count: int = 12) -> tuple[Tensor, Tensor]:
    """A start and gradients."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(shape, generator=generator, dtype=torch.float64)
    return start, torch.randn((count, *shape), generator=generator, dtype=torch.float64)


def path(optimizer: torch.optim.Optimizer, theta: nn.Parameter, gradients: Tensor) -> Tensor:
    points = []
    for gradient in gradients:
        theta.grad = gradient.clone()
        optimizer.step()
        points.append(theta.detach().clone())
    return torch.stack(points)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adafactor_as_torch_has_it(shape: tuple[int, ...], decay: float) -> None:
    start, gradients = drawn(shape)
    theta, other = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    config = TrainConfig(optimizer="adafactor", lr=0.4, weight_decay=decay)
    found = path(make_optimizer([theta], config), theta, gradients)
    theirs = torch.optim.Adafactor([other], lr=0.4, weight_decay=decay)
    torch.testing.assert_close(found, path(theirs, other, gradients))


@pytest.mark.parametrize("scaling", ["original", "match_rms_adamw"])
@pytest.mark.parametrize("shape", SHAPES[:2])
def test_muon_as_torch_has_it(shape: tuple[int, ...], scaling: str) -> None:
    """Torch's singular values are 0.7 to 1.2 for our 1; its directions are ours."""
    start, gradients = drawn(shape, 6)
    theta, other = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    name = "muon" if scaling == "original" else "muon-match-rms-adamw"
    config = TrainConfig(optimizer=name, lr=0.01, weight_decay=0.1)  # type: ignore[arg-type]
    ours = torch.diff(path(make_optimizer([theta], config), theta, gradients), dim=0)
    muon = torch.optim.Muon([other], lr=0.01, weight_decay=0.1, adjust_lr_fn=scaling)
    theirs = torch.diff(path(muon, other, gradients), dim=0)
    for one, two in zip(ours, theirs, strict=True):
        cosine = torch.nn.functional.cosine_similarity(one.flatten(), two.flatten(), dim=0)
        assert cosine > 0.97
        assert 0.7 < float(two.norm() / one.norm()) < 1.25


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_run_takes_the_step_that_is_measured(name: str, shape: tuple[int, ...]) -> None:
    """After each gradient, at the weights of that moment; Muon's vectors go by Adam's constants."""
    start, gradients = drawn(shape)
    theta = nn.Parameter(start.clone())
    config = TrainConfig(optimizer=name, lr=0.01, betas=(0.9, 0.999))  # type: ignore[arg-type]
    optimizer = make_optimizer([theta], config)
    for t in range(1, len(gradients) + 1):
        before = theta.detach().clone()
        theta.grad = gradients[t - 1].clone()
        optimizer.step()
        wanted = DIRECTIONS[name](list(gradients[:t]), before)
        torch.testing.assert_close(before - theta.detach(), 0.01 * wanted, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", RULES)
def test_a_models_first_step_is_the_measured_one(name: str) -> None:
    """Packed q, k, v matrix by matrix, and tables by Adam under Muon."""
    model = build("tfixup", ModelSpec(1, 1, d_model=8, d_ff=16, heads=2, vocabulary=11),
                  torch.Generator().manual_seed(0)).double()  # fmt: skip
    config = TrainConfig(optimizer=name, lr=0.01, betas=(0.9, 0.999))  # type: ignore[arg-type]
    optimizer = make_optimizer(rate_groups(model, config), config)
    generator = torch.Generator().manual_seed(1)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    for group in optimizer.param_groups:
        group["lr"] = config.lr * group["factor"]
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float64)
    optimizer.step()
    rule = step_rule_named(name)
    for n, p in model.named_parameters():
        assert p.grad is not None
        wanted = 0.01 * rule(p.grad, before[n], parameter=n)
        torch.testing.assert_close(p.detach() - before[n], wanted, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", RULES)
def test_a_stored_state_goes_on_as_if_it_had_never_stopped(name: str) -> None:
    start, gradients = drawn((6, 4), 8)
    config = TrainConfig(optimizer=name, lr=0.01)  # type: ignore[arg-type]
    whole = nn.Parameter(start.clone())
    straight = path(make_optimizer([whole], config), whole, gradients)
    theta = nn.Parameter(start.clone())
    first = make_optimizer([theta], config)
    path(first, theta, gradients[:3])
    second = make_optimizer([theta], config)
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(path(second, theta, gradients[3:]), straight[3:], rtol=0, atol=0)


def test_momentum_belongs_to_sgd() -> None:
    with pytest.raises(InputError, match="momentum needs the optimizer sgd, got muon"):
        TrainConfig(optimizer="muon", momentum=0.9).check()


def test_signals_are_those_of_the_tables_whatever_the_groups_order(tmp_path: Path) -> None:
    """Muon leaves tables to Adam: their first step is Adam's, in a run that groups otherwise."""
    moved = {}
    for name in ("adam", "muon"):
        config = replace(
            TINY, optimizer=name, steps=1, signals=True, validation_pairs=FEW, dropout=0.0
        )
        run_training(config, tmp_path / name)
        moved[name] = losses(tmp_path / name)
    for stack in ("encoder", "decoder"):
        column = f"adam_update_{stack}"
        assert float(moved["muon"][column][0]) > 0.1
        torch.testing.assert_close(
            float(moved["muon"][column][0]), float(moved["adam"][column][0]), rtol=1e-3, atol=0
        )
