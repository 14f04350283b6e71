import copy

import pytest
import torch
from torch import nn

from numerics.linearization.update_directions import lion as lion_direction
from numerics.training.config import TrainConfig
from numerics.training.optimizers import RectifiedAdam, make_optimizer
from theory.radam.rectification import BEHAVIOURS, first_adaptive_step

GENERATOR = torch.Generator().manual_seed(0)
START = torch.randn(7, generator=GENERATOR, dtype=torch.float64)
GRADIENTS = torch.randn(40, 7, generator=GENERATOR, dtype=torch.float64)


def path(optimizer_of, steps: int = 40, start: torch.Tensor = START) -> torch.Tensor:
    """θ after every step on the fixed gradients."""
    theta = nn.Parameter(start.clone())
    optimizer = optimizer_of([theta])
    points = []
    for gradient in GRADIENTS[:steps]:
        theta.grad = gradient.clone()
        optimizer.step()
        points.append(theta.detach().clone())
    return torch.stack(points)


def ours(**settings):
    return lambda parameters: make_optimizer(parameters, TrainConfig(lr=0.01, **settings))


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.9, 0.98), (0.5, 0.55)])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_radam_as_torch_has_it(betas, decay):
    def theirs(parameters):
        return torch.optim.RAdam(
            parameters, lr=0.01, betas=betas, weight_decay=decay, decoupled_weight_decay=True
        )

    found = path(ours(optimizer="radam", radam="torch", betas=betas, weight_decay=decay))
    torch.testing.assert_close(found, path(theirs), rtol=1e-6, atol=1e-9)
    if betas[1] == 0.999:
        paper = path(ours(optimizer="radam", radam="paper", betas=betas, weight_decay=decay))
        assert not torch.allclose(paper[4:], path(theirs)[4:], rtol=1e-6)


@pytest.mark.parametrize("name", list(BEHAVIOURS))
def test_the_behaviours_of_radam_before_they_adapt(name):
    """Momentum steps for paper and torch, none for the authors; then r_t times Adam's step."""
    betas = (0.9, 0.999)
    first = first_adaptive_step(BEHAVIOURS[name], betas[1])
    assert first is not None
    found = path(ours(optimizer="radam", radam=name, betas=betas))
    mean, at = torch.zeros(7, dtype=torch.float64), START
    for t in range(1, first):
        mean = 0.9 * mean + 0.1 * GRADIENTS[t - 1]
        if name != "authors":
            at = at - 0.01 * mean / (1 - 0.9**t)
        torch.testing.assert_close(found[t - 1], at)
    adam = path(ours(optimizer="adam", betas=betas))
    ratio = (found[first - 1] - found[first - 2]) / (adam[first - 1] - adam[first - 2])
    expected = rectifier_by_hand(first).expand(7)
    torch.testing.assert_close(ratio, expected, rtol=1e-5, atol=0)


def rectifier_by_hand(step: int) -> torch.Tensor:
    """r_t at β₂ = 0.999."""
    limit = 2 / (1 - 0.999) - 1
    rho = limit - 2 * step * 0.999**step / (1 - 0.999**step)
    squared = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
    return torch.tensor(squared, dtype=torch.float64).sqrt()


def test_lion_against_its_definition():
    found = path(ours(optimizer="lion", betas=(0.9, 0.99)))
    moves = torch.diff(torch.cat([START[None], found]), dim=0)
    for t in range(1, 40):
        direction = lion_direction(list(GRADIENTS[:t]), START)
        torch.testing.assert_close(moves[t - 1], -0.01 * direction)
    decayed = path(ours(optimizer="lion", betas=(0.9, 0.99), weight_decay=0.5), steps=1)
    torch.testing.assert_close(decayed - found[:1], (-0.01 * 0.5 * START)[None])


def test_momentum_and_decoupled_decay():
    found = path(ours(optimizer="sgd", momentum=0.9), steps=3)
    by_hand, b = START, torch.zeros(7, dtype=torch.float64)
    for t in range(3):
        b = 0.9 * b + GRADIENTS[t]
        by_hand = by_hand - 0.01 * b
        torch.testing.assert_close(found[t], by_hand)
    plain, decayed = (path(ours(optimizer="adamw", weight_decay=d), steps=1) for d in (0.0, 0.2))
    torch.testing.assert_close(decayed - plain, (-0.01 * 0.2 * START)[None])
    torch.testing.assert_close(plain, path(ours(optimizer="adam"), steps=1))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "radam", "sgd", "lion"])
def test_state_survives_a_resume(optimizer):
    settings = {"optimizer": optimizer}
    if optimizer == "sgd":
        settings["momentum"] = 0.9
    whole = path(ours(**settings))

    def resumed(parameters):
        return Interrupted(ours(**settings)(parameters), ours(**settings), parameters)

    assert path(resumed).equal(whole)
    forgetful = path(lambda parameters: Interrupted(ours(**settings)(parameters), None, parameters))
    assert not forgetful.equal(whole)


class Interrupted:
    """An optimizer replaced after ten steps by a new one that loads its state, or that does not."""

    def __init__(self, optimizer, make, parameters) -> None:
        self.optimizer, self.make, self.parameters, self.steps = optimizer, make, parameters, 0

    def step(self) -> None:
        self.steps += 1
        self.optimizer.step()
        if self.steps == 10:
            state = copy.deepcopy(self.optimizer.state_dict())
            if self.make is None:
                self.optimizer.state.clear()
                for group in self.optimizer.param_groups:
                    group.pop("taken", None)
            else:
                self.optimizer = self.make(self.parameters)
                self.optimizer.load_state_dict(state)


def test_parameters_without_a_gradient_stay():
    still, moving = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = RectifiedAdam([still, moving], 0.1, (0.9, 0.98), 0.0, BEHAVIOURS["paper"])
    optimizer.step()
    moving.grad = torch.ones(2)
    optimizer.step()
    assert still.detach().equal(torch.ones(2))
    assert not moving.detach().equal(torch.ones(2))
