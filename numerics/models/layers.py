"""The layers of either stack: residual blocks in sequence. Shape suffixes as in ``attention.py``.

A decoder layer without a memory to read, as in a decoder alone, has no encoder-attention.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from numerics.models.attention import Attention
from numerics.models.spec import ModelSpec, Wiring
from numerics.models.wiring import MLP, Residual


def _attention(spec: ModelSpec, shortcut: float) -> Residual:
    return Residual(Attention(spec.d_model, spec.heads, biases=spec.biases), spec, shortcut)


def _mlp(spec: ModelSpec, shortcut: float) -> Residual:
    shifts = spec.wiring is Wiring.R_FIXUP
    return Residual(MLP(spec.d_model, spec.d_ff, biases=spec.biases, shifts=shifts), spec, shortcut)


def _gate(spec: ModelSpec) -> nn.Parameter | None:
    return nn.Parameter(torch.zeros(())) if spec.wiring is Wiring.REZERO else None


class EncoderLayer(nn.Module):
    """Two residual blocks: self-attention, MLP."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.attention = _attention(spec, spec.encoder_shortcut)
        self.mlp = _mlp(spec, spec.encoder_shortcut)
        self.alpha = _gate(spec)

    def forward(
        self, x_BSD: Float[Tensor, "B S D"], padding: Bool[Tensor, "B 1 1 S"] | None
    ) -> Float[Tensor, "B S D"]:
        """x → x + attention → + MLP."""
        x_BSD = self.attention(x_BSD, None, padding, gate=self.alpha)
        return self.mlp(x_BSD, gate=self.alpha)


class DecoderLayer(nn.Module):
    """Three residual blocks: self-attention, encoder-attention, MLP; two without an encoder."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.self_attention = _attention(spec, spec.decoder_shortcut)
        self.cross_attention = _attention(spec, spec.decoder_shortcut) if spec.has_encoder else None
        self.mlp = _mlp(spec, spec.decoder_shortcut)
        self.alpha = _gate(spec)

    def forward(
        self,
        y_BTD: Float[Tensor, "B T D"],
        memory_BSD: Float[Tensor, "B S D"] | None,
        causal: Bool[Tensor, "T T"],
        padding: Bool[Tensor, "B 1 1 S"] | None,
    ) -> Float[Tensor, "B T D"]:
        """y → + self-attention → + encoder-attention over the memory → + MLP."""
        y_BTD = self.self_attention(y_BTD, None, causal, gate=self.alpha)
        if self.cross_attention is not None:
            y_BTD = self.cross_attention(y_BTD, memory_BSD, padding, gate=self.alpha)
        return self.mlp(y_BTD, gate=self.alpha)
