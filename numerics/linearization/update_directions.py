"""The direction in which an optimizer steps, given the gradients that it has seen.

A *history* is g_1, …, g_t of one tensor θ, the last the current one. A direction is the step
divided by −η. With the first gradient alone (t = 1), m̂ = g and v̂ = g²:

    sgd       g                    sign, adam, adamw, lion  sign(g) (Adam up to ε)
    momentum  Σ_k μ^k g_(t−k)      lamb                     ‖θ‖ u/‖u‖, u Adam's direction
    radam     m̂ while ρ_t ≤ 5      adafactor                RMS(θ) u/max(1, RMS(u)), u = g/√v
    muon      √max(1, rows/columns) U Vᵀ, g = U Σ Vᵀ; two more scalings of it

Constants are the defaults of the optimizers in PyTorch, or of their papers. Weight decay is off
unless a rule's name says it (`numerics.linearization.rule_options`). Muon is for hidden matrices:
embeddings, positions and vectors take Adam's direction, as where it is used.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from numerics.linearization.factored_steps import adafactor_step
from numerics.linearization.orthogonal_steps import orthogonal_step
from numerics.linearization.rule_options import NO_OPTIONS, RuleOptions, split_name
from numerics.models.roles import factors_of, roles_of
from theory.errors import InputError, nearest
from theory.scales.muon_scalings import MUONS

GradientHistory = Sequence[Tensor]
Direction = Callable[[GradientHistory, Tensor], Tensor]
MOMENTUM = 0.9
BETAS = (0.9, 0.999)
LION_BETAS = (0.9, 0.99)
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


def adam(history: GradientHistory, theta: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Adam divides the average gradient by its root mean square: m̂/(√v̂ + ε)."""
    del theta
    root = average([gradient.square() for gradient in history], BETAS[1]).sqrt()
    if epsilon == 0:  # 0/0 where there is no gradient
        root = torch.where(root > 0, root, torch.ones_like(root))
    return average(history, BETAS[0]) / (root + epsilon)


def adamw(history: GradientHistory, theta: Tensor, epsilon: float = EPSILON) -> Tensor:
    """AdamW steps as Adam does, and ``weight_decay=λ`` adds λθ: m̂/(√v̂ + ε)."""
    return adam(history, theta, epsilon)


def radam(history: GradientHistory, theta: Tensor) -> Tensor:
    """RAdam rectifies Adam once ρ_t > 5, r_t m̂/√v̂, and averages before: m̂."""
    # It imports SymPy, which takes a worker a third of a second.
    from theory.radam.rectification import BEHAVIOURS, length, rectifier

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


def muon(history: GradientHistory, theta: Tensor, scaling: str = "original") -> Tensor:
    """Muon takes the polar factor of the Nesterov average: √max(1, rows/columns) U Vᵀ.

    Where θ is no matrix it takes Adam's direction.
    """
    if theta.ndim != 2:
        return adam(history, theta)
    return orthogonal_step(history, scaling)


def muon_match_rms_adamw(history: GradientHistory, theta: Tensor) -> Tensor:
    """Muon with entries of RMS 0.2, as AdamW's: 0.2 √max(rows, columns) U Vᵀ."""
    return muon(history, theta, "match-rms-adamw")


def muon_spectral(history: GradientHistory, theta: Tensor) -> Tensor:
    """Muon that moves what a matrix computes by RMS 1: √(rows/columns) U Vᵀ."""
    return muon(history, theta, "spectral")


def adafactor(history: GradientHistory, theta: Tensor) -> Tensor:
    """Adafactor takes a fraction of a tensor's size: RMS(θ) u/max(1, RMS(u)), u = g/√v."""
    return adafactor_step(history, theta)


DIRECTIONS: Mapping[str, Direction] = {
    "sgd": sgd,
    "momentum": momentum,
    "sign": sign,
    "adam": adam,
    "adamw": adamw,
    "radam": radam,
    "lion": lion,
    "lamb": lamb,
    "adafactor": adafactor,
    "muon": muon,
    "muon-match-rms-adamw": muon_match_rms_adamw,
    "muon-spectral": muon_spectral,
}


_EPSILON_RULES = {"adam": adam, "adamw": adamw}
PROPORTIONAL = ("sgd", "momentum")
"""Optimizers whose step is linear in the gradients."""
PER_TENSOR = ("lamb", "adafactor", *MUONS)
"""Optimizers whose step of one number depends on the whole tensor."""
_TAPERED = (*PROPORTIONAL, "radam")
"""Optimizers whose first step is as small as the gradient."""


