"""The Transformer f(x, y; θ) of T-Fixup §2, written for reading.

m = f_e(x; θ_e) is the encoder's memory and f = f_d(m, y; θ_d) the decoder's output before the
output projection and softmax; with one stack alone f is its output. Shape suffixes as in
``attention.py``; V is the vocabulary.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.models.history import LayerHistory
from numerics.models.layers import Layer
from numerics.models.norms import AnyNorm, make_norm
from numerics.models.positions import sinusoids
from numerics.models.spec import ModelSpec, Positions
from theory.errors import InputError


class Transformer(nn.Module):
    """A Transformer; its weights are unset until a scheme draws them.

    Tables that are one have both names: all three with shared embeddings, the two embeddings where
    there is one stack only.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec

        def table(rows: int = spec.vocabulary) -> nn.Parameter:
            return nn.Parameter(torch.empty(rows, spec.d_model))

        if spec.has_encoder:
            self.source_embedding = table()
            both = spec.has_decoder and not spec.shared_embeddings
            self.target_embedding = table() if both else self.source_embedding
        else:
            self.target_embedding = table()
            self.source_embedding = self.target_embedding
        learned = spec.positions is Positions.LEARNED
        self.source_positions = table(spec.max_tokens) if learned and spec.has_encoder else None
        self.target_positions = table(spec.max_tokens) if learned and spec.has_decoder else None
        self.encoder = nn.ModuleList(Layer(spec, "encoder", n) for n in range(spec.encoder_layers))
        self.decoder = nn.ModuleList(Layer(spec, "decoder", n) for n in range(spec.decoder_layers))
        self.encoder_history = _history(spec, "encoder")
        self.decoder_history = _history(spec, "decoder")
        self.encoder_norm = _final_norm(spec, "encoder")
        self.decoder_norm = _final_norm(spec, "decoder")
        norms = spec.embedding_norm
        self.source_norm = (
            make_norm(spec.norm, spec.d_model) if norms and spec.has_encoder else None
        )
        self.target_norm = (
            make_norm(spec.norm, spec.d_model) if norms and spec.has_decoder else None
        )
        self.output = None if spec.tied_output or spec.shared_embeddings else table()
        self.dropout = nn.Dropout(spec.dropout)

    def embed(
        self,
        table_VD: Float[Tensor, "V D"],
        tokens_BT: Int[Tensor, "B T"],
        positions_PD: Float[Tensor, "P D"] | None = None,
        norm: AnyNorm | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Rows of a table times the embedding multiplier, plus scaled positions, normalised."""
        x_BTD = F.embedding(tokens_BT, table_VD) * self.spec.multiplier
        tokens = tokens_BT.shape[-1]
        if self.spec.positions is Positions.SINUSOIDAL:
            x_BTD = x_BTD + self.spec.position_scale * sinusoids(
                tokens, self.spec.d_model, device=x_BTD.device, dtype=x_BTD.dtype
            )
        if positions_PD is not None:
            if tokens > len(positions_PD):
                raise InputError(
                    f"tokens per sequence must be at most max_tokens = {len(positions_PD)}, "
                    f"got {tokens}"
                )
            x_BTD = x_BTD + self.spec.position_scale * positions_PD[:tokens]
        return self.dropout(x_BTD if norm is None else norm(x_BTD))

    def embed_source(self, source_BS: Int[Tensor, "B S"]) -> Float[Tensor, "B S D"]:
        """The encoder's input x."""
        return self.embed(self.source_embedding, source_BS, self.source_positions, self.source_norm)

    def embed_target(self, target_BT: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """The decoder's input y."""
        return self.embed(self.target_embedding, target_BT, self.target_positions, self.target_norm)

    def encode(
        self, x_BSD: Float[Tensor, "B S D"], padding: Bool[Tensor, "B 1 1 S"] | None = None
    ) -> Float[Tensor, "B S D"]:
        """The memory m = f_e(x; θ_e)."""
        x_BSD = _run(self.encoder, self.encoder_history, x_BSD, padding)
        return x_BSD if self.encoder_norm is None else self.encoder_norm(x_BSD)

    def decode(
        self,
        memory_BSD: Float[Tensor, "B S D"] | None,
        y_BTD: Float[Tensor, "B T D"],
        padding: Bool[Tensor, "B 1 1 S"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """The output f_d(m, y; θ_d), each token seeing itself and those before it."""
        t = y_BTD.shape[-2]
        causal = torch.ones(t, t, dtype=torch.bool, device=y_BTD.device).triu(1)
        y_BTD = _run(self.decoder, self.decoder_history, y_BTD, causal, memory_BSD, padding)
        return y_BTD if self.decoder_norm is None else self.decoder_norm(y_BTD)

    def features(
        self,
        source_BS: Int[Tensor, "B S"],
        target_BT: Int[Tensor, "B T"],
        padding_BS: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """The features f(x, y; θ) for token inputs; true in ``padding_BS`` hides a source token."""
        padding = None if padding_BS is None else padding_BS[:, None, None, :]
        memory = None
        if self.spec.has_encoder:
            memory = self.encode(self.embed_source(source_BS), padding)
        if self.spec.has_decoder:
            return self.decode(memory, self.embed_target(target_BT), padding)
        assert memory is not None
        return memory

    def forward(
        self,
        source_BS: Int[Tensor, "B S"],
        target_BT: Int[Tensor, "B T"],
        padding_BS: Bool[Tensor, "B S"] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the next target token; of an encoder alone, at every source token."""
        table = self.target_embedding if self.output is None else self.output
        logits_BTV = F.linear(self.features(source_BS, target_BT, padding_BS), table)
        factor = self.spec.logit_multiplier
        return logits_BTV if factor == 1 else factor * logits_BTV


def _history(spec: ModelSpec, stack: str) -> LayerHistory | None:
    if not spec.wiring.history or stack not in spec.stacks:
        return None
    first = spec.wiring.norm_before
    return LayerHistory(spec.layers(stack), spec.d_model, norm_first=first, norm=spec.norm)


def _final_norm(spec: ModelSpec, stack: str) -> AnyNorm | None:
    there = spec.wiring.final_norm and stack in spec.stacks
    return make_norm(spec.norm, spec.d_model) if there else None


def _run(
    stack: nn.ModuleList,
    history: LayerHistory | None,
    y_BTD: Float[Tensor, "B T D"],
    *context: object,
) -> Float[Tensor, "B T D"]:
    """The layers in sequence, each reading the one below, or all below where there is history."""
    if history is None:
        for layer in stack:
            y_BTD = layer(y_BTD, *context)
        return y_BTD
    y_BTD, sums = history(y_BTD, 0, None)
    for level, layer in enumerate(stack, 1):
        y_BTD, sums = history(layer(y_BTD, *context), level, sums)
    return y_BTD
