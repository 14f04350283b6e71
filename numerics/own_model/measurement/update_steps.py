"""What an optimizer makes of the gradients of a whole module: steps ÷ η, tensor by tensor.

The update rules are the project's own (`direction`), with three additions. AdamW is Adam's step and
its decoupled decay, −λθ. Muon turns hidden matrices only; embeddings, heads and vectors take Adam's
step, as in its reference. Rules that look at a whole tensor see the matrices that are packed in one
parameter apart, where the structure says which rows are which.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from numerics.own_model.measurement.noise import without_noise
from numerics.own_model.measurement.private_copy import Parameters
from numerics.structure.types import TensorView
from theory.errors import nearest

SIGN_LIKE = ("sign", "adam", "adamw", "lion", "lamb", "muon")
"""Rules whose step does not shrink with the gradient, so that rounding would move the weights."""
_LARGE = 1e10
DECAY = 0.01
"""AdamW's default weight decay in torch."""
_ENDS = ("embedding", "positions", "head")


def optimizer_names() -> tuple[str, ...]:
    """The names of all update rules.

    Examples
    --------
    >>> {"sgd", "adamw", "muon"} <= set(optimizer_names())
    True
    """
    return tuple(_rules())


def require_optimizer(name: str) -> None:
    """Raise unless the update rule is known; the error offers the nearest name."""
    if name not in optimizer_names():
        raise nearest(name, optimizer_names(), "optimizer")


def steps(
    optimizer: str,
    history: Sequence[Parameters],
    parameters: Parameters,
    views: Sequence[TensorView] = (),
    *,
    ends: Sequence[str] = (),
    decay: float = DECAY,
    rates: Mapping[str, float] | None = None,
) -> dict[str, Tensor]:
    """The step of every parameter, divided by the learning rate.

    Parameters
    ----------
    optimizer
        A name of `optimizer_names`.
    history
        Gradients by parameter, first to last; the last are the current ones.
    parameters
        θ.
    views
        The roles of the parameters, where the structure is understood.
    ends
        Parameters that Muon leaves to Adam, where there are no views.
    decay
        AdamW's λ.
    rates
        Factors on the learning rate by parameter; 1 where one is not named.

    Examples
    --------
    >>> theta = {"w": torch.ones(2)}
    >>> steps("adamw", [{"w": torch.tensor([3.0, -2.0])}], theta)["w"]
    tensor([-1.0100,  0.9900])
    """
    require_optimizer(optimizer)
    if optimizer in SIGN_LIKE:
        # The cotangent's size is arbitrary: gradients are made large, so that Adam's ε is nothing.
        history = _enlarged([without_noise(gradients) for gradients in history])
    rule = _rules()[optimizer]
    by_parameter: dict[str, list[TensorView]] = {}
    for view in views:
        by_parameter.setdefault(view.parameter, []).append(view)
    made: dict[str, Tensor] = {}
    for name, theta in parameters.items():
        own = by_parameter.get(name, [])
        past = [gradients[name] for gradients in history]
        at_an_end = name in ends or any(view.role in _ENDS for view in own)
        if optimizer == "muon" and (at_an_end or (not own and theta.dim() != 2)):
            step = _rules()["adam"].direction(past, theta)
        elif optimizer in ("muon", "lamb") and own:
            step = _by_view(rule.direction, own, past, theta, turns=optimizer == "muon")
        else:
            step = rule.direction(past, theta)
        factor = 1.0 if rates is None else rates.get(name, 1.0)
        step = -step - decay * theta if optimizer == "adamw" else -step
        made[name] = factor * step
    return made


def _by_view(
    direction: Any, views: Sequence[TensorView], past: Sequence[Tensor], theta: Tensor, turns: bool
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


def _rules() -> Mapping[str, Any]:
    """The project's update rules; the one place that knows where they live."""
    from numerics.linearization.update_directions import RULES

    return RULES
