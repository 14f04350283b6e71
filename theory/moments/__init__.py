"""Exact moments of the building blocks of a Transformer at random weights.

The mean-field prediction is assembled from them: Gram matrices of tokens, ReLU of Gaussians,
softmax of Gaussian logits.
"""

__all__ = [
    "token_gram",
    "relu_kernel",
    "relu_moments",
    "softmax_moments",
    "sign_averages",
]
