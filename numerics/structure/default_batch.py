"""A batch for a model that came without one: random token ids, or random vectors.

How many ids there are is not guessed from names. The model runs once on ids that are all 1, and
the tables from which it takes rows by exactly those ids are its token embeddings.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from theory.errors import InputError

ModelBatch = Tensor | tuple[Any, ...] | Mapping[str, Any]
"""One argument, positional arguments, or keyword arguments of a model's forward."""
SEQUENCES = 2
TOKENS = (16, 8, 4)
"""Tokens per sequence, in the order in which they are tried: a position table may be short."""


def default_batch(model: nn.Module, seed: int = 0) -> tuple[ModelBatch, str]:
    """A random batch on which the model runs, and a sentence that says what it is.

    Raises
    ------
    InputError
        If the model runs on none of the batches tried; the message shows its last error.
    """
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    raised: Exception | None = None
    for shape, ids, names in _attempts(model, device):
        with _Rows(ids) as rows:
            try:
                _quiet(model, _filled(names, ids))
            except Exception as error:
                raised = raised or error
                continue
        if not rows.found:
            continue
        vocabulary = min(rows.found)
        padding = {m.padding_idx for m in model.modules() if isinstance(m, nn.Embedding)}
        drawn = _tokens(vocabulary, shape, padding - {None}, generator).to(device)  # type: ignore[arg-type]
        note = (
            f"The factory gave no batch: {shape[0]} sequences of {shape[1]} random token ids below "
            f"{vocabulary} (the embedding's rows) were drawn."
        )
        return _filled(names, drawn), note
    for batch, said in _vectors(model, device, generator):
        try:
            _quiet(model, batch)
        except Exception as error:
            raised = raised or error
            continue
        return batch, f"The factory gave no batch: {said} were drawn."
    text = " ".join(str(raised).split())[:200]
    raise InputError(
        "a batch must fit the model, and none that was tried does: return (model, batch) from the "
        f"factory (last error: {type(raised).__name__}: {text})"
    ) from raised


def _attempts(
    model: nn.Module, device: torch.device
) -> Iterator[tuple[tuple[int, int], Tensor, tuple[str, ...] | int]]:
    """Shapes, ids of ones, and the arguments that take them."""
    found = [
        p
        for p in inspect.signature(model.forward).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    names = {p.name for p in found}
    required = sum(p.default is p.empty for p in found)
    ways: list[tuple[str, ...] | int] = [max(required, 1)]
    if {"input_ids", "decoder_input_ids"} <= names:
        ways.insert(0, ("input_ids", "decoder_input_ids"))
    if required < 2 <= len(found):
        ways.append(2)
    for tokens in TOKENS:
        shape = (SEQUENCES, tokens)
        for way in ways:
            yield shape, torch.ones(shape, dtype=torch.long, device=device), way


def _filled(names: tuple[str, ...] | int, ids: Tensor) -> ModelBatch:
    if isinstance(names, int):
        return (ids,) * names
    return dict.fromkeys(names, ids)


def _vectors(
    model: nn.Module, device: torch.device, generator: torch.Generator
) -> Iterator[tuple[ModelBatch, str]]:
    """Images for a model that begins with a convolution, vectors of each width otherwise."""
    first = next(model.parameters())
    dtype = first.dtype if first.is_floating_point() else torch.float32
    for convolution in (m for m in model.modules() if isinstance(m, nn.Conv2d)):
        size = getattr(getattr(model, "config", None), "image_size", None)
        for side in [size] if isinstance(size, int) else [224, 32]:
            image = torch.randn(
                SEQUENCES, convolution.in_channels, side, side, generator=generator, dtype=dtype
            )
            yield (image.to(device),), f"{SEQUENCES} random images of {side} × {side}"
        break
    widths = {p.shape[-1]: None for p in model.parameters() if p.dim() == 2}
    required = sum(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        for p in inspect.signature(model.forward).parameters.values()
    )
    for width in widths:
        x = torch.randn(SEQUENCES, TOKENS[0], width, generator=generator, dtype=dtype).to(device)
        said = f"{SEQUENCES} sequences of {TOKENS[0]} random vectors of width {width}"
        yield (x,) * max(required, 1), said


def _tokens(
    vocabulary: int, shape: tuple[int, int], padding: set[int], generator: torch.Generator
) -> Tensor:
    """Random ids that avoid the padding ids where others are left."""
    allowed = torch.tensor([i for i in range(vocabulary) if i not in padding] or [0])
    return allowed[torch.randint(len(allowed), shape, generator=generator)]


def _quiet(model: nn.Module, batch: ModelBatch) -> None:
    """One forward that leaves modes, buffers and generators as they were."""
    modes = {module: module.training for module in model.modules()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model.eval()
            model(**batch) if isinstance(batch, Mapping) else model(*batch)
    finally:
        for module, training in modes.items():
            module.training = training
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                if name in buffers and buffer.shape == buffers[name].shape:
                    buffer.copy_(buffers[name])


class _Rows(TorchFunctionMode):
    """Notes how many rows a table has that is read by exactly the ids given."""

    def __init__(self, ids: Tensor) -> None:
        super().__init__()
        self.ids = ids
        self.found: list[int] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func is F.embedding:
            index = args[0] if args else named["input"]
            table = args[1] if len(args) > 1 else named["weight"]
            self._note(table, index)
        elif func is Tensor.__getitem__ and isinstance(args[1], Tensor):
            self._note(args[0], args[1])
        return func(*args, **named)

    def _note(self, table: Tensor, index: Tensor) -> None:
        if (
            table.is_floating_point()
            and not index.is_floating_point()
            and index.dtype is not torch.bool
            and index.numel() >= self.ids.numel() // SEQUENCES
            and bool((index == 1).all())
        ):
            self.found.append(table.shape[0])
