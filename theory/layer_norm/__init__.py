"""What layer norm does to signals and gradients: the statements of Xiong et al. and of Admin."""

__all__ = [
    "jacobian",
    "hidden_norms",
    "last_layer_gradient",
    "post_ln_jacobians",
    "post_ln_gradients",
    "gradient_profile",
    "gradient_decay",
    "normalised_branches",
    "amplification",
    "layer_dependency",
    "output_change",
]
