"""Residual blocks: what joins a branch G to the skip path y, and where the layer norm is.

Suffixes: B sequences, T tokens, D width.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.models.spec import NORM_AFTER, NORM_BEFORE, ModelSpec, Wiring


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
        hidden = F.relu(_shifted(F.linear(y_BTD, self.w1, self.bias1), self.shift1))
        return F.linear(_shifted(hidden, self.shift2), self.w2, self.bias2)


class Residual(nn.Module):
    """A branch G with its skip path and layer norm: one line of `numerics.models.spec.Wiring`.

    ``shortcut`` multiplies the skip path: DeepNorm's α, or where Admin's trainable ω starts.
    """

    def __init__(self, branch: nn.Module, spec: ModelSpec, shortcut: float = 1.0) -> None:
        super().__init__()
        self.branch = branch
        self.wiring = spec.wiring
        normed = spec.wiring in NORM_AFTER | NORM_BEFORE
        self.norm = nn.LayerNorm(spec.d_model) if normed else None
        self.dropout = nn.Dropout(spec.dropout)
        self.shortcut = shortcut
        own = spec.wiring is Wiring.ADMIN
        self.omega = nn.Parameter(torch.full((spec.d_model,), shortcut)) if own else None
        scalars = spec.wiring is Wiring.R_FIXUP
        self.shift = nn.Parameter(torch.zeros(())) if scalars else None
        self.scale = nn.Parameter(torch.ones(())) if scalars else None

    def forward(
        self, y_BTD: Float[Tensor, "B T D"], *context: object, gate: Tensor | None = None
    ) -> Float[Tensor, "B T D"]:
        """Add the branch to the stream; ``context`` goes to the branch, ``gate`` is ReZero's α."""
        if self.norm is None:
            branch_BTD = self.dropout(self.branch(_shifted(y_BTD, self.shift), *context))
            factor = self.scale if gate is None else gate
            return y_BTD + (branch_BTD if factor is None else factor * branch_BTD)
        if self.wiring in NORM_BEFORE:
            return y_BTD + self.dropout(self.branch(self.norm(y_BTD), *context))
        return self.norm(self.skip(y_BTD, self.dropout(self.branch(y_BTD, *context))))

    def skip(
        self, y_BTD: Float[Tensor, "B T D"], branch_BTD: Float[Tensor, "B T D"]
    ) -> Float[Tensor, "B T D"]:
        """G + y, G + α y or G + ω∘y."""
        if self.omega is not None:
            return self.omega * y_BTD + branch_BTD
        if self.wiring is Wiring.DEEPNORM:
            return self.shortcut * y_BTD + branch_BTD
        return y_BTD + branch_BTD


def _shifted(x: Tensor, shift: Tensor | None) -> Tensor:
    return x if shift is None else x + shift
