"""The quantities that T-Fixup's Figs. 2 and 3 show during the first steps, and coherence.

They are logged where ``signals`` is set; a stack is the encoder or the decoder:

    gradient_STACK        ‖∂L/∂E‖/√p of the stack's embedding table E of p entries
    adam_update_STACK     mean |ΔE|/η over its entries: Adam's update before the rate
    norm_input_STACK      mean ‖x‖ over the tokens that enter the stack's layer norms, 0 without any
    norm_self_attention_HALF   the same for the norms after the decoder's self-attention, in the
                          lower or upper half of the layers (Fig. 3a,b)
    coherence_STACK, strength_STACK, skip_growth_STACK   of the stack's attention products
                          (`numerics.signals.coherence.alignment`), after the step
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from numerics.models.blocks import watch_norms
from numerics.signals.coherence import alignment

NormInputs = dict[str, list[Tensor]]
STACKS = {"encoder": "source_embedding", "decoder": "target_embedding"}
HALVES = ("lower", "upper")
COLUMNS = (
    *(
        f"{quantity}_{stack}"
        for quantity in ("gradient", "adam_update", "norm_input")
        for stack in STACKS
    ),
    *(f"norm_self_attention_{half}" for half in HALVES),
    *(
        f"{quantity}_{stack}"
        for quantity in ("coherence", "strength", "skip_growth")
        for stack in STACKS
    ),
)


@contextmanager
def norm_inputs(model: nn.Module, *, watched: bool) -> Iterator[NormInputs]:
    """Mean token norms of whatever enters a layer norm inside the block, by stack.

    The key ``self_attention`` lists those after the decoder's self-attention, lowest layer first.

    Examples
    --------
    >>> model = nn.ModuleDict({"encoder": nn.LayerNorm(4)})
    >>> with norm_inputs(model, watched=True) as seen:
    ...     _ = model["encoder"](torch.ones(2, 4))
    >>> seen["encoder"]
    [tensor(2.)]
    """
    seen: NormInputs = {name: [] for name in (*STACKS, "self_attention")}

    def read(name: str, x_BTD: Tensor) -> None:
        norm = x_BTD.detach().norm(dim=-1).mean()
        for key, norms in seen.items():
            if any(part.startswith(key) for part in name.split(".")):
                norms.append(norm)

    with watch_norms(model, read) if watched else nullcontext():
        yield seen


def signals(
    model: nn.Module, before: dict[str, Tensor], seen: NormInputs, rate: float
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
        found[f"norm_input_{stack}"] = _mean(seen[stack])
        aligned = alignment(model, stack)
        found[f"coherence_{stack}"] = aligned.coherence
        found[f"strength_{stack}"] = aligned.strength
        found[f"skip_growth_{stack}"] = aligned.growth
    inputs = seen["self_attention"]
    for half, part in zip(
        HALVES, (inputs[: len(inputs) // 2], inputs[len(inputs) // 2 :]), strict=True
    ):
        found[f"norm_self_attention_{half}"] = _mean(part)
    return found


def _mean(values: list[Tensor]) -> float:
    return torch.stack(values).mean().item() if values else 0.0
