"""One drawn decoder: its stream, what its blocks add, what flows back, and its gradients, by block.

The model is that of the recorded sweep of today's schemes: width 32, 2 heads, d_ff 64, learned
positions, 4 sequences of 8 tokens. f is the final state, u a random unit cotangent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.linearization.cotangents import random_cotangent
from numerics.models import ModelSpec, Transformer
from numerics.models.spec import Architecture, Positions
from numerics.models.tokens import TokenBatch, output_shape, random_batch
from numerics.schemes import build
from numerics.signals.gradients import matrix_gradients
from numerics.signals.residual_stream import sites

Floats = NDArray[np.float64]
ModelEdit = Callable[[Transformer], None]
WIDTH = 32


@dataclass(frozen=True)
class Signals:
    """What passes through the blocks of one model, with two blocks per layer."""

    stream: Floats
    """Mean square of the stream before each block, and of the last one behind it."""
    added: Floats
    """Mean square of what each block adds to its stream."""
    flowing: Floats
    """‖∂⟨u, f⟩/∂x‖² for the stream before each block, and behind the last."""
    gradients: Floats
    """‖∂⟨u, f⟩/∂W‖ of all matrices of each layer together."""


def drawn(scheme: str, depth: int, seed: int) -> tuple[Transformer, TokenBatch, torch.Generator]:
    """A decoder of that depth, its tokens, and the generator that goes on from there.

    Examples
    --------
    >>> model, batch, _ = drawn("gpt2", 2, 0)
    >>> batch.target_BT.shape, len(model.decoder)
    (torch.Size([4, 8]), 2)
    """
    generator = torch.Generator().manual_seed(1000 * seed + depth)
    spec = ModelSpec(
        0,
        depth,
        d_model=WIDTH,
        d_ff=2 * WIDTH,
        heads=2,
        vocabulary=64,
        positions=Positions.LEARNED,
        architecture=Architecture.DECODER_ONLY,
    )
    model = build(scheme, spec, generator, dtype=torch.float64).eval()
    return model, random_batch(model.spec, generator, sequences=4, tokens=8), generator


def cloned(model: Transformer) -> None:
    """Give every layer of a decoder the first layer's weights."""
    first = {name: value.detach().clone() for name, value in model.decoder[0].named_parameters()}
    with torch.no_grad():
        for layer in model.decoder:
            for name, value in layer.named_parameters():
                value.copy_(first[name])


@lru_cache(maxsize=1_000)  # One scheme is the control of several claims.
def signals(scheme: str, depth: int, seed: int, change: ModelEdit | None = None) -> Signals:
    """Draw one model, let ``change`` alter it, and read its signals.

    Examples
    --------
    >>> found = signals("zero-out", 2, 0)
    >>> [len(x) for x in (found.stream, found.added, found.flowing, found.gradients)]
    [5, 4, 5, 2]
    >>> float(found.added.max())
    0.0
    """
    model, batch, generator = drawn(scheme, depth, seed)
    if change is not None:
        change(model)
    cotangent = random_cotangent(output_shape(model.spec, batch), generator)
    output: list[Tensor] = []

    def call() -> Tensor:
        output.append(model.features(batch.source_BS, batch.target_BT))
        return output[0]

    blocks = sites(model, call)
    streams = [block.before for block in blocks] + [blocks[-1].after]
    u = cotangent(output[0])
    slopes = torch.autograd.grad(output[0], streams, u, retain_graph=True)
    squares = np.zeros(depth)
    for row in matrix_gradients(model, lambda: output[0], u):
        squares[row.layer] += row.norm**2
    return Signals(
        np.array([float(x.detach().square().mean()) for x in streams]),
        np.array([float((x.after - x.before).detach().square().mean()) for x in blocks]),
        np.array([float(slope.square().sum()) for slope in slopes]),
        squares**0.5,
    )
