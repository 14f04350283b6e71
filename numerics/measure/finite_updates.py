"""How far a step of finite learning rate moves f, and that this converges to the exact limit.

With step s, the remainder r(η) = (f(θ + ηs) − f(θ))/η − J s is O(η) where f is twice
differentiable along s: on log–log axes ‖r‖ has slope 1. A wrong J s leaves a constant, slope 0.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from numerics.linearization.autodiff import gradient
from numerics.linearization.cotangents import random_cotangent
from numerics.linearization.engines import linearize
from numerics.linearization.measured_function import InputKind, features_of, in_precision
from numerics.linearization.types import Cotangent
from numerics.linearization.update_directions import step_rule_named
from numerics.models import Transformer
from numerics.models.roles import contains, part_named
from numerics.models.tokens import TokenBatch, output_shape
from numerics.statistics.exponents import Exponent, NoExponent, power_law
from theory.errors import InputError

MOVES = (1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7, 1e-7)
"""Relative changes η‖J s‖/‖f‖: above rounding (1e-16), and mostly too small to cross a ReLU's kink
anywhere, which would add steps to the straight line."""


def finite_update(
    model: Transformer,
    batch: TokenBatch,
    generator: torch.Generator,
    *,
    eta: float,
    optimizer: str = "sgd",
    inputs: InputKind = "free",
) -> float:
    """How far a step of finite η moves f: ‖f(θ + ηs) − f(θ)‖/η in float64.

    Examples
    --------
    >>> from numerics.models.tokens import random_batch
    >>> from numerics.models import ModelSpec
    >>> from numerics.schemes import build
    >>> from numerics.measure.updates import measure_update
    >>> model = build("tfixup", ModelSpec(1, 1), torch.Generator().manual_seed(0))
    >>> batch = random_batch(model.spec, torch.Generator().manual_seed(1))
    >>> finite = finite_update(model, batch, torch.Generator().manual_seed(2), eta=1e-6)
    >>> exact = measure_update(model, batch, torch.Generator().manual_seed(2))
    >>> abs(finite / exact.update["total"] - 1) < 1e-4
    True
    """
    cotangent = random_cotangent(output_shape(model.spec, batch), generator)
    move = _mover(in_precision(model, torch.float64), batch, cotangent, optimizer, inputs)
    return float(move(eta).norm())


def remainder_slope(
    model: Transformer,
    batch: TokenBatch,
    generator: torch.Generator,
    *,
    moves: Sequence[float] = MOVES,
    optimizer: str = "sgd",
    inputs: InputKind = "free",
    dropped: str | None = None,
) -> Exponent | NoExponent:
    """Fit the log–log slope of ‖r(η)‖ in η: it is 1 if the exact limit is right.

    The learning rates are η = move · ‖f‖/‖J s‖.

    ``dropped`` leaves one part out of J s, the negative control: the slope is then 0.
    """
    left_out = None if dropped is None else part_named(dropped)
    wide = in_precision(model, torch.float64)
    cotangent = random_cotangent(output_shape(model.spec, batch), generator)
    move = _mover(wide, batch, cotangent, optimizer, inputs)
    [found] = linearize([wide], [batch], [cotangent], step_rule_named(optimizer), inputs=inputs)
    kept = [i for i, leaf in enumerate(found.groups) if not (left_out and contains(left_out, leaf))]
    exact = found.tangents[kept].sum(0)
    scale = float(found.output.norm() / found.tangents.sum(0).norm())
    etas = [move * scale for move in moves]
    return power_law(etas, [float((move(eta) - exact).norm()) for eta in etas])


def _mover(
    model: Transformer, batch: TokenBatch, cotangent: Cotangent, optimizer: str, inputs: InputKind
) -> Callable[[float], Tensor]:
    """The change of f per rate as a function of the rate: η ↦ (f(θ + ηs) − f(θ))/η."""
    rule = step_rule_named(optimizer)
    function, parameters = features_of(model, batch, inputs)
    output, gradients = gradient(function, parameters, cotangent)

    def move(eta: float) -> Tensor:
        if not 0 < eta < float("inf"):
            raise InputError(f"eta must be positive and finite, got {eta}")
        moved = {
            name: p + eta * rule(gradients[name], p, parameter=name)
            for name, p in parameters.items()
        }
        return (function(moved) - output) / eta

    return move
