"""The direction in which an optimizer steps, given the gradients that it has seen.

A *history* is g_1, …, g_t of one tensor θ, the last the current one. A direction is the step
divided by −η. With the first gradient alone (t = 1), m̂ = g and v̂ = g²:

    sgd       g                    sign, adam, adamw, lion  sign(g) (Adam up to ε)
    momentum  Σ_k μ^k g_(t−k)      lamb                     ‖θ‖ u/‖u‖, u Adam's direction
    radam     m̂ while ρ_t ≤ 5      muon                     √max(1, rows/columns) U Vᵀ, g = U Σ Vᵀ

Constants are the defaults of the optimizers in PyTorch, or of their papers. Weight decay is off: it
does not depend on the loss. Tensors that are not matrices take Adam's direction under Muon.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from numerics.models.roles import factors_of
from theory.errors import InputError, nearest
from theory.radam.rectification import BEHAVIOURS, length, rectifier

GradientHistory = Sequence[Tensor]
Direction = Callable[[GradientHistory, Tensor], Tensor]
MOMENTUM = 0.9
BETAS = (0.9, 0.999)
LION_BETAS = (0.9, 0.99)
MUON_MOMENTUM = 0.95
EPSILON = 1e-8


def average(history: GradientHistory, beta: float) -> Tensor:
    """Take the bias-corrected moving average, (1 − β) Σ_k β^k g_(t−k)/(1 − β^t).

    Examples
    --------
    >>> average([torch.tensor([2.0])], 0.9)
    tensor([2.])
    """
    mean = torch.zeros_like(history[0])
    for gradient in history:
        mean = beta * mean + (1 - beta) * gradient
    return mean / (1 - beta ** len(history))


def sgd(history: GradientHistory, theta: Tensor) -> Tensor:
    """Gradient descent steps along the gradient: g."""
    del theta
    return history[-1]


def sign(history: GradientHistory, theta: Tensor) -> Tensor:
    """The sign of every entry: sign(g)."""
    del theta
    return history[-1].sign()


def momentum(history: GradientHistory, theta: Tensor) -> Tensor:
    """Heavy ball adds up decaying gradients: Σ_k μ^k g_(t−k)."""
    del theta
    total = torch.zeros_like(history[0])
    for gradient in history:
        total = MOMENTUM * total + gradient
    return total


def adam(history: GradientHistory, theta: Tensor) -> Tensor:
    """Adam divides the average gradient by its root mean square: m̂/(√v̂ + ε)."""
    del theta
    second = average([gradient.square() for gradient in history], BETAS[1])
    return average(history, BETAS[0]) / (second.sqrt() + EPSILON)


def adamw(history: GradientHistory, theta: Tensor) -> Tensor:
    """AdamW steps as Adam does; its weight decay, −λθ, does not depend on the loss: m̂/(√v̂ + ε)."""
    return adam(history, theta)


def radam(history: GradientHistory, theta: Tensor) -> Tensor:
    """RAdam rectifies Adam once ρ_t > 5, r_t m̂/√v̂, and averages before: m̂."""
    t, beta2 = len(history), BETAS[1]
    if not BEHAVIOURS["torch"].adapts(length(t, beta2)):
        return average(history, BETAS[0])
    return rectifier(t, beta2) * adam(history, theta)


def lion(history: GradientHistory, theta: Tensor) -> Tensor:
    """Lion takes a sign: sign(β₁ m + (1 − β₁) g), m the average (β₂) of earlier gradients."""
    del theta
    mean = torch.zeros_like(history[0])
    for gradient in history[:-1]:
        mean = LION_BETAS[1] * mean + (1 - LION_BETAS[1]) * gradient
    return (LION_BETAS[0] * mean + (1 - LION_BETAS[0]) * history[-1]).sign()


def lamb(history: GradientHistory, theta: Tensor) -> Tensor:
    """LAMB gives Adam's u the norm of its tensor, ‖θ‖ u/‖u‖; u itself where θ or u is 0."""
    u = adam(history, theta)
    weight, length = torch.linalg.vector_norm(theta), torch.linalg.vector_norm(u)
    ratio = torch.where((weight > 0) & (length > 0), weight / length, torch.ones_like(weight))
    return ratio * u


