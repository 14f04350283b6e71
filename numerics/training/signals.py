"""What Figs. 2 and 3 of T-Fixup watch during the first steps.

Logged where ``signals`` is set, a stack being the encoder or the decoder:

    gradient_STACK        ‖∂L/∂E‖/√p of the stack's embedding table E of p entries
    adam_update_STACK     mean |ΔE|/η over its entries: Adam's update before the rate
    norm_input_STACK      mean ‖x‖ over the tokens that enter the stack's layer norms, 0 without any
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Inputs = dict[str, list[Tensor]]
STACKS = {"encoder": "source_embedding", "decoder": "target_embedding"}
COLUMNS = tuple(
    f"{quantity}_{stack}"
    for quantity in ("gradient", "adam_update", "norm_input")
    for stack in STACKS
)


@contextmanager
def norm_inputs(model: nn.Module, *, watched: bool) -> Iterator[Inputs]:
    """Mean token norms of whatever enters a layer norm inside the block, by stack.

    Examples
    --------
    >>> model = nn.ModuleDict({"encoder": nn.LayerNorm(4)})
    >>> with norm_inputs(model, watched=True) as seen:
    ...     _ = model["encoder"](torch.ones(2, 4))
    >>> seen["encoder"]
    [tensor(2.)]
    """
    seen: Inputs = {stack: [] for stack in STACKS}

    def hook_for(stack: str) -> Any:
        def hook(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            seen[stack].append(arguments[0].detach().norm(dim=-1).mean())

        return hook

    handles = [
        module.register_forward_pre_hook(hook_for(stack))
        for name, module in model.named_modules()
        if watched and isinstance(module, nn.LayerNorm)
        for stack in STACKS
        if any(part.startswith(stack) for part in name.split("."))
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def signals(
    model: nn.Module, before: dict[str, Tensor], seen: Inputs, rate: float
) -> dict[str, float]:
    """The logged columns of one step, from the tables before it and the layer norms' inputs."""
    tables = dict(model.named_parameters())
    found = {}
    for stack, table in STACKS.items():
        (name,) = [key for key in tables if key.endswith(table)]
        gradient = tables[name].grad
        assert gradient is not None
        found[f"gradient_{stack}"] = (gradient.norm() / gradient.numel() ** 0.5).item()
        moved = (tables[name].detach() - before[name]).abs().mean()
        found[f"adam_update_{stack}"] = (moved / rate).item()
        inputs = seen[stack]
        found[f"norm_input_{stack}"] = torch.stack(inputs).mean().item() if inputs else 0.0
    return found
