"""The structure of a model, or of one branch alone.

A module without any residual addition may be a branch by itself, such as one attention layer. It is
then traced as x + F(x), which gives its tensors the roles that they have within a block.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from numerics.recipes.ends import first
from numerics.structure.default_batch import ModelBatch
from numerics.structure.trace import trace_structure
from numerics.structure.types import Structure, TensorView
from numerics.structure.user_factory import call, seeded


def unwrapped(model: nn.Module) -> nn.Module:
    """The module that `torch.compile` wraps, under whose names the parameters are known."""
    inner = getattr(model, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else model


class _Block(nn.Module):
    """A residual block around a branch F whose first argument is x: x + F(x)."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, *arguments: Tensor) -> Tensor:
        """The first argument plus the branch's first output."""
        result = first(call(self.branch, arguments))
        assert result is not None
        return arguments[0] + result


def traced(
    model: nn.Module,
    batch: ModelBatch,
    *,
    output: Callable[[object], object] | None = None,
    blocks: Sequence[str] | None = None,
) -> Structure:
    """`trace_structure` of a model; of a branch alone, its structure within x + F(x)."""
    structure = trace_structure(model, batch, output=output, blocks=blocks)
    if structure.depth or output is not None or blocks is not None:
        return whole_banks(structure, model)
    arguments = (batch,) if isinstance(batch, Tensor) else batch
    if not isinstance(arguments, tuple) or not _keeps_shape(model, arguments):
        return structure
    alone = trace_structure(_Block(model), arguments)
    if not alone.understood or alone.depth != 1:
        return structure
    inside = "branch."
    return replace(
        alone,
        views=tuple(replace(v, parameter=v.parameter.removeprefix(inside)) for v in alone.views),
        ties=tuple(tuple(n.removeprefix(inside) for n in names) for names in alone.ties),
        unread=tuple(n.removeprefix(inside) for n in alone.unread),
        shared=tuple(n.removeprefix(inside) for n in alone.shared),
        reasons=(*alone.reasons, "The module is read as a branch F of x + F(x): it adds nothing."),
    )


def whole_banks(structure: Structure, model: nn.Module) -> Structure:
    """The structure with every expert of a bank, where routing sent no token to some of them.

    The views of the experts that were read are repeated for those that were not.
    """
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    banks: dict[tuple[str, int], dict[int, list[TensorView]]] = {}
    for view in structure.views:
        if view.expert is not None and view.branch is not None and view.parameter in shapes:
            experts = banks.setdefault((view.parameter, view.branch), {})
            experts.setdefault(view.expert, []).append(view)
    layers = Counter(name for name, _ in banks)
    added = []
    for (name, _), experts in banks.items():
        if layers[name] > 1:
            continue  # a bank of layers: its slices belong to several branches
        pattern = next(iter(experts.values()))
        missing = set(range(shapes[name][0])) - set(experts)
        added += [replace(view, expert=e) for e in sorted(missing) for view in pattern]
    return replace(structure, views=(*structure.views, *added)) if added else structure


def _keeps_shape(model: nn.Module, arguments: tuple[object, ...]) -> bool:
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad(), seeded(0):
            result = first(call(model, arguments))
    finally:
        for module, training in modes.items():
            module.training = training
    x = arguments[0]
    return (
        isinstance(x, Tensor)
        and x.is_floating_point()
        and result is not None
        and result.shape == x.shape
    )
