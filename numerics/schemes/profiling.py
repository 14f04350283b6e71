"""One training-mode forward of a seeded random batch, stopping at every residual block."""

from collections.abc import Callable

import torch

from numerics.models.blocks import Arrival, watch
from numerics.models.tokens import TokenBatch, random_batch
from numerics.models.transformer import Transformer


def profile(
    model: Transformer, generator: torch.Generator, visit: Callable[[Arrival], None]
) -> None:
    """Call ``visit`` at every residual block, in the order of the forward pass.

    A block has its input and its branch's output by then, dropout included, and has not yet added
    them: what ``visit`` writes into the block takes part in the sum.

    ``generator`` draws the batch (8 × 16 uniform tokens) and the seed of the dropout masks; the
    global generators are left as they were.
    """
    batch = profiling_batch(model, generator)
    seed = int(torch.randint(2**31, (), generator=generator))
    training, device = model.training, model.target_embedding.device
    cuda = [device.index or 0] if device.type == "cuda" else []
    try:
        with watch(model, stop=visit), torch.no_grad(), torch.random.fork_rng(cuda):
            torch.manual_seed(seed)
            model.train().features(batch.source_BS, batch.target_BT)
    finally:
        model.train(training)


def profiling_batch(model: Transformer, generator: torch.Generator) -> TokenBatch:
    """The random batch that schemes profile on."""
    tokens = min(16, model.spec.max_tokens)
    device = model.target_embedding.device
    return random_batch(model.spec, generator, tokens=tokens, device=device)
