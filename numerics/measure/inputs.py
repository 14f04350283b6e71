"""The rules that a model and its batch must satisfy before they are measured.

What breaks a rule is named with its value, before anything is computed. Measured are models of
`numerics.models`; `tfixup.measure_module` takes any other module.
"""

from typing import Any

import torch
from torch import Tensor

from numerics.models import Transformer
from numerics.models.tokens import TokenBatch
from theory.errors import InputError

_DIMENSIONS = 2
"""Of a tensor of tokens: sequences and positions."""


def require_fitting(model: Any, batch: Any) -> None:
    """Refuse a model and a batch that do not fit each other.

    Raises
    ------
    InputError
        If the model is no `Transformer` or has no values, if the batch is no `TokenBatch`, is
        empty, has tokens outside the vocabulary, or padding of another shape, or if the two sides
        differ in their number of sequences.

    Examples
    --------
    >>> from numerics.models import ModelSpec
    >>> from numerics.schemes import build
    >>> model = build("tfixup", ModelSpec(1, 1, vocabulary=9), torch.Generator())
    >>> tokens = torch.full((2, 3), 9)
    >>> require_fitting(model, TokenBatch(tokens, tokens))
    Traceback (most recent call last):
    ...
    theory.errors.InputError: source tokens must lie between 0 and 8, got 9
    """
    if not isinstance(model, Transformer):
        raise InputError(
            f"model must be a Transformer of this package, got {type(model).__name__}: "
            "tfixup.measure_module measures any other module"
        )
    if not isinstance(batch, TokenBatch):
        raise InputError(f"batch must be a TokenBatch, got {type(batch).__name__}")
    device = next(model.parameters()).device
    if device.type == "meta":
        raise InputError("model must have values to be measured, got parameters on the meta device")
    spec = model.spec
    sides = {}
    if spec.has_encoder:
        sides["source"] = batch.source_BS
    if spec.has_decoder:
        sides["target"] = batch.target_BT
    for name, tokens in sides.items():
        _require_tokens(name, tokens, spec.vocabulary, device)
    counts = {name: tokens.shape[0] for name, tokens in sides.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"both sides must have as many sequences, got {counts}")
    if spec.has_encoder and batch.padding_BS is not None:
        _require_padding(batch.padding_BS, batch.source_BS)


def _require_tokens(name: str, tokens: Any, vocabulary: int, device: torch.device) -> None:
    if not isinstance(tokens, Tensor) or tokens.is_floating_point() or tokens.dtype == torch.bool:
        kind = tokens.dtype if isinstance(tokens, Tensor) else type(tokens).__name__
        raise InputError(f"{name} tokens must be a tensor of integers, got {kind}")
    if tokens.dim() != _DIMENSIONS or not tokens.numel():
        raise InputError(
            f"{name} tokens must be sequences × positions, at least one of each, "
            f"got shape {tuple(tokens.shape)}"
        )
    if tokens.device != device:
        raise InputError(f"{name} tokens must be on the model's {device}, got {tokens.device}")
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= vocabulary:
        got = low if low < 0 else high
        raise InputError(f"{name} tokens must lie between 0 and {vocabulary - 1}, got {got}")


def _require_padding(padding: Any, source: Tensor) -> None:
    if not isinstance(padding, Tensor) or padding.dtype != torch.bool:
        kind = padding.dtype if isinstance(padding, Tensor) else type(padding).__name__
        raise InputError(f"padding must be a tensor of booleans, got {kind}")
    if padding.shape != source.shape:
        raise InputError(
            f"padding must have the source's shape {tuple(source.shape)}, "
            f"got {tuple(padding.shape)}"
        )
    if bool(padding.all(1).any()):
        raise InputError("padding must leave a token of every sequence, got one all padding")
