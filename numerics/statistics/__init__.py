"""From measured numbers to decisions: intervals, depth exponents, growth laws, tolerances."""

__all__ = [
    "tolerances",
    "exponents",
    "growth_laws",
]
