"""Several optimizer steps of a function's parameters, one after another, with a finite rate.

Where the exact limit says what the first step does, a walk says what follows: a branch whose last
matrix starts at 0 moves f through that matrix alone at first, and through all others afterwards.
With θ_t the parameters after t steps, each stop of a walk has f(θ_t) and the gradients there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from numerics.linearization.types import Parameters
from theory.errors import InputError, require_positive

Gradient = Callable[[Parameters], tuple[Tensor, Parameters]]
"""θ ↦ f(θ) and the gradient of the loss there."""
StepFromGradients = Callable[[Sequence[Parameters], Parameters], Parameters]
"""All gradients, first to last, and θ ↦ the step of every parameter ÷ η, its sign included."""


@dataclass(frozen=True)
class Stop:
    """Where a walk is after t steps."""

    t: int
    """Steps taken; 0 is the start."""
    change: float
    """‖f(θ_t) − f(θ_0)‖."""
    size: float
    """‖f(θ_0)‖."""
    gradients: Parameters
    """The loss's gradient at θ_t."""


def require_walk(rate: float | None, count: int) -> None:
    """Refuse a walk without steps or without a rate.

    Raises
    ------
    InputError
        If the rate or the count is not positive.
    """
    require_positive(steps=count)
    if rate is None or not 0 < rate < float("inf"):
        raise InputError(f"lr must be positive and finite, got {rate}")


def walk(
    gradient: Gradient, step: StepFromGradients, theta: Parameters, *, rate: float, count: int
) -> Iterator[Stop]:
    """Take ``count`` steps of ``rate`` and yield the start and every stop.

    Parameters
    ----------
    gradient
        θ ↦ f(θ) and the gradient.
    step
        Gradients and θ ↦ steps ÷ η.
    theta
        θ_0, which is left as it is.

    Examples
    --------
    >>> one = {"w": torch.tensor([1.0])}
    >>> [stop.change for stop in walk(lambda p: (2 * p["w"], {"w": torch.tensor([2.0])}),
    ...     lambda history, p: {"w": -history[-1]["w"]}, one, rate=0.25, count=2)]
    [0.0, 1.0, 2.0]
    """
    require_walk(rate, count)
    history: list[Parameters] = []
    start: Tensor | None = None
    for t in range(count + 1):
        value, gradients = gradient(theta)
        start = value if start is None else start
        yield Stop(t, _norm(value - start), _norm(start), gradients)
        if t < count:
            history.append(gradients)
            taken = step(history, theta)
            theta = {name: theta[name] + rate * taken[name] for name in theta}


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor.double()))
