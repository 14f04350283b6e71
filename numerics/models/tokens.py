"""Batches of tokens, and what a model makes of them before its first and after its last layer.

A batch holds source tokens for an encoder and target tokens for a decoder; a stack alone reads its
own side. Shape suffixes: B sequences, S source tokens, T target tokens, D width, V vocabulary.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from numerics.models.spec import ModelSpec
from numerics.models.transformer import Transformer
from theory.errors import require_positive


@dataclass(frozen=True)
class TokenBatch:
    """Token inputs of a model: S source and T target tokens per sequence."""

    source_BS: Int[Tensor, "B S"]
    target_BT: Int[Tensor, "B T"]
    padding_BS: Bool[Tensor, "B S"] | None = None
    """True where a source token is padding, to be hidden from attention."""

    def to(self, device: torch.device | str) -> "TokenBatch":
        """The same tokens on another device."""
        padding = None if self.padding_BS is None else self.padding_BS.to(device)
        return TokenBatch(self.source_BS.to(device), self.target_BT.to(device), padding)


def random_batch(
    spec: ModelSpec,
    generator: torch.Generator,
    *,
    sequences: int = 8,
    tokens: int = 16,
    device: torch.device | str = "cpu",
) -> TokenBatch:
    """Draw uniform random tokens.

    They are drawn on the CPU, so that a seed means the same tokens on every device.

    Examples
    --------
    >>> batch = random_batch(ModelSpec(1, 1), torch.Generator().manual_seed(0))
    >>> tuple(batch.source_BS.shape), batch.padding_BS
    ((8, 16), None)
    """
    require_positive(sequences=sequences, tokens=tokens)
    shape = (2, sequences, tokens)
    source, target = torch.randint(spec.vocabulary, shape, generator=generator).to(device)
    return TokenBatch(source, target)


def embed(
    model: Transformer, batch: TokenBatch
) -> tuple[Float[Tensor, "B S D"], Float[Tensor, "B T D"]]:
    """Embed both sides of a batch: the inputs x and y of an encoder-decoder."""
    return model.embed_source(batch.source_BS), model.embed_target(batch.target_BT)


def embed_inputs(model: Transformer, batch: TokenBatch) -> dict[str, Tensor]:
    """Embed the sides that a model reads: ``source`` of an encoder, ``target`` of a decoder."""
    inputs = {}
    if model.spec.has_encoder:
        inputs["source"] = model.embed_source(batch.source_BS)
    if model.spec.has_decoder:
        inputs["target"] = model.embed_target(batch.target_BT)
    return inputs


def output_table(model: Transformer) -> Float[Tensor, "V D"]:
    """Return the table that takes f to logits: the target embedding where the two are tied.

    A multiplier of the logits is part of it.
    """
    table = model.target_embedding if model.output is None else model.output
    factor = model.spec.logit_multiplier
    return table if factor == 1 else factor * table


def output_shape(spec: ModelSpec, batch: TokenBatch) -> tuple[int, int, int]:
    """Return the shape of f: (B, T, D), or (B, S, D) for an encoder alone.

    Examples
    --------
    >>> output_shape(ModelSpec(1, 1), random_batch(ModelSpec(1, 1), torch.Generator(), tokens=3))
    (8, 3, 64)
    """
    sequences, tokens = (batch.target_BT if spec.has_decoder else batch.source_BS).shape
    return sequences, tokens, spec.d_model
