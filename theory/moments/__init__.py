"""Exact moments of the building blocks of a Transformer at random weights.

The mean-field prediction is assembled from these: the Gram matrix of tokens, the ReLU of a
Gaussian, the softmax of Gaussian scores.
"""

__all__ = [
    "token_gram",
    "relu_kernel",
    "relu_moments",
    "softmax_moments",
    "sign_averages",
]
