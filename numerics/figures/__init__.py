"""Figures of sweeps: curves over the depth, exponents with intervals, shares along the layers."""

__all__ = [
    "sweep",
    "exponents",
    "layer_profile",
]
