"""The mean-field prediction of ``theory.mean_field`` beside the measurement of the same model."""

__all__ = [
    "network",
    "compare",
]
