"""Several optimizer steps of a user's module, and what they tell about tensors that do not move.

The loss is ⟨u, f(θ)⟩ with one random u. Its gradient at f does not change, so that only the model
does. With θ_t after t steps of rate η, ‖f(θ_t) − f(θ_0)‖ is measured, and whether each tensor has a
gradient at θ_t. A tensor whose gradient is zero at first and not afterwards waits for another one
(one zero in a product). One whose gradient stays zero is dead (two zeros in a product, or nothing
reads it).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from numerics.linearization.types import Parameters
from numerics.linearization.walk import Stop, require_walk
from numerics.linearization.walk import walk as walked
from numerics.own_model.measurement.conditions import measuring
from numerics.own_model.measurement.function import ModuleFunction
from numerics.own_model.measurement.noise import without_noise
from numerics.own_model.measurement.update_steps import sign_like, steps
from numerics.structure.types import TensorView


@dataclass(frozen=True)
class Walk:
    """What a number of steps did."""

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
    >>> import torch
    >>> from torch import nn
    >>> from numerics.own_model.measurement.function import module_function
    >>> layers = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    >>> _ = nn.init.zeros_(layers[1].weight)
    >>> f = module_function(layers, torch.ones(1, 2), output="logits")
    >>> walk(f, "sgd", rate=0.1, count=2).alive_at
    {'0.weight': 1}
    """
    require_walk(rate, count)
    stops: list[Stop] = []
    alive: dict[str, int | None] = {}
    with measuring():
        u = function.random_cotangent(seed)

        def step(history: Sequence[Parameters], theta: Parameters) -> Parameters:
            return steps(optimizer, history, theta, views, ends=ends, rates=rates)

        def gradient(theta: Parameters) -> tuple[Tensor, Parameters]:
            return function.gradient(u, theta)

        for stop in walked(gradient, step, function.parameters, rate=rate, count=count):
            stops.append(stop)
            shown = without_noise(stop.gradients) if sign_like(optimizer) else stop.gradients
            for name, g in shown.items():
                moving = bool((g != 0).any())
                if stop.t == 0 and not moving and name not in function.measured.after:
                    alive[name] = None
                elif moving and name in alive and alive[name] is None:
                    alive[name] = stop.t
    changes = tuple(stop.change for stop in stops[1:])
    size = stops[0].size
    relative = tuple(change / size if size else float("inf") for change in changes)
    return Walk(optimizer, rate, changes, relative, alive)
