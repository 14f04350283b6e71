"""The response of any function to one optimizer step, by automatic differentiation.

This engine takes any differentiable function of named parameters, and is the oracle against which
the closed forms are tested. One forward pass gives f(θ). One reverse pass gives the gradient
g(u) = Jᵀu, which the rule turns into the steps s. Because g is linear in u, its own derivative is
J: the reverse pass of u ↦ ⟨g(u), s⟩ gives J s, in half the time of another forward and reverse pass
and with nothing computed twice. Groups of parameters differ in s alone, so several of them go
through that pass together (`torch.vmap`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import vjp

from numerics.linearization.groupings import Groups
from numerics.linearization.strain import StrainGauge
from numerics.linearization.types import Cotangent, Linearization, Parameters
from numerics.linearization.update_directions import StepRule

MOST_TOGETHER = 8
"""Groups that go through one pass; more cost memory and gain nothing."""
MOST_ZEROS = 2.0
"""Largest size of the steps of one pass, in units of all parameters. A pass of c groups also
multiplies zeros, c − 1 for each number of a step; beyond this they cost more than is saved."""


def gradient(
    function: Callable[[Parameters], Tensor], parameters: Parameters, cotangent: Cotangent
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return f(θ) and the gradient Jᵀu.

    Examples
    --------
    >>> value, grad = gradient(lambda p: p["a"] * p["b"],
    ...     {"a": torch.tensor([2.0]), "b": torch.tensor([3.0])}, torch.ones_like)
    >>> grad["a"].item(), grad["b"].item()
    (3.0, 2.0)
    """
    output, pull = vjp(function, dict(parameters))[:2]
    (gradients,) = pull(cotangent(output))
    return output, gradients


def linearize(
    function: Callable[[Parameters], Tensor],
    parameters: Parameters,
    cotangent: Cotangent,
    rule: StepRule,
    groups: Groups,
    earlier: Sequence[Cotangent] = (),
) -> Linearization:
    """Linearise a function at its parameters, and take one step of every group.

    Parameters
    ----------
    function
        θ ↦ f(θ), twice differentiable by torch: fused attention kernels are not.
    parameters
        θ, by name.
    cotangent
        f ↦ u.
    rule
        Gradients ↦ step.
    groups
        A partition of the parameters, as `numerics.linearization.groupings.groups_of` makes it.
    earlier
        Cotangents whose gradients the optimizer has seen before, at the same weights.

    Examples
    --------
    >>> from numerics.linearization.groupings import Piece
    >>> from numerics.linearization.update_directions import step_rule_named
    >>> found = linearize(lambda p: p["a"] * p["b"],
    ...     {"a": torch.tensor([2.0]), "b": torch.tensor([3.0])}, torch.ones_like,
    ...     step_rule_named("sgd"), {"a": [Piece("a")], "b": [Piece("b")]})
    >>> found.tangents.flatten().tolist(), found.energies.tolist()
    ([-9.0, -4.0], [9.0, 4.0])
    """
    with torch.enable_grad():
        theta = {name: value.detach().requires_grad_() for name, value in parameters.items()}
        with StrainGauge() as gauge:
            output = function(theta)
        value = output.detach()
        past = [_pull(output, theta, seen(value)) for seen in earlier]
        u = cotangent(value).clone().requires_grad_()
        slopes = _pull(output, theta, u, create_graph=True)
    gradients = {name: slope.detach() for name, slope in slopes.items()}
    steps = {
        name: rule(
            own, parameters[name], parameter=name, past=[before[name] for before in past]
        ).detach()
        for name, own in gradients.items()
    }
    energies = [
        energy((piece.of(gradients[piece.parameter]) for piece in pieces), like=value)
        for pieces in groups.values()
    ]
    return Linearization(
        tuple(groups),
        value,
        torch.cat([*_push(slopes, u, steps, groups)]),
        torch.stack(energies),
        gauge.strain(like=value),
    )


def _pull(
    output: Tensor, theta: Parameters, u: Tensor, *, create_graph: bool = False
) -> dict[str, Tensor]:
    """The gradient Jᵀu, differentiable by u where asked for."""
    slopes = torch.autograd.grad(
        output,
        list(theta.values()),
        u,
        create_graph=create_graph,
        retain_graph=True,
        materialize_grads=True,
    )
    return dict(zip(theta, slopes, strict=True))


def _push(
    slopes: Parameters, u: Tensor, steps: Parameters, groups: Groups
) -> Iterator[Float[Tensor, "C ..."]]:
    """The tangents J_p s_p of all groups, some at a time, by differentiating g(u) = Jᵀu by u."""
    passes = list(_passes(groups, steps))
    for number, together in enumerate(passes):
        own = _own_steps([groups[name] for name in together], steps)
        # A parameter that f does not depend on has a gradient of zeros that is no function of u.
        moved = [name for name in own if slopes[name].requires_grad]
        if not moved:
            yield u.new_zeros(len(together), *u.shape)
            continue
        last = number == len(passes) - 1
        batched = len(together) > 1
        (tangents,) = torch.autograd.grad(
            [slopes[name] for name in moved],
            u,
            [own[name] if batched else own[name][0] for name in moved],
            is_grads_batched=batched,
            retain_graph=not last,
        )
        yield tangents.detach() if batched else tangents.detach()[None]


def _passes(groups: Groups, steps: Parameters) -> Iterator[list[str]]:
    """Which groups go through a pass together."""
    most = MOST_ZEROS * sum(step.numel() for step in steps.values())
    together: list[str] = []
    numbers = 0
    for name, pieces in groups.items():
        # Of whole parameters: a piece brings zeros for the rest of its own.
        own = sum(steps[parameter].numel() for parameter in {p.parameter for p in pieces})
        full = len(together) == MOST_TOGETHER or (len(together) + 1) * (numbers + own) > most
        if together and full:
            yield together
            together, numbers = [], 0
        together, numbers = [*together, name], numbers + own
    if together:
        yield together


def _own_steps(groups: Sequence[Sequence], steps: Parameters) -> dict[str, Float[Tensor, "C ..."]]:
    """Of every parameter in C groups, C steps: each group's own pieces, and 0 elsewhere."""
    stacked: dict[str, Tensor] = {}
    for number, pieces in enumerate(groups):
        for piece in pieces:
            step = steps[piece.parameter]
            if len(groups) == 1 and piece.rows is None:
                stacked[piece.parameter] = step[None]
                continue
            if piece.parameter not in stacked:
                stacked[piece.parameter] = step.new_zeros(len(groups), *step.shape)
            piece.of(stacked[piece.parameter][number]).copy_(piece.of(step))
    return stacked


def energy(tensors: Iterable[Tensor], *, like: Tensor) -> Float[Tensor, ""]:
    """Sum of squares of all entries in float64; 0 for no tensors."""
    norms = [torch.linalg.vector_norm(tensor, dtype=torch.float64) for tensor in tensors]
    if not norms:
        return torch.zeros((), dtype=torch.float64, device=like.device)
    return torch.stack(norms).square().sum()
