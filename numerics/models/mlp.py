"""The position-wise network of a layer, one branch of its residual blocks.

Suffixes: B sequences, T tokens, D width.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class MLP(nn.Module):
    """Position-wise two-layer network W₂ ReLU(W₁ y), matrices stored as (fan_out, fan_in).

    With R-Fixup's scalar shifts it is W₂ (b₂ + ReLU(b₁ + W₁ y)).
    """

    def __init__(self, d_model: int, d_ff: int, *, biases: bool, shifts: bool = False) -> None:
        super().__init__()
        self.w1 = nn.Parameter(torch.empty(d_ff, d_model))
        self.w2 = nn.Parameter(torch.empty(d_model, d_ff))
        self.bias1 = nn.Parameter(torch.zeros(d_ff)) if biases else None
        self.bias2 = nn.Parameter(torch.zeros(d_model)) if biases else None
        self.shift1 = nn.Parameter(torch.zeros(())) if shifts else None
        self.shift2 = nn.Parameter(torch.zeros(())) if shifts else None

    def forward(self, y_BTD: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Apply the network to each token."""
        hidden = F.relu(shifted(F.linear(y_BTD, self.w1, self.bias1), self.shift1))
        return F.linear(shifted(hidden, self.shift2), self.w2, self.bias2)


def shifted(x: Tensor, shift: Tensor | None) -> Tensor:
    """``x`` plus a trainable scalar, where there is one."""
    return x if shift is None else x + shift
