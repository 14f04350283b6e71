"""What every engine of linearisation takes and returns.

f(θ) is the measured function of named parameters θ, J = ∂f/∂θ its Jacobian, u a cotangent on f.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

Parameters = Mapping[str, Tensor]
"""θ, or a gradient or a step of θ, by the parameters' names."""
Cotangent = Callable[[Tensor], Tensor]
"""f ↦ u, of the shape of f."""


@dataclass(frozen=True)
class Linearization:
    """The function at θ and its response to one optimizer step, split by groups of parameters."""

    groups: tuple[str, ...]
    """Names of the P groups. Every number of every parameter belongs to exactly one."""
    output: Float[Tensor, "..."]
    """The function before the step, f(θ)."""
    tangents: Float[Tensor, "P ..."]
    """J_p s_p: what the step s_p of group p alone does to f, divided by the learning rate."""
    energies: Float[Tensor, " P"]
    """Energy of the cotangent's gradient by group, ‖J_pᵀu‖², in float64."""
    strain: Float[Tensor, ""]
    """How much the forward pass amplifies rounding errors: see `numerics.linearization.strain`."""