def muon(history: GradientHistory, theta: Tensor) -> Tensor:
    """Muon takes the polar factor of the Nesterov average: √max(1, rows/columns) U Vᵀ.

    Where θ is no matrix it takes Adam's direction.
    """
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
    "adamw": adamw,
    "radam": radam,
    "lion": lion,
    "lamb": lamb,
    "muon": muon,
}


PROPORTIONAL = ("sgd", "momentum")
"""Optimizers whose step is linear in the gradients."""
PER_TENSOR = ("lamb", "muon")
"""Optimizers whose step of one number depends on the whole tensor."""


@dataclass(frozen=True)
class StepRule:
    """How an optimizer turns gradients into a step, divided by the learning rate.

    q, k and v count as three tensors where they are packed in one parameter.
    """

    name: str
    direction: Direction
    rates: Mapping[str, float] = field(default_factory=dict)
    """Factors on the learning rate, by `numerics.models.roles.roles_of`; 1 where none stands."""

    @property
    def elementwise(self) -> bool:
        """Whether every number's step is one function of its own gradients, whatever its name."""
        return self.name not in PER_TENSOR and not self.rates

    @property
    def adaptive(self) -> bool:
        """Whether the step's size does not follow the gradient's, as that of Adam and its like."""
        return self.name not in PROPORTIONAL

    def with_rates(self, rates: Mapping[str, float]) -> "StepRule":
        """Return the same rule with factors on the learning rate.

        They are of a scheme for Adam and its like: rules whose step is proportional to the
        gradient stay as they are.

        Examples
        --------
        >>> rule = step_rule_named("sign").with_rates({"hidden": 0.5})
        >>> rule(torch.tensor([2.0, -3.0]), parameter="encoder.0.mlp.branch.bias1")
        tensor([-0.5000,  0.5000])
        >>> step_rule_named("sgd").with_rates({"hidden": 0.5}).rates
        {}
        """
        return replace(self, rates=dict(rates)) if self.adaptive else self

    def __call__(
        self,
        gradient: Tensor,
        theta: Tensor | None = None,
        *,
        parameter: str = "",
        past: GradientHistory = (),
    ) -> Tensor:
        """Return the step of one parameter.

        Parameters
        ----------
        gradient
            The current gradient.
        theta
            The parameter, which LAMB and Muon need.
        parameter
            Its name: ``in_proj`` holds three matrices, and factors on the rate go by names.
        past
            Earlier gradients, first to last.

        Examples
        --------
        >>> step_rule_named("sign")(torch.tensor([2.0, -3.0]))
        tensor([-1.,  1.])
        """
        factors = factors_of(parameter, self.rates) if self.rates else (1.0,)
        if set(factors) == {1.0}:
            return self._step(gradient, theta, parameter, past)
        step = self._step(gradient, theta, parameter, past)
        if len(factors) == 1:
            return factors[0] * step
        parts = zip(factors, step.chunk(len(factors)), strict=True)
        return torch.cat([factor * part for factor, part in parts])

    def _step(
        self, gradient: Tensor, theta: Tensor | None, parameter: str, past: GradientHistory
    ) -> Tensor:
        history = [*past, gradient]
        if self.name not in PER_TENSOR:
            return -self.direction(history, gradient)
        if theta is None:
            raise InputError(f"{self.name} needs the parameter beside its gradient")
        if parameter.rpartition(".")[2] != "in_proj":
            return -self.direction(history, theta)
        thirds = zip(*(tensor.chunk(3) for tensor in (*history, theta)), strict=True)
        return -torch.cat([self.direction(third[:-1], third[-1]) for third in thirds])


RULES: Mapping[str, StepRule] = {name: StepRule(name, way) for name, way in DIRECTIONS.items()}


def step_rule_named(optimizer: str) -> StepRule:
    """Look the step rule of an optimizer up.

    Raises
    ------
    InputError
        Naming the nearest known optimizer.
    """
    if optimizer not in RULES:
        raise nearest(optimizer, RULES, "optimizer")
    return RULES[optimizer]


def direction(name: str, history: GradientHistory, theta: Tensor) -> Tensor:
    """Return the direction of an optimizer by name.

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
    return step_rule_named(name).direction(history, theta)
