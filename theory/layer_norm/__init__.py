"""The effect of layer norm on signals and gradients: the statements of Xiong et al. and of Admin.

``hidden_norms``, ``last_layer_gradient``, ``gradient_decay`` and ``jacobian`` derive those of Xiong
et al.; ``amplification``, ``layer_dependency``, ``output_change`` and ``post_ln_gradients`` those
of Admin.
"""

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
