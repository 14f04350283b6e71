"""Derivatives of this project's Transformer, written out, for measurements and for training.

Automatic differentiation is the oracle against which every function here is tested.
"""

__all__ = [
    "stacks",
    "residual_block",
    "attention",
    "mlp_and_norm",
    "head_products",
    "block_weights",
    "input_steps",
    "training_gradient",
]
