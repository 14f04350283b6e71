"""One training-mode forward of a seeded random batch, stopping at every residual block.

``visit(stack, block, y, G)`` is called where a block has its input y and its branch's output G,
dropout included, and has not yet added them: what it writes into the block takes part in the sum.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from numerics.models.hooks import hooked
from numerics.models.tokens import TokenBatch, random_batch
from numerics.models.transformer import Transformer
from numerics.models.wiring import Residual

Visit = Callable[[str, Residual, Tensor, Tensor], None]


def profile(model: Transformer, generator: torch.Generator, visit: Visit) -> None:
    """Call ``visit`` at every residual block, in the order of the forward pass.

    ``generator`` draws the batch (8 × 16 uniform tokens) and the seed of the dropout masks; the
    global generators are left as they were.
    """
    batch = profiling_batch(model, generator)
    seed = int(torch.randint(2**31, (), generator=generator))
    training, device = model.training, model.target_embedding.device
    hooks = [hook for stack, block in residuals(model) for hook in _stop_at(stack, block, visit)]
    cuda = [device.index or 0] if device.type == "cuda" else []
    try:
        with hooked(hooks), torch.no_grad(), torch.random.fork_rng(cuda):
            torch.manual_seed(seed)
            model.train().features(batch.source_BS, batch.target_BT)
    finally:
        model.train(training)


def profiling_batch(model: Transformer, generator: torch.Generator) -> TokenBatch:
    """The random batch that schemes profile on."""
    tokens = min(16, model.spec.max_tokens)
    device = model.target_embedding.device
    return random_batch(model.spec, generator, tokens=tokens, device=device)


def residuals(model: Transformer) -> Iterator[tuple[str, Residual]]:
    """Every residual block with its stack's name, in order."""
    for stack, layers in (("encoder", model.encoder), ("decoder", model.decoder)):
        for module in layers.modules():
            if isinstance(module, Residual):
                yield stack, module


def _stop_at(
    stack: str, block: Residual, visit: Visit
) -> tuple[torch.utils.hooks.RemovableHandle, ...]:
    inputs: list[Tensor] = []

    def enter(_: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        inputs.append(arguments[0])

    def leave(_: torch.nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
        visit(stack, block, inputs.pop(), output)

    return (
        block.register_forward_pre_hook(enter),
        block.dropout.register_forward_hook(leave),
    )
