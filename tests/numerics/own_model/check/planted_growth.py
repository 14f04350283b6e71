"""Mistakes that make one step grow with depth, each a factory of the depth beside a sound one.

The sound models are T-Fixup's single stack, whose step is bounded under SGD, and Pre-LN with
CompleteP's multiplier 1/N on embeddings of RMS 1, whose step is bounded under Adam.
"""

import torch
from torch import Tensor, nn

from tests.numerics.own_model.check.models import (
    WIDTH,
    Block,
    Model,
    copied_,
    tfixup_,
    tokens,
    xavier_,
)

Made = tuple[nn.Module, Tensor]
CONSTANT = 0.638943
"""Of T-Fixup's scale in a single stack: 0.638943 N^(−1/4)."""


def sound(layers: int) -> Made:
    """T-Fixup's scales without norms."""
    return tfixup_(Model(layers, "none", causal=False)), tokens()


def times(layers: int, *leaves: str, factor: float) -> Made:
    """T-Fixup with some matrices multiplied."""
    model = tfixup_(Model(layers, "none", causal=False))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.split(".")[-2] in leaves:
                p.mul_(factor)
    return model, tokens()


def copies(layers: int) -> Made:
    """D1: one layer drawn and copied."""
    return copied_(tfixup_(Model(layers, "none", causal=False))), tokens()


def constant_of_one_depth(layers: int) -> Made:
    """B8: the factor that belongs to two layers, at every depth."""
    return times(layers, "v", "o", "w1", "w2", "embedding", factor=(layers / 2) ** 0.25)


def values_left_out(layers: int) -> Made:
    """A7: the name of v reached nothing."""
    return times(layers, "v", factor=layers**0.25 / CONSTANT)


def queries_for_values(layers: int) -> Made:
    """A3's kind: the factor on q and k, which the conditions leave alone, and not on v and out."""
    model, ids = times(layers, "v", "o", factor=layers**0.25 / CONSTANT)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.split(".")[-2] in ("q", "k"):
                p.mul_(CONSTANT * layers**-0.25)
    return model, ids


def exponents_sign_turned(layers: int) -> Made:
    """B7: N^(+1/4) for N^(−1/4)."""
    return times(layers, "v", "o", "w1", "w2", factor=layers**0.5)


def embeddings_unscaled(layers: int) -> Made:
    """C5: the conditions want the inputs scaled as well."""
    return times(layers, "embedding", factor=layers**0.25 / CONSTANT)


class Positioned(Model):
    """Sinusoids times a factor are added to the embedded tokens."""

    def __init__(self, layers: int, wiring: str, factor: float) -> None:
        super().__init__(layers, wiring, causal=False)
        self.factor = factor

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids) + self.factor * sinusoids(ids.shape[1])
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def sinusoids(length: int) -> Tensor:
    """Sines and cosines of geometric frequencies, of RMS 0.71."""
    angles = torch.arange(length)[:, None] / 10_000 ** (torch.arange(0, WIDTH, 2) / WIDTH)
    return torch.stack((angles.sin(), angles.cos()), -1).flatten(1)


def positions_scaled(layers: int) -> Made:
    """C5: no norm, positions scaled as the embeddings are."""
    return tfixup_(Positioned(layers, "none", CONSTANT * layers**-0.25)), tokens()


def positions_unscaled(layers: int) -> Made:
    """C5: no norm, positions as they are."""
    return tfixup_(Positioned(layers, "none", 1.0)), tokens()


def norm_kept(layers: int) -> Made:
    """C5: T-Fixup's scales with the layer norms left in."""
    return tfixup_(Positioned(layers, "post", CONSTANT * layers**-0.25)), tokens()


def norm_kept_positions_unscaled(layers: int) -> Made:
    """C5: both at once."""
    return tfixup_(Positioned(layers, "post", 1.0)), tokens()


def output_biases(layers: int) -> Made:
    """B2: biases in front of the stream, which move f by as much at every layer."""
    model = tfixup_(Model(layers, "none", causal=False))
    for block in model.blocks:
        for linear in (block.attention.o, block.mlp.w2):
            linear.bias = nn.Parameter(torch.zeros(linear.out_features))
    return model, tokens()


class Multiplied(Model):
    """Pre-LN whose branches have a constant multiplier."""

    def __init__(self, layers: int, multiplier: float) -> None:
        super().__init__(layers)
        self.multiplier = multiplier

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        for block in self.blocks:
            assert isinstance(block, Block)
            x = x + self.multiplier * block.attention(block.norm1(x))
            x = x + self.multiplier * block.mlp(block.norm2(x))
        return self.head(self.norm(x))


def complete_p(layers: int) -> Made:
    """Pre-LN with the multiplier 1/N: Adam's step is bounded."""
    return xavier_(Multiplied(layers, 1 / layers)), tokens()


def root_for_whole(layers: int) -> Made:
    """The multiplier 1/√N without the rate that belongs to it."""
    return xavier_(Multiplied(layers, layers**-0.5)), tokens()


def no_multiplier(layers: int) -> Made:
    """The multiplier left out."""
    return xavier_(Multiplied(layers, 1.0)), tokens()


def small_embeddings(layers: int) -> Made:
    """CompleteP's multiplier on a stream that starts far below RMS 1."""
    model = xavier_(Multiplied(layers, 1 / layers))
    with torch.no_grad():
        model.embedding.weight.mul_(0.02)
    return model, tokens()


def post_ln(layers: int) -> Made:
    """F1: Post-LN with Xavier's matrices."""
    return xavier_(Model(layers, "post", causal=False)), tokens()


def deepnorm(layers: int) -> Made:
    """F1: Post-LN with (2N)^(1/4) on the shortcut and (8N)^(−1/4) on the branches' matrices."""
    model = xavier_(Model(layers, "deepnorm", causal=False))
    with torch.no_grad():
        for block in model.blocks:
            block.alpha = (2 * layers) ** 0.25
            attention, mlp = block.attention, block.mlp
            for linear in (attention.v, attention.o, mlp.w1, mlp.w2):
                linear.weight.mul_((8 * layers) ** -0.25)
    return model, tokens()


def miswired(layers: int) -> Made:
    """D2: the shortcut taken after the norm."""
    return xavier_(Model(layers, "miswired")), tokens()


def rezero(layers: int) -> Made:
    """C9, F5: gates at 0; under Adam each moves by the rate."""
    return xavier_(Model(layers, "rezero")), tokens()
