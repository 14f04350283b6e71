"""Step directions: what an optimizer makes of the gradients it has seen, divided by −η.

`history` is g_1, …, g_t of one tensor, the last the current one; θ is the tensor itself. With the
first gradient alone (t = 1), m̂ = g and v̂ = g²:

    sgd       g                         sign, adam, lion   sign(g) (Adam up to ε)
    momentum  Σ_k μ^k g_(t−k)           lamb               ‖θ‖ u/‖u‖, u Adam's direction
    radam     m̂ while ρ_t ≤ 5           muon               √max(1, rows/columns) U Vᵀ, g = U Σ Vᵀ

Constants are those of the optimizers' defaults in PyTorch, or of their papers. Weight decay is off:
it does not depend on the loss. Tensors that are not matrices take Adam's direction under Muon.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from theory.errors import InputError, nearest
from theory.radam.rectification import BEHAVIOURS, length, rectifier

History = Sequence[Tensor]
Direction = Callable[[History, Tensor], Tensor]
MOMENTUM = 0.9
BETAS = (0.9, 0.999)
LION_BETAS = (0.9, 0.99)
MUON_MOMENTUM = 0.95
EPSILON = 1e-8


def average(history: History, beta: float) -> Tensor:
    """(1 − β) Σ_k β^k g_(t−k)/(1 − β^t): the bias-corrected moving average.

    Examples
    --------
    >>> average([torch.tensor([2.0])], 0.9)
    tensor([2.])
    """
    mean = torch.zeros_like(history[0])
    for gradient in history:
        mean = beta * mean + (1 - beta) * gradient
    return mean / (1 - beta ** len(history))


def sgd(history: History, theta: Tensor) -> Tensor:
    """g."""
    del theta
    return history[-1]


def sign(history: History, theta: Tensor) -> Tensor:
    """sign(g)."""
    del theta
    return history[-1].sign()


def momentum(history: History, theta: Tensor) -> Tensor:
    """Σ_k μ^k g_(t−k), heavy ball."""
    del theta
    total = torch.zeros_like(history[0])
    for gradient in history:
        total = MOMENTUM * total + gradient
    return total


def adam(history: History, theta: Tensor) -> Tensor:
    """m̂/(√v̂ + ε)."""
    del theta
    second = average([gradient.square() for gradient in history], BETAS[1])
    return average(history, BETAS[0]) / (second.sqrt() + EPSILON)


def radam(history: History, theta: Tensor) -> Tensor:
    """r_t m̂/√v̂ once ρ_t > 5, m̂ before."""
    t, beta2 = len(history), BETAS[1]
    if not BEHAVIOURS["torch"].adapts(length(t, beta2)):
        return average(history, BETAS[0])
    return rectifier(t, beta2) * adam(history, theta)


def lion(history: History, theta: Tensor) -> Tensor:
    """sign(β₁ m + (1 − β₁) g), m the moving average (β₂) of earlier gradients."""
    del theta
    mean = torch.zeros_like(history[0])
    for gradient in history[:-1]:
        mean = LION_BETAS[1] * mean + (1 - LION_BETAS[1]) * gradient
    return (LION_BETAS[0] * mean + (1 - LION_BETAS[0]) * history[-1]).sign()


def lamb(history: History, theta: Tensor) -> Tensor:
    """‖θ‖ u/‖u‖ with u Adam's direction; u itself where θ or u is zero."""
    u = adam(history, theta)
    weight, length = torch.linalg.vector_norm(theta), torch.linalg.vector_norm(u)
    ratio = torch.where((weight > 0) & (length > 0), weight / length, torch.ones_like(weight))
    return ratio * u


def muon(history: History, theta: Tensor) -> Tensor:
    """√max(1, rows/columns) U Vᵀ of the Nesterov average; Adam's where θ is no matrix."""
    if theta.ndim != 2:
        return adam(history, theta)
    mean = torch.zeros_like(history[0])
    for gradient in history:
        mean = MUON_MOMENTUM * mean + (1 - MUON_MOMENTUM) * gradient
    ahead = MUON_MOMENTUM * mean + (1 - MUON_MOMENTUM) * history[-1]
    u, _, v = torch.linalg.svd(ahead, full_matrices=False)
    rows, columns = theta.shape
    return max(1.0, rows / columns) ** 0.5 * (u @ v)


DIRECTIONS: Mapping[str, Direction] = {
    "sgd": sgd,
    "momentum": momentum,
    "sign": sign,
    "adam": adam,
    "radam": radam,
    "lion": lion,
    "lamb": lamb,
    "muon": muon,
}


PER_TENSOR = ("lamb", "muon")
"""Directions that look at a whole tensor; the others treat every number alike."""


@dataclass(frozen=True)
class Rule:
    """An optimizer's step ÷ η, with the gradients that it has seen before.

    q, k and v count as three tensors where they are packed in one parameter.
    """

    name: str
    direction: Direction

    @property
    def elementwise(self) -> bool:
        """Whether every number's step depends on its own gradients alone."""
        return self.name not in PER_TENSOR

    def __call__(
        self,
        gradient: Tensor,
        theta: Tensor | None = None,
        *,
        parameter: str = "",
        past: History = (),
    ) -> Tensor:
        """The step of one parameter.

        Parameters
        ----------
        gradient
            The current gradient.
        theta
            The parameter, which LAMB and Muon need.
        parameter
            Its name: ``in_proj`` holds three matrices.
        past
            Earlier gradients, first to last.

        Examples
        --------
        >>> rule_named("sign")(torch.tensor([2.0, -3.0]))
        tensor([-1.,  1.])
        """
        history = [*past, gradient]
        if self.elementwise:
            return -self.direction(history, gradient)
        if theta is None:
            raise InputError(f"{self.name} needs the parameter beside its gradient")
        if parameter.rpartition(".")[2] != "in_proj":
            return -self.direction(history, theta)
        thirds = zip(*(tensor.chunk(3) for tensor in (*history, theta)), strict=True)
        return -torch.cat([self.direction(third[:-1], third[-1]) for third in thirds])


RULES: Mapping[str, Rule] = {name: Rule(name, way) for name, way in DIRECTIONS.items()}


def rule_named(optimizer: str) -> Rule:
    """Look an update rule up; an unknown name is an error that offers the nearest known one."""
    if optimizer not in RULES:
        raise nearest(optimizer, RULES, "optimizer")
    return RULES[optimizer]


def direction(name: str, history: History, theta: Tensor) -> Tensor:
    """The direction of an optimizer by name.

    Raises
    ------
    InputError
        For an empty history, or gradients of another shape than θ.

    Examples
    --------
    >>> g, theta = torch.tensor([[3.0, 0.0], [0.0, -4.0]]), torch.ones(2, 2)
    >>> direction("muon", [g], theta)
    tensor([[ 1.,  0.],
            [ 0., -1.]])
    """
    if not history:
        raise InputError("a direction needs at least one gradient, got none")
    if any(gradient.shape != theta.shape for gradient in history):
        shapes = sorted({tuple(gradient.shape) for gradient in history})
        raise InputError(f"gradients must have the shape {tuple(theta.shape)}, got {shapes}")
    return rule_named(name).direction(history, theta)
