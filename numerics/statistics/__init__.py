"""From measured numbers to decisions: intervals, exponents in the depth, growth laws, tolerances."""

__all__ = [
    "tolerances",
    "exponents",
    "growth_laws",
]
