"""A private copy of a user's module, evaluated at parameters that are passed in.

The copy shares no memory with the user's module, so nothing that is done to it is seen outside. It
is evaluated at other values by putting them into the slots of its parameters and taking them out
again, every slot once. `torch.func.functional_call` visits a module that is reachable by two paths
twice, and then puts the passed values back in place of the original ones (torch 2.13).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from numerics.linearization.types import Parameters
from numerics.structure.default_batch import ModelBatch
from numerics.structure.module_copy import copy_module
from theory.errors import InputError

_NORMS_OF_BATCH = (nn.modules.batchnorm._BatchNorm,)


@dataclass(frozen=True)
class PrivateCopy:
    """A copy of a module without dropout, in one precision."""

    module: nn.Module
    slots: Mapping[str, tuple[tuple[nn.Module, str], ...]]
    """The attributes of modules that hold each trainable tensor, by the tensor's first name."""
    parameters: Mapping[str, Tensor]
    """The trainable tensors' values, detached."""
    notes: tuple[str, ...] = ()
    """What was noticed, in sentences."""

    @contextmanager
    def at(self, values: Parameters) -> Iterator[nn.Module]:
        """The module with these values in the slots of the named parameters."""
        held = [
            (module, attribute, module._parameters[attribute], values[name])
            for name in values
            for module, attribute in self.slots[name]
        ]
        for module, attribute, _, value in held:
            module._parameters[attribute] = value  # type: ignore[assignment]
        _refresh(held)
        try:
            yield self.module
        finally:
            for module, attribute, before, _ in held:
                module._parameters[attribute] = before
            _refresh(held)


def private_copy(model: nn.Module, dtype: torch.dtype | None = None) -> PrivateCopy:
    """Copy a module, switch its dropout off and find its trainable tensors.

    Every module of the copy is in evaluation mode, except that a batch norm which trains keeps the
    statistics of the batch. Frozen parameters stay what they are and are no part of θ.

    Parameters
    ----------
    model
        Any module; it is not changed.
    dtype
        Precision of the copy's floating tensors; ``None`` leaves them as they are.

    Raises
    ------
    InputError
        If the module cannot be copied, or has no trainable parameter.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    >>> copied = private_copy(model, torch.float64)
    >>> sorted(copied.parameters), model.training, copied.module.training
    (['0.bias', '0.weight'], True, False)
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    trains = [
        name
        for name, module in model.named_modules()
        if isinstance(module, _NORMS_OF_BATCH) and module.training
    ]
    aliases = _one_memory(model)
    try:
        module = copy_module(model)
    except Exception as raised:
        text = " ".join(str(raised).split())[:200]
        raise InputError(
            f"a model must be copyable (copy.deepcopy), and {type(model).__name__} is not: {text}"
        ) from raised
    module.zero_grad(set_to_none=True)
    module.eval()
    for name in trains:
        _use_batch_statistics(module.get_submodule(name))
    tensors = [*module.parameters(), *module.buffers()]
    if dtype is not None and any(t.is_floating_point() and t.dtype != dtype for t in tensors):
        module.to(dtype)
    slots, parameters = _slots(module, aliases)
    if not parameters:
        raise InputError(
            f"a model must have trainable parameters, {type(model).__name__} has none: every "
            "requires_grad is False"
        )
    notes = [
        f"{name} and {first} are two parameters in one memory: taken as one tensor."
        for name, first in aliases.items()
    ]
    if still := sum(not p.requires_grad for p in module.parameters()):
        notes.append(
            f"{still} of {still + len(parameters)} parameters are frozen (requires_grad=False): "
            "the step does not move them."
        )
    if trains:
        notes.append(f"{len(trains)} batch norm(s) use the statistics of the batch.")
    return PrivateCopy(module, slots, parameters, tuple(notes))


def in_dtype(value: Any, dtype: torch.dtype | None) -> Any:
    """A batch with its floating tensors detached and in another precision."""
    if isinstance(value, Tensor):
        value = value.detach()
        return value.to(dtype) if dtype is not None and value.is_floating_point() else value
    if isinstance(value, Mapping):
        return {key: in_dtype(child, dtype) for key, child in value.items()}
    if type(value) in (tuple, list):
        return type(value)(in_dtype(child, dtype) for child in value)
    return value


def called(module: nn.Module, batch: ModelBatch) -> object:
    """The module on a batch, whose mutable containers are copied first."""
    if isinstance(batch, Mapping):
        return module(**batch)
    return module(*batch) if isinstance(batch, (tuple, list)) else module(batch)


def _slots(
    module: nn.Module, aliases: Mapping[str, str]
) -> tuple[dict[str, tuple[tuple[nn.Module, str], ...]], dict[str, Tensor]]:
    """The slots and values of the trainable tensors; slots of one memory are given one tensor.

    The copy holds a tensor per alias, and a gradient by one of them would miss the others' uses.
    """
    held = dict(module.named_parameters())
    names = {id(p): name for name, p in module.named_parameters() if p.requires_grad}
    slots: dict[str, list[tuple[nn.Module, str]]] = {}
    parameters: dict[str, Tensor] = {}
    for child in module.modules():  # every module once, however many paths lead to it
        for attribute, parameter in [*child._parameters.items()]:
            if parameter is None or id(parameter) not in names:
                continue
            name = names[id(parameter)]
            first = aliases.get(name, name)
            if first != name:
                setattr(child, attribute, held[first])
            slots.setdefault(first, []).append((child, attribute))
            if name == first and parameter.is_floating_point():
                parameters[name] = parameter.detach()
    order = [name for name in names.values() if name in parameters]
    return (
        {name: tuple(slots[name]) for name in order},
        {name: parameters[name] for name in order},
    )


def _one_memory(model: nn.Module) -> dict[str, str]:
    """Parameters that are other objects over the memory of an earlier one, and that one's name."""
    seen: dict[tuple[int, tuple[int, ...], tuple[int, ...]], str] = {}
    found: dict[str, str] = {}
    for name, parameter in model.named_parameters():
        if not parameter.numel() or parameter.is_meta:
            continue
        key = (parameter.data_ptr(), tuple(parameter.shape), tuple(parameter.stride()))
        if key in seen:
            found[name] = seen[key]
        seen.setdefault(key, name)
    return found


def _use_batch_statistics(norm: nn.Module) -> None:
    """Forget the running statistics, whose update in place is no function of θ."""
    norm.running_mean = norm.running_var = norm.num_batches_tracked = None  # type: ignore[assignment]
    norm.track_running_stats = False  # type: ignore[assignment]


def _refresh(held: list[tuple[nn.Module, str, Any, Any]]) -> None:
    """Recurrent layers keep a list of their weights beside the slots."""
    for module in dict.fromkeys(m for m, *_ in held if isinstance(m, nn.RNNBase)):
        names = module._flat_weights_names
        module._flat_weights = [module._parameters.get(name) for name in names]  # type: ignore[misc]
