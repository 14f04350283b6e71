"""Figures of results, and how all of them look.

Curves over the depth, exponents with their intervals, shares along the layers, and the evidence of
a verdict.
"""

__all__ = [
    "style",
    "sweep",
    "exponents",
    "layer_profile",
    "verdict",
    "markup",
]
