"""Residual blocks: y_{l+1} = y_l + G_l(y_l), with the layer norm where the wiring puts it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.models.spec import Wiring


class MLP(nn.Module):
    """Position-wise two-layer network W₂ ReLU(W₁ y), matrices stored as (fan_out, fan_in)."""

    def __init__(self, d_model: int, d_ff: int, *, biases: bool) -> None:
        super().__init__()
        self.w1 = nn.Parameter(torch.empty(d_ff, d_model))
        self.w2 = nn.Parameter(torch.empty(d_model, d_ff))
        self.bias1 = nn.Parameter(torch.zeros(d_ff)) if biases else None
        self.bias2 = nn.Parameter(torch.zeros(d_model)) if biases else None

    def forward(self, y_BTD: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Apply the network to each token."""
        return F.linear(F.relu(F.linear(y_BTD, self.w1, self.bias1)), self.w2, self.bias2)


class Residual(nn.Module):
    """A branch G with its skip path and layer norm.

    none: y + G(y). post-ln: LN(y + G(y)). pre-ln: y + G(LN(y)).
    """

    def __init__(self, branch: nn.Module, d_model: int, wiring: Wiring, dropout: float) -> None:
        super().__init__()
        self.branch = branch
        self.wiring = wiring
        self.norm = None if wiring is Wiring.NONE else nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, y_BTD: Float[Tensor, "B T D"], *context: object) -> Float[Tensor, "B T D"]:
        """Add the branch to the stream; ``context`` goes to the branch unchanged."""
        if self.norm is None:
            return y_BTD + self.dropout(self.branch(y_BTD, *context))
        if self.wiring is Wiring.POST_LN:
            return self.norm(y_BTD + self.dropout(self.branch(y_BTD, *context)))
        return y_BTD + self.dropout(self.branch(self.norm(y_BTD), *context))
