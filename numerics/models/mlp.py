"""The position-wise network of a layer, one branch of its residual blocks.

    ungated   W₂ φ(W₁ y)
    gated     W₂ (φ(W₁ y) ∘ W₃ y): with SiLU it is SwiGLU, with GELU GeGLU (Shazeer, 2020)

Suffixes: B sequences, T tokens, D width, F hidden width.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.models.norms import AnyNorm


class Activation(StrEnum):
    """Activation function φ of the hidden layer."""

    RELU = "relu"
    GELU = "gelu"
    """x Φ(x), exactly."""
    GELU_TANH = "gelu-tanh"
    """GPT-2's approximation of GELU by tanh."""
    SILU = "silu"
    RELU_SQUARED = "relu²"


def _relu_squared(x: Tensor) -> Tensor:
    return F.relu(x).square()


def _gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: Mapping[Activation, Callable[[Tensor], Tensor]] = {
    Activation.RELU: F.relu,
    Activation.GELU: F.gelu,
    Activation.GELU_TANH: _gelu_tanh,
    Activation.SILU: F.silu,
    Activation.RELU_SQUARED: _relu_squared,
}


@dataclass(frozen=True)
class MLPTraits:
    """What an MLP computes between its matrices."""

    activation: Activation = Activation.RELU
    """The function φ between the matrices."""
    gated: bool = False
    """Whether the hidden layer is multiplied by W₃ y."""


RELU_MLP = MLPTraits()
"""ReLU(W₁ y)."""
SWIGLU = MLPTraits(Activation.SILU, gated=True)
"""silu(W₁ y) ∘ W₃ y, Llama's."""
GEGLU = MLPTraits(Activation.GELU, gated=True)
"""gelu(W₁ y) ∘ W₃ y."""


class MLP(nn.Module):
    """Position-wise network, matrices stored as (fan_out, fan_in).

    With R-Fixup's scalar shifts it is W₂ (b₂ + φ(b₁ + W₁ y)).
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        *,
        biases: bool,
        shifts: bool = False,
        traits: MLPTraits = RELU_MLP,
        inner_norm: AnyNorm | None = None,
    ) -> None:
        super().__init__()
        self.activation = traits.activation
        self.w1 = nn.Parameter(torch.empty(d_ff, d_model))
        self.w2 = nn.Parameter(torch.empty(d_model, d_ff))
        self.w3 = nn.Parameter(torch.empty(d_ff, d_model)) if traits.gated else None
        self.bias1 = nn.Parameter(torch.zeros(d_ff)) if biases else None
        self.bias2 = nn.Parameter(torch.zeros(d_model)) if biases else None
        self.bias3 = nn.Parameter(torch.zeros(d_ff)) if biases and traits.gated else None
        self.shift1 = nn.Parameter(torch.zeros(())) if shifts else None
        self.shift2 = nn.Parameter(torch.zeros(())) if shifts else None
        self.inner_norm = inner_norm

    def forward(self, y_BTD: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        """Apply the network to each token."""
        inner_BTF = shifted(F.linear(y_BTD, self.w1, self.bias1), self.shift1)
        hidden_BTF = ACTIVATIONS[self.activation](inner_BTF)
        if self.w3 is not None:
            hidden_BTF = hidden_BTF * F.linear(y_BTD, self.w3, self.bias3)
        if self.inner_norm is not None:
            hidden_BTF = self.inner_norm(hidden_BTF)
        return F.linear(shifted(hidden_BTF, self.shift2), self.w2, self.bias2)


def shifted(x: Tensor, shift: Tensor | None) -> Tensor:
    """``x`` plus a trainable scalar, where there is one."""
    return x if shift is None else x + shift
