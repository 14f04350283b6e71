"""The variance of Adam's adaptive step, as RAdam states it and exactly."""

__all__ = [
    "variance",
    "average_length",
    "rectification",
    "inverse_chi",
    "gamma_ratio",
    "first_order_variance",
]
