"""J step and Jᵀu of any function of named parameters, part by part, by automatic differentiation.

f(θ) is the measured function, J = ∂f/∂θ, u a cotangent on f. One reverse pass gives the gradient
g = Jᵀu, an update rule turns it into a step direction s(g), and because J s is linear in s a
forward pass a part gives the *tangents* J_p s_p, whose sum is lim_{η→0} (f(θ + ηs) − f(θ))/η.

This is the generic path (`torch.func`, any model) and the oracle against which the closed forms of
``closed_form`` are tested.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jvp, vjp

from numerics.linearization.update_directions import Rule

Parameters = Mapping[str, Tensor]
Cotangent = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Linearization:
    """f at θ, and its response to a step, split by part."""

    parts: tuple[str, ...]
    """Names of the P parts; every parameter belongs to exactly one."""
    output: Float[Tensor, "..."]
    """f(θ)."""
    tangents: Float[Tensor, "P ..."]
    """J_p s_p."""
    energies: Float[Tensor, " P"]
    """‖J_pᵀu‖², in float64."""


def gradient(
    function: Callable[[Parameters], Tensor], parameters: Parameters, cotangent: Cotangent
) -> tuple[Tensor, dict[str, Tensor]]:
    """f(θ) and Jᵀu.

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
    rule: Rule,
    part_of: Callable[[str], str],
    parts: Sequence[str],
    earlier: Sequence[Cotangent] = (),
) -> Linearization:
    """One reverse pass, then one forward pass a part; first one reverse pass an earlier cotangent.

    ``earlier`` are cotangents whose gradients the optimizer has seen before, at the same weights.
    """
    past = [gradient(function, parameters, before)[1] for before in earlier]
    output, gradients = gradient(function, parameters, cotangent)
    zeros = {name: torch.zeros_like(value) for name, value in parameters.items()}
    tangents, energies = [], []
    for part in parts:
        own = {name: value for name, value in gradients.items() if part_of(name) == part}
        step = zeros | {
            name: rule(
                value, parameters[name], parameter=name, past=[before[name] for before in past]
            )
            for name, value in own.items()
        }
        tangents.append(jvp(function, (dict(parameters),), (step,))[1])
        energies.append(energy(own.values(), like=output))
    return Linearization(tuple(parts), output, torch.stack(tangents), torch.stack(energies))


def energy(tensors: Iterable[Tensor], *, like: Tensor) -> Float[Tensor, ""]:
    """Σ ‖tensor‖² in float64, 0 for none."""
    total = torch.zeros((), dtype=torch.float64, device=like.device)
    for tensor in tensors:
        total = total + torch.linalg.vector_norm(tensor, dtype=torch.float64).square()
    return total
