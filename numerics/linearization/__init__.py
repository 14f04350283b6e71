"""The exact response of a network to one infinitesimal step of an optimizer.

f(θ) is a function of named parameters, J its Jacobian, u a cotangent on f. One reverse pass gives
the gradient Jᵀu, an update rule turns it into a step s, and forward passes give J s. ``autodiff``
does this for any function; ``closed_form`` does it faster for the Transformer of this project.
"""

__all__ = [
    "measured_function",
    "update_directions",
    "autodiff",
]
