"""How far one optimizer step moves the function: ‖Δf‖/η in total and by group of parameters.

``updates`` is the entry. ``accuracy`` says whether its numbers are right, and ``by_group`` splits
them further.
"""

__all__ = [
    "report",
    "updates",
    "accuracy",
    "by_group",
    "finite_updates",
    "update_operator",
    "attention_gain",
    "output_biases",
    "adaptive_factor",
]
