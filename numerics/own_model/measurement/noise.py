"""Gradients that are zero but for rounding, which a sign would turn into whole steps.

The bias of attention's keys adds the same number to all scores of a query, which the softmax does
not see. Its gradient is a sum that vanishes, about 1e-17 in float64. A tensor counts as zero where
its largest entry is that far below those of its neighbours. An entry counts as zero where it is
that far below its tensor's largest.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from numerics.linearization.types import Parameters

ENTRY = {torch.float64: 1e-12, torch.float32: 1e-6}
"""An entry below this part of its tensor's largest is rounding: some thousand units of it."""
TENSOR = {torch.float64: 1e-11, torch.float32: 1e-6}
"""A tensor below this part of its neighbours' largest entry is rounding."""


def without_noise(gradients: Parameters) -> dict[str, Tensor]:
    """The gradients, with zeros in the place of what is only rounding.

    A tensor's neighbours are those of the same module and of the module around it, such as the
    projections of one attention: they see the same errors at the same depth.

    Examples
    --------
    >>> g = {"attn.k.weight": torch.tensor([1.0, 1e-18], dtype=torch.float64),
    ...      "attn.k.bias": torch.tensor([1e-17], dtype=torch.float64)}
    >>> [value.tolist() for value in without_noise(g).values()]
    [[1.0, 0.0], [0.0]]
    """
    largest = {
        name: float(gradient.abs().max()) if gradient.numel() else 0.0
        for name, gradient in gradients.items()
    }
    around: dict[str, float] = {}
    for name, value in largest.items():
        for scope in _scopes(name):
            around[scope] = max(around.get(scope, 0.0), value)
    cleaned: dict[str, Tensor] = {}
    for name, gradient in gradients.items():
        neighbours = max((around[scope] for scope in _scopes(name)), default=0.0)
        if largest[name] <= _of(TENSOR, gradient.dtype) * neighbours:
            cleaned[name] = torch.zeros_like(gradient)
            continue
        floor = _of(ENTRY, gradient.dtype) * largest[name]
        cleaned[name] = torch.where(gradient.abs() > floor, gradient, torch.zeros_like(gradient))
    return cleaned


def _scopes(name: str) -> tuple[str, ...]:
    """The module that holds a tensor, and the one around it unless that is the whole model."""
    path = name.split(".")[:-1]
    return tuple(".".join(path[:length]) for length in (len(path), len(path) - 1) if length > 0)


def _of(table: Mapping[torch.dtype, float], dtype: torch.dtype) -> float:
    return table.get(dtype, 1e-2)
