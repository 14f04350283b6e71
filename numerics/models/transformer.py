"""The encoder-decoder Transformer f(x, y; θ) of T-Fixup §2, written for reading.

m = f_e(x; θ_e) is the encoder's memory and f = f_d(m, y; θ_d) the decoder's output before the
output projection and softmax. Shape suffixes as in ``attention.py``; V is the vocabulary.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.models.attention import Attention
from numerics.models.positions import sinusoids
from numerics.models.spec import ModelSpec, Positions, Wiring
from numerics.models.wiring import MLP, Residual


class EncoderLayer(nn.Module):
    """Two residual blocks: self-attention, MLP."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        attention = Attention(spec.d_model, spec.heads, biases=spec.biases)
        mlp = MLP(spec.d_model, spec.d_ff, biases=spec.biases)
        self.attention = Residual(attention, spec.d_model, spec.wiring, spec.dropout)
        self.mlp = Residual(mlp, spec.d_model, spec.wiring, spec.dropout)

    def forward(
        self, x_BSD: Float[Tensor, "B S D"], padding: Bool[Tensor, "B 1 1 S"] | None
    ) -> Float[Tensor, "B S D"]:
        """x → x + attention → + MLP."""
        return self.mlp(self.attention(x_BSD, None, padding))


class DecoderLayer(nn.Module):
    """Three residual blocks: self-attention, encoder-attention, MLP."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        own = Attention(spec.d_model, spec.heads, biases=spec.biases)
        cross = Attention(spec.d_model, spec.heads, biases=spec.biases)
        mlp = MLP(spec.d_model, spec.d_ff, biases=spec.biases)
        self.self_attention = Residual(own, spec.d_model, spec.wiring, spec.dropout)
        self.cross_attention = Residual(cross, spec.d_model, spec.wiring, spec.dropout)
        self.mlp = Residual(mlp, spec.d_model, spec.wiring, spec.dropout)

    def forward(
        self,
        y_BTD: Float[Tensor, "B T D"],
        memory_BSD: Float[Tensor, "B S D"],
        causal: Bool[Tensor, "T T"],
        padding: Bool[Tensor, "B 1 1 S"] | None,
    ) -> Float[Tensor, "B T D"]:
        """y → + self-attention → + encoder-attention over the memory → + MLP."""
        y_BTD = self.self_attention(y_BTD, None, causal)
        return self.mlp(self.cross_attention(y_BTD, memory_BSD, padding))


class Transformer(nn.Module):
    """An encoder-decoder Transformer; its weights are unset until a scheme draws them."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.source_embedding = nn.Parameter(torch.empty(spec.vocabulary, spec.d_model))
        self.target_embedding = nn.Parameter(torch.empty(spec.vocabulary, spec.d_model))
        self.encoder = nn.ModuleList(EncoderLayer(spec) for _ in range(spec.encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(spec) for _ in range(spec.decoder_layers))
        final = spec.wiring is Wiring.PRE_LN
        self.encoder_norm = nn.LayerNorm(spec.d_model) if final else None
        self.decoder_norm = nn.LayerNorm(spec.d_model) if final else None
        self.output = (
            None if spec.tied_output else nn.Parameter(torch.empty(spec.vocabulary, spec.d_model))
        )
        self.dropout = nn.Dropout(spec.dropout)

    def embed(
        self, table_VD: Float[Tensor, "V D"], tokens_BT: Int[Tensor, "B T"]
    ) -> Float[Tensor, "B T D"]:
        """Rows of a table times the embedding multiplier, plus scaled positions."""
        x_BTD = F.embedding(tokens_BT, table_VD) * self.spec.multiplier
        if self.spec.positions is Positions.SINUSOIDAL:
            x_BTD = x_BTD + self.spec.position_scale * sinusoids(
                tokens_BT.shape[-1], self.spec.d_model, device=x_BTD.device, dtype=x_BTD.dtype
            )
        return self.dropout(x_BTD)

    def encode(
        self, x_BSD: Float[Tensor, "B S D"], padding: Bool[Tensor, "B 1 1 S"] | None = None
    ) -> Float[Tensor, "B S D"]:
        """The memory m = f_e(x; θ_e)."""
        for layer in self.encoder:
            x_BSD = layer(x_BSD, padding)
        return x_BSD if self.encoder_norm is None else self.encoder_norm(x_BSD)

    def decode(
        self,
        memory_BSD: Float[Tensor, "B S D"],
        y_BTD: Float[Tensor, "B T D"],
        padding: Bool[Tensor, "B 1 1 S"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """The output f_d(m, y; θ_d), each token seeing itself and those before it."""
        t = y_BTD.shape[-2]
        causal = torch.ones(t, t, dtype=torch.bool, device=y_BTD.device).triu(1)
        for layer in self.decoder:
            y_BTD = layer(y_BTD, memory_BSD, causal, padding)
        return y_BTD if self.decoder_norm is None else self.decoder_norm(y_BTD)

    def features(
        self,
        source_BS: Int[Tensor, "B S"],
        target_BT: Int[Tensor, "B T"],
        padding_BS: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """f(x, y; θ): the decoder's output for token inputs; true in ``padding_BS`` hides a key."""
        padding = None if padding_BS is None else padding_BS[:, None, None, :]
        memory = self.encode(self.embed(self.source_embedding, source_BS), padding)
        return self.decode(memory, self.embed(self.target_embedding, target_BT), padding)

    def forward(
        self,
        source_BS: Int[Tensor, "B S"],
        target_BT: Int[Tensor, "B T"],
        padding_BS: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the next target token."""
        table = self.target_embedding if self.output is None else self.output
        return F.linear(self.features(source_BS, target_BT, padding_BS), table)
