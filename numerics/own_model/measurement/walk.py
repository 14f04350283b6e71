"""Several optimizer steps of a user's module, and what they tell about tensors that do not move.

The loss is ⟨u, f(θ)⟩ with one random u, whose gradient at f does not change, so that what changes
is the model. With θ_t after t steps of rate η measured are ‖f(θ_t) − f(θ_0)‖ and whether each
tensor has a gradient at θ_t. A tensor whose gradient is zero at first and not afterwards waits for
another one (one zero in a product); one whose gradient stays zero is dead (two zeros in a product,
or nothing reads it).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from numerics.own_model.measurement.conditions import measuring
from numerics.own_model.measurement.function import ModuleFunction
from numerics.own_model.measurement.noise import without_noise
from numerics.own_model.measurement.private_copy import Parameters
from numerics.own_model.measurement.update_steps import sign_like, steps
from numerics.structure.types import TensorView
from theory.errors import InputError, require_positive


@dataclass(frozen=True)
class Walk:
    """What k steps did."""

    optimizer: str
    rate: float
    changes: tuple[float, ...]
    """‖f(θ_t) − f(θ_0)‖ for t = 1, …, k."""
    relative: tuple[float, ...]
    """The same over ‖f(θ_0)‖."""
    alive_at: Mapping[str, int | None]
    """Per tensor without a gradient at θ_0: the first step t at which it has one, or ``None``."""

    @property
    def waking(self) -> tuple[str, ...]:
        """Tensors that have a gradient after some steps."""
        return tuple(name for name, at in self.alive_at.items() if at is not None)

    @property
    def dead(self) -> tuple[str, ...]:
        """Tensors that have none in all k steps."""
        return tuple(name for name, at in self.alive_at.items() if at is None)


def walk(
    function: ModuleFunction,
    optimizer: str,
    *,
    rate: float,
    count: int,
    seed: int = 0,
    views: tuple[TensorView, ...] = (),
    ends: tuple[str, ...] = (),
    rates: Mapping[str, float] | None = None,
) -> Walk:
    """Take ``count`` steps of a private copy's parameters.

    Raises
    ------
    InputError
        If the rate or the count is not positive.

    Examples
    --------
    >>> from torch import nn
    >>> from numerics.own_model.measurement.function import module_function
    >>> layers = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    >>> _ = nn.init.zeros_(layers[1].weight)
    >>> f = module_function(layers, torch.ones(1, 2), output="logits")
    >>> walk(f, "sgd", rate=0.1, count=2).alive_at
    {'0.weight': 1}
    """
    require_positive(steps=count)
    if not rate > 0:
        raise InputError(f"lr must be positive, got {rate}")
    theta: Parameters = function.parameters
    history: list[Parameters] = []
    changes: list[float] = []
    alive: dict[str, int | None] = {}
    with measuring():
        u = function.random_cotangent(seed)
        start = None
        for t in range(count + 1):
            value, gradients = function.gradient(u, theta)
            start = value if start is None else start
            shown = without_noise(gradients) if sign_like(optimizer) else gradients
            for name, g in shown.items():
                moving = bool((g != 0).any())
                if t == 0 and not moving and name not in function.measured.after:
                    alive[name] = None
                elif moving and name in alive and alive[name] is None:
                    alive[name] = t
            if t:
                changes.append(float(torch.linalg.vector_norm((value - start).double())))
            if t < count:
                history.append(gradients)
                step = steps(optimizer, history, theta, views, ends=ends, rates=rates)
                theta = {name: theta[name] + rate * s for name, s in step.items()}
        assert start is not None
        size = float(torch.linalg.vector_norm(start.double()))
    relative = tuple(change / size if size else float("inf") for change in changes)
    return Walk(optimizer, rate, tuple(changes), relative, alive)
