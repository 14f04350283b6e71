"""What a derivation is made of: statements with their checks, and orders of growth in the depth.

A derivation is a list of steps. Each step states something and carries the computation that checked
it, together with a false variant that the same computation rejects. Start with ``derivation``.
"""

__all__ = [
    "statements",
    "derivation",
    "orders",
    "sums",
    "number",
]
