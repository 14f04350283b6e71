"""Which norm gains are stored as gain − 1, found by trying: set to 0, such a norm still works.

Gemma multiplies by 1 + w and starts at w = 0. A gain that multiplies as it is would give 0 there.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from numerics.recipes.ends import first
from numerics.structure.default_batch import ModelBatch
from numerics.structure.types import Structure
from numerics.structure.user_factory import call, seeded

_PLAIN = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)
"""Torch's own norms, which multiply by the tensor itself."""


def offset_gains(model: nn.Module, batch: ModelBatch, structure: Structure) -> frozenset[str]:
    """Names of the norm gains whose module gives something other than 0 where they are 0."""
    names = {view.parameter for view in structure.of_role("norm_gain")}
    modules = dict(model.named_modules())
    asked: dict[nn.Module, str] = {}
    for name in names:
        owner = modules.get(name.rpartition(".")[0], model)
        # A module that holds many parameters is more than a norm, and its output tells nothing.
        if not isinstance(owner, _PLAIN) and sum(1 for _ in owner.parameters()) <= 2:
            asked[owner] = name
    if not asked:
        return frozenset()
    calls = _first_calls(model, batch, list(asked))
    return frozenset(name for owner, name in asked.items() if _lives(owner, name, calls.get(owner)))


def _first_calls(
    model: nn.Module, batch: ModelBatch, owners: list[nn.Module]
) -> dict[nn.Module, tuple[tuple[Any, ...], dict[str, Any]]]:
    calls: dict[nn.Module, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.setdefault(module, (args, kwargs))

    handles = [m.register_forward_pre_hook(note, with_kwargs=True) for m in owners]
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad(), seeded(0):
            call(model, batch)
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training
    return calls


def _lives(
    owner: nn.Module, name: str, arguments: tuple[tuple[Any, ...], dict[str, Any]] | None
) -> bool:
    if arguments is None:
        return False
    trial = copy.deepcopy(owner)
    local = name.rpartition(".")[2]
    with torch.no_grad():
        for own, parameter in trial.named_parameters():
            if own == local or parameter.dim() == 1:
                parameter.zero_()
        # Random entries of the same shape: under a zero branch the norm's own input is 0.
        g = torch.Generator().manual_seed(0)
        given = tuple(
            torch.randn(a.shape, generator=g).to(a) if isinstance(a, Tensor) else a
            for a in arguments[0]
        )
        result: Tensor | None = first(trial(*given, **arguments[1]))
    return result is not None and bool((result != 0).any())
