"""The exact response of a network to one infinitesimal step of an optimizer.

f(θ) is a function of named parameters, J its Jacobian, u a cotangent on f. One reverse pass gives
the gradient Jᵀu, an update rule turns it into a step s, and J s is what the step does to f. There
are two engines. ``autodiff`` takes any function. ``closed_form`` is faster and knows the
Transformer of this project. ``engines`` is the one door to both.
"""

__all__ = [
    "types",
    "measured_function",
    "cotangents",
    "update_directions",
    "groupings",
    "strain",
    "written_attention",
    "forward_operations",
    "autodiff",
    "closed_form",
    "engines",
]
