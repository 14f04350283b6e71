"""Update rules θ ← θ − η u(g): Adam, AdamW, RAdam, SGD, Lion, Muon and Adafactor.

With g the gradient, m ← β₁m + (1 − β₁)g and v ← β₂v + (1 − β₂)g² from 0, λ the decoupled weight
decay, t the step from 1:

    adam    m̂/(√v̂ + ε), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ); adamw adds λθ
    radam   r_t m̂/(√v̂ + ε) once ρ_t is large enough, before that m̂ or nothing; plus λθ
    sgd     b, where b ← μb + g from 0 with momentum μ
    lion    sign(β₁m + (1 − β₁)g) + λθ, and only then m ← β₂m + (1 − β₂)g

Muon and Adafactor, which look at a whole matrix, stand in `numerics.training.matrix_rules`.
ρ_t, r_t and the three behaviours of RAdam come from `theory.radam.rectification`. ε is 1e-8.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from numerics.linearization.update_directions import PER_TENSOR, is_table
from numerics.models import Transformer
from numerics.schemes.param_groups import param_groups
from numerics.training.config import TrainConfig
from numerics.training.matrix_rules import Adafactor, Muon
from theory.radam.rectification import Behaviour, behaviour_named, length, rectifier
from theory.scales.muon_scalings import MUONS

EPSILON = 1e-8
"""Added to √v̂, as in torch."""


def make_optimizer(
    parameters: Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]], config: TrainConfig
) -> torch.optim.Optimizer:
    """The configured update rule over ``parameters``, or over groups of them (`rate_groups`).

    Examples
    --------
    >>> theta = torch.nn.Parameter(torch.zeros(2))
    >>> make_optimizer([theta], TrainConfig(optimizer="lion")).__class__.__name__
    'Lion'
    """
    lr, betas, decay = config.lr, config.betas, config.weight_decay
    match config.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, lr=lr, betas=betas, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, lr=lr, betas=betas, weight_decay=decay, fused=True)
        case "radam":
            return RectifiedAdam(parameters, lr, betas, decay, behaviour_named(config.radam))
        case "sgd":
            return torch.optim.SGD(parameters, lr=lr, momentum=config.momentum)
        case "lion":
            return Lion(parameters, lr, betas, decay)
        case "adafactor":
            return Adafactor(parameters, lr, decay)
        case "muon" | "muon-match-rms-adamw" | "muon-spectral":
            scaling = config.optimizer.partition("-")[2] or "original"
            return Muon(parameters, lr, betas, decay, scaling)


def rate_groups(model: Transformer, config: TrainConfig) -> list[dict[str, Any]]:
    """The parameters in groups with a scheme's factors on rate, weight decay and ε.

    A group's ``factor`` multiplies the rate of every step. Published factors are meant for
    Adam-like rules, so SGD gets one group without a factor. So does a scheme without factors.

    Examples
    --------
    >>> from numerics.models import Architecture, single_stack
    >>> from numerics.schemes import build
    >>> spec = single_stack(Architecture.DECODER_ONLY, 8)
    >>> model = build("depth-mup", spec, torch.Generator().manual_seed(0))
    >>> groups = rate_groups(model, TrainConfig(scheme="depth-mup"))
    >>> sorted(group["factor"] for group in groups)
    [0.5, 1.0]
    """
    if config.optimizer == "sgd":
        return [{"params": list(model.parameters()), "factor": 1.0}]
    groups = param_groups(model, config.scheme, 1.0, weight_decay=config.weight_decay, eps=EPSILON)
    named: list[dict[str, Any]] = [
        {("factor" if name == "lr" else name): value for name, value in group.items()}
        for group in groups
    ]
    if config.optimizer in PER_TENSOR:
        return [part for group in named for part in _by_matrices(group, model, config.optimizer)]
    return named


def _by_matrices(
    group: dict[str, Any], model: Transformer, optimizer: str
) -> Iterator[dict[str, Any]]:
    """A group split by how many matrices its parameters hold; Muon leaves tables to Adam: 0."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found: dict[int, list[torch.nn.Parameter]] = {}
    for parameter in group["params"]:
        name = names[id(parameter)]
        if optimizer in MUONS and is_table(name):
            count = 0
        else:
            count = 3 if name.rpartition(".")[2] == "in_proj" else 1
        found.setdefault(count, []).append(parameter)
    for count, parameters in found.items():
        yield {**group, "params": parameters, "matrices": count}


class RectifiedAdam(torch.optim.Optimizer):
    """RAdam, Algorithm 2 of Liu et al., in one of its three behaviours."""

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
        behaviour: Behaviour,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)
        self.behaviour = behaviour

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            group["taken"] = step = group.get("taken", 0) + 1
            beta1, beta2 = group["betas"]
            adapts = self.behaviour.adapts(length(step, beta2))
            r = rectifier(step, beta2) if adapts else 1.0
            rate, bias = group["lr"] / (1 - beta1**step), math.sqrt(1 - beta2**step)
            for theta, g in _moving(group):
                mean, square = _moments(self.state[theta], theta, "mean", "square")
                mean.lerp_(g, 1 - beta1)
                square.mul_(beta2).addcmul_(g, g, value=1 - beta2)
                if adapts:
                    _decay(theta, group)
                    theta.addcdiv_(mean, square.sqrt().div_(bias).add_(EPSILON), value=-rate * r)
                elif self.behaviour.updates_before:
                    _decay(theta, group)
                    theta.add_(mean, alpha=-rate)


class Lion(torch.optim.Optimizer):
    """Lion (Chen et al. 2023): the sign of an interpolated momentum."""

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for theta, g in _moving(group):
                (mean,) = _moments(self.state[theta], theta, "mean")
                direction = mean.lerp(g, 1 - beta1).sign_()
                _decay(theta, group)
                theta.add_(direction, alpha=-group["lr"])
                mean.lerp_(g, 1 - beta2)


def _moving(group: dict[str, Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """The parameters that have a gradient, each with its gradient."""
    for parameter in group["params"]:
        if parameter.grad is not None:
            yield parameter, parameter.grad


def _moments(state: dict[str, Tensor], theta: Tensor, *names: str) -> list[Tensor]:
    """The moving averages that are kept for θ; they start at 0."""
    for name in names:
        if name not in state:
            state[name] = torch.zeros_like(theta)
    return [state[name] for name in names]


def _decay(theta: Tensor, group: dict[str, Any]) -> None:
    """Apply decoupled weight decay before the update, as AdamW does: θ ← (1 − ηλ)θ."""
    if group["weight_decay"]:
        theta.mul_(1 - group["lr"] * group["weight_decay"])
