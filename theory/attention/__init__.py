"""Attention in the scalar model of Theorem 3.1, and what remains of the theorem for matrices.

``scalar`` defines the model and its update gain K; ``theorem31`` states the theorem as printed and
repaired; ``counterexamples`` refute the printed form; ``finite_step`` bounds a step that is not
infinitesimal. The modules whose names begin with ``matrix`` do the same for widths above one, many
queries and heads.
"""

__all__ = [
    "scalar",
    "scalar_hessian",
    "theorem31",
    "counterexamples",
    "finite_step",
    "matrix",
    "matrix_gain",
    "matrix_norms",
    "matrix_spectrum",
    "matrix_theorem",
]
