"""What an optimizer makes of the gradients of a whole module: steps ÷ η, tensor by tensor.

The update rules and their names are those of `numerics.linearization.update_directions`: ``adamw``
alone has no weight decay, ``adamw:weight_decay=0.01`` has torch's. Muon turns hidden matrices only;
embeddings, heads and vectors take Adam's step, as in its reference. Rules that look at a whole
tensor treat the matrices that are packed in one parameter separately, where the structure says
which rows are which.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from numerics.linearization.types import Parameters
from numerics.linearization.update_directions import (
    DIRECTIONS,
    PER_TENSOR,
    Direction,
    step_rule_named,
)
from numerics.own_model.measurement.noise import without_noise
from numerics.structure.types import TensorView
from theory.scales.muon_scalings import MUONS

_LARGE = 1e10
_ENDS = ("embedding", "positions", "head")


def optimizer_names() -> tuple[str, ...]:
    """The names of all update rules.

    Examples
    --------
    >>> {"sgd", "adamw", "muon"} <= set(optimizer_names())
    True
    """
    return tuple(DIRECTIONS)


def require_optimizer(name: str) -> None:
    """Raise unless the update rule and its numbers are known; the error offers the nearest name."""
    step_rule_named(name)


def sign_like(name: str) -> bool:
    """Whether a rule's step does not shrink with the gradient, so that rounding would move weights.

    Examples
    --------
    >>> sign_like("adamw"), sign_like("sgd"), sign_like("radam")
    (True, False, False)
    """
    return step_rule_named(name).sign_like


def steps(
    optimizer: str,
    history: Sequence[Parameters],
    parameters: Parameters,
    views: Sequence[TensorView] = (),
    *,
    ends: Sequence[str] = (),
    rates: Mapping[str, float] | None = None,
) -> dict[str, Tensor]:
    """The step of every parameter, divided by the learning rate.

    Parameters
    ----------
    optimizer
        A name of `optimizer_names`, with its numbers behind colons.
    history
        Gradients by parameter, first to last; the last are the current ones.
    parameters
        θ.
    views
        The roles of the parameters, where the structure is understood.
    ends
        Parameters that Muon leaves to Adam, where there are no views.
    rates
        Factors on the learning rate by parameter; 1 where one is not named.

    Examples
    --------
    >>> theta = {"w": torch.ones(2)}
    >>> steps("adamw:weight_decay=0.01", [{"w": torch.tensor([3.0, -2.0])}], theta)["w"]
    tensor([-1.0100,  0.9900])
    """
    rule = step_rule_named(optimizer)
    if rule.sign_like:
        history = [without_noise(gradients) for gradients in history]
    if rule.scale_free:
        # The cotangent's size is arbitrary: gradients are made large, so that Adam's ε is nothing.
        history = _enlarged(history)
    by_parameter: dict[str, list[TensorView]] = {}
    for view in views:
        by_parameter.setdefault(view.parameter, []).append(view)
    made: dict[str, Tensor] = {}
    for name, theta in parameters.items():
        own = by_parameter.get(name, [])
        past = [gradients[name] for gradients in history]
        at_an_end = name in ends or any(view.role in _ENDS for view in own)
        if rule.base in MUONS and (at_an_end or (not own and theta.dim() != 2)):
            step = DIRECTIONS["adam"](past, theta)
        elif rule.base in PER_TENSOR and own:
            step = _by_view(rule.direction, own, past, theta, turns=rule.base in MUONS)
        else:
            step = rule.direction(past, theta)
        factor = 1.0 if rates is None else rates.get(name, 1.0)
        made[name] = factor * -(step + rule.options.weight_decay * theta)
    return made


def _by_view(
    direction: Direction,
    views: Sequence[TensorView],
    past: Sequence[Tensor],
    theta: Tensor,
    turns: bool,
) -> Tensor:
    """The direction of each packed matrix on its own."""
    numbers = torch.arange(theta.numel(), device=theta.device).reshape(theta.shape)
    step = torch.zeros_like(theta).flatten()
    done = torch.zeros(theta.numel(), dtype=torch.bool, device=theta.device)
    for view in views:
        chosen = view.of(numbers)
        if not chosen.numel() or bool(done[chosen.flatten()].any()):
            continue
        pieces, own = [view.of(gradient) for gradient in past], view.of(theta)
        transposed = turns and own.dim() == 2 and view.fan_in_axis == 0  # rows are outputs
        if transposed:
            pieces, own = [piece.T for piece in pieces], own.T
        found = direction(pieces, own)
        step[chosen.flatten()] = (found.T if transposed else found).flatten()
        done[chosen.flatten()] = True
    if not bool(done.all()):
        rest = (~done).nonzero().flatten()
        left = [gradient.flatten()[rest] for gradient in past]
        step[rest] = direction(left, theta.flatten()[rest])
    return step.reshape(theta.shape)


def _enlarged(history: Sequence[Parameters]) -> list[Parameters]:
    """All gradients times one number that makes the largest entry 1e10."""
    tensors = [g for gradients in history for g in gradients.values() if g.numel()]
    largest = max((float(g.abs().max()) for g in tensors), default=0.0)
    if not 0 < largest < float("inf"):
        return list(history)
    return [{name: g / largest * _LARGE for name, g in each.items()} for each in history]
