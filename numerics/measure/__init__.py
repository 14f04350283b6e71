"""How far one optimizer step moves the function: ‖Δf‖/η in total and by group of parameters.

``updates`` is the entry.
"""

__all__ = [
    "updates",
    "by_group",
    "parameter_groups",
    "finite_updates",
    "update_operator",
    "attention_gain",
    "output_biases",
    "adaptive_factor",
]
