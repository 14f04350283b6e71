"""Which positions of the output are valid, where the batch carries a padding mask.

What a model computes at padded positions depends on the path that it takes, so they are left out:
the cotangent is zero there, and so is their part of ‖Δf‖.
"""

import inspect
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from numerics.structure.default_batch import ModelBatch
from theory.errors import InputError


def valid_positions(
    module: nn.Module, batch: ModelBatch, shape: torch.Size, mask: Tensor | None = None
) -> Tensor | None:
    """True where the output is valid, in a shape that broadcasts with it; ``None``: everywhere.

    Parameters
    ----------
    module, batch
        What is called, whose arguments may hold a mask: ``attention_mask`` (1 is valid),
        ``…padding_mask`` (True, or −∞, is padding), the decoder's before the encoder's.
    shape
        Shape of the output, (sequences, tokens, …) or (tokens, sequences, …).
    mask
        Valid positions in place of those, of the output's leading shape.

    Raises
    ------
    InputError
        If the mask given does not fit, or no position is valid.

    Examples
    --------
    >>> layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    >>> batch = {"src": torch.ones(1, 3, 4),
    ...          "src_key_padding_mask": torch.tensor([[False, False, True]])}
    >>> valid_positions(layer, batch, torch.Size([1, 3, 4])).squeeze(-1)
    tensor([[ True,  True, False]])
    """
    if mask is not None:
        if tuple(mask.shape) != tuple(shape[: mask.dim()]):
            raise InputError(
                f"the mask must have the output's leading shape {tuple(shape)}, got "
                f"{tuple(mask.shape)}"
            )
        return _spread(mask.bool(), shape)
    for name, value in _padding(module, batch):
        valid = _valid(name, value)
        fitting = [valid, valid.T]
        if _tokens_first(module):
            fitting.reverse()
        for one in fitting:
            if tuple(one.shape) == tuple(shape[:2]):
                return _spread(one, shape)
    return None


def _padding(module: nn.Module, batch: ModelBatch) -> list[tuple[str, Tensor]]:
    """Two-dimensional padding masks among the arguments, the output's own first."""
    try:
        signature = inspect.signature(module.forward)
        if isinstance(batch, Mapping):
            given = signature.bind(**batch).arguments
        else:
            given = signature.bind(*(batch if isinstance(batch, (tuple, list)) else (batch,)))
            given = given.arguments
    except (TypeError, ValueError):
        given = batch if isinstance(batch, Mapping) else {}
    named = dict(given)
    for extra in [value for value in given.values() if isinstance(value, Mapping)]:
        named |= extra  # arguments that went into **kwargs
    found = [
        (name, value)
        for name, value in named.items()
        if isinstance(value, Tensor)
        and value.dim() == 2
        and ("padding_mask" in name or name.endswith("attention_mask"))
    ]
    return sorted(found, key=lambda pair: not pair[0].startswith(("decoder", "tgt", "target")))


def _valid(name: str, value: Tensor) -> Tensor:
    if "padding_mask" in name:
        return ~value if value.dtype is torch.bool else ~torch.isneginf(value.float())
    if value.is_floating_point() and bool((value < 0).any()):
        return value > -1  # an additive mask
    return value.bool()


def _tokens_first(module: nn.Module) -> bool:
    return any(isinstance(m, nn.MultiheadAttention) and not m.batch_first for m in module.modules())


def _spread(valid: Tensor, shape: torch.Size) -> Tensor:
    if not bool(valid.any()):
        raise InputError("a padding mask must leave at least one valid position, got none")
    return valid.reshape(*valid.shape, *(1,) * (len(shape) - valid.dim()))