@dataclass(frozen=True)
class StepRule:
    """How an optimizer turns gradients into a step, divided by the learning rate.

    q, k and v count as three tensors where they are packed in one parameter.
    """

    name: str
    """As it was asked for, numbers included."""
    direction: Direction
    """Of one tensor; weight decay is not in it."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Factors on the learning rate, by `numerics.models.roles.roles_of`; 1 where none stands."""
    options: RuleOptions = NO_OPTIONS
    """λ and ε, where the name says them."""
    weight_decays: Mapping[str, float] = field(default_factory=dict)
    """Factors on λ, likewise."""
    epsilons: Mapping[str, float] = field(default_factory=dict)
    """Factors on ε, likewise."""

    @property
    def base(self) -> str:
        """The rule's name without its numbers."""
        return self.name.partition(":")[0]

    @property
    def elementwise(self) -> bool:
        """Whether every number's step is one function of its own gradients, whatever its name."""
        apart = self.rates or self.options.weight_decay or (self.options.eps and self.epsilons)
        return self.base not in PER_TENSOR and not apart

    @property
    def adaptive(self) -> bool:
        """Whether the step's size does not follow the gradient's, as that of Adam and its like."""
        return self.base not in PROPORTIONAL

    @property
    def sign_like(self) -> bool:
        """Whether the first step does not shrink with the gradient, ε apart."""
        return self.base not in _TAPERED

    @property
    def scale_free(self) -> bool:
        """Whether gradients times one number make the same first step."""
        return self.sign_like and self.options.eps is None

    def with_rates(
        self,
        rates: Mapping[str, float],
        weight_decays: Mapping[str, float] | None = None,
        epsilons: Mapping[str, float] | None = None,
    ) -> "StepRule":
        """Return the same rule with factors on learning rate, weight decay and ε by role.

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
        if not self.adaptive:
            return self
        return replace(
            self,
            rates=dict(rates),
            weight_decays=dict(weight_decays or {}),
            epsilons=dict(epsilons or {}),
        )

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
            The parameter, which LAMB, Adafactor, Muon and weight decay need.
        parameter
            Its name: ``in_proj`` holds three matrices, and factors on the rate go by names.
        past
            Earlier gradients, first to last.

        Examples
        --------
        >>> step_rule_named("sign")(torch.tensor([2.0, -3.0]))
        tensor([-1.,  1.])
        >>> decayed = step_rule_named("adamw:weight_decay=0.1")
        >>> decayed(torch.tensor([2.0, -3.0]), torch.tensor([1.0, 1.0]))
        tensor([-1.1000,  0.9000])
        """
        if theta is None and (self.base in PER_TENSOR or self.options.weight_decay):
            raise InputError(f"{self.name} needs the parameter beside its gradient")
        history = [*past, gradient]
        by_role = self.rates or self.weight_decays or self.epsilons or self.base in PER_TENSOR
        if not by_role:
            return self._step(history, theta, "", 0)
        packed = parameter.rpartition(".")[2] == "in_proj"
        if not packed:
            return self._step(history, theta, parameter, 0)
        tensors = (*history, gradient if theta is None else theta)
        thirds = zip(*(tensor.chunk(3) for tensor in tensors), strict=True)
        return torch.cat(
            [self._step(own, at, parameter, part) for part, (*own, at) in enumerate(thirds)]
        )

    def _step(
        self, history: GradientHistory, theta: Tensor | None, parameter: str, part: int
    ) -> Tensor:
        """The step of one tensor: a parameter, or one matrix of several in it."""
        factor = partial(_factor, parameter, part)
        options, at = self.options, history[-1] if theta is None else theta
        way = adam if self.base in MUONS and is_table(parameter) else self.direction
        if options.eps is not None and self.epsilons:
            way = partial(_EPSILON_RULES[self.base], epsilon=options.eps * factor(self.epsilons))
        step = -way(history, at)
        if options.weight_decay:
            step = step - factor(self.weight_decays) * options.weight_decay * at
        rate = factor(self.rates)
        return step if rate == 1.0 else rate * step


def _factor(parameter: str, part: int, table: Mapping[str, float]) -> float:
    """A table's factor on one matrix of a parameter."""
    return factors_of(parameter, table)[part] if table else 1.0


def is_table(parameter: str) -> bool:
    """Whether a parameter is an embedding or a table of positions, or a row of one."""
    return parameter != "" and roles_of(parameter)[0][0] in ("embeddings", "output")


RULES: Mapping[str, StepRule] = {name: StepRule(name, way) for name, way in DIRECTIONS.items()}
"""Every rule without numbers, by name."""


def step_rule_named(optimizer: str) -> StepRule:
    """Look the step rule of an optimizer up; its numbers may stand behind colons.

    Raises
    ------
    InputError
        Naming the nearest known optimizer, or number of it.

    Examples
    --------
    >>> step_rule_named("adamw:weight_decay=0.1:eps=0.001").options
    RuleOptions(weight_decay=0.1, eps=0.001)
    """
    base = optimizer.partition(":")[0]
    if base not in RULES:
        raise nearest(base, RULES, "optimizer")
    base, options = split_name(optimizer)
    if base == optimizer:
        return RULES[base]
    if options.eps is None:
        return StepRule(optimizer, DIRECTIONS[base], options=options)
    return StepRule(optimizer, partial(_EPSILON_RULES[base], epsilon=options.eps), options=options)


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
