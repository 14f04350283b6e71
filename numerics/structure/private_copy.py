"""A copy of a model on which a forward can be traced without changing the user's own.

Dropout is off, because every module of the copy is in evaluation mode. Parameters that are zero
throughout get small random numbers, since a zero hides what depends on it. Compiled code runs
eagerly.
"""

import inspect
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from numerics.structure.default_batch import ModelBatch
from numerics.structure.module_copy import copy_module

NOISE = 0.02
"""Standard deviation of what stands in for a parameter that is zero throughout."""


def eager(model: nn.Module) -> nn.Module:
    """The module behind ``torch.compile``."""
    inner = getattr(model, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else model


@contextmanager
def private_copy(
    model: nn.Module, *, seed: int = 0, jitter: float = 0.0, share: bool = False
) -> Iterator[nn.Module]:
    """A copy in evaluation mode; where copying fails, the model itself, restored afterwards.

    Parameters
    ----------
    model
        The module to copy.
    seed
        Seed of the noise.
    jitter
        Every parameter gets noise of this part of its own standard deviation, so that another run
        of a router chooses other experts.
    share
        Whether the copy holds the model's own parameters, which costs neither time nor memory; the
        forward must not write them then.
    """
    model = eager(model)
    generator = torch.Generator().manual_seed(seed)
    with ExitStack() as stack:
        memo: dict[int, Any] = {}
        if share and not jitter:
            memo = {id(p): p for p in model.parameters() if not _is_zero(p)}
        try:
            work = copy_module(model, memo)
            stack.enter_context(_restored(model, parameters=False))  # closures may still use it
        except Exception:  # a model may hold what cannot be copied, such as an open file
            stack.enter_context(_restored(model, parameters=True))
            work = model
        work.eval()
        model.eval()
        with torch.no_grad():
            for parameter in work.parameters():
                scale = jitter * float(parameter.float().std()) if jitter else 0.0
                if parameter.is_floating_point() and parameter.numel() and _is_zero(parameter):
                    scale = NOISE
                if scale > 0:
                    noise = torch.randn(parameter.shape, generator=generator) * scale
                    parameter.add_(noise.to(parameter))
        yield work


def _is_zero(parameter: Tensor) -> bool:
    """Whether all entries are zero; the first ones usually tell."""
    flat = parameter.detach().reshape(-1)
    return not bool((flat[:64] != 0).any()) and not bool((flat != 0).any())


@contextmanager
def quiet_forward() -> Iterator[None]:
    """Run a forward without gradients, fused fast paths or compilation; keep the random state."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    fast = torch.backends.mha.get_fastpath_enabled()
    python = random.getstate()
    with ExitStack() as stack:
        stack.callback(lambda: random.setstate(python))
        stack.enter_context(torch.random.fork_rng(devices=devices))
        if "torch._dynamo" in sys.modules:  # importing it takes seconds, and compiled code did
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(torch.no_grad())
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)


def without_cache(model: nn.Module, batch: ModelBatch) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of the forward, detached; a cache of keys and values is switched off."""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    if isinstance(batch, Mapping):
        kwargs = dict(batch)
    else:
        args = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
    try:
        parameters = inspect.signature(eager(model).forward).parameters
    except (TypeError, ValueError):
        parameters = {}
    if "use_cache" in parameters and "use_cache" not in kwargs:
        names = list(parameters)
        if names.index("use_cache") >= len(args):
            kwargs["use_cache"] = False
    return args, kwargs


def detached(value: Any) -> Any:
    """Nested arguments with every tensor copied, so that a forward may write into them."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping) and type(value) is dict:
        return {key: detached(child) for key, child in value.items()}
    if type(value) in (tuple, list):
        copied = [detached(child) for child in value]
        return copied if type(value) is list else tuple(copied)
    return value


@contextmanager
def _restored(model: nn.Module, *, parameters: bool) -> Iterator[None]:
    """The model's parameters, buffers, modes and attributes as they were, after the block."""
    modes = [(module, module.training) for module in model.modules()]
    attributes = [(module, dict(module.__dict__)) for module in model.modules()]
    inner = [
        (module, {k: dict(v) for k, v in module.__dict__.items() if type(v) is dict})
        for module in model.modules()
    ]
    kept = [*model.buffers(), *(model.parameters() if parameters else ())]
    tensors = [(tensor, tensor.detach().clone()) for tensor in kept]
    try:
        yield
    finally:
        for module, values in attributes:
            module.__dict__.clear()
            module.__dict__.update(values)
        for module, found in inner:
            for key, values in found.items():
                module.__dict__[key].clear()
                module.__dict__[key].update(values)
        with torch.no_grad():
            for tensor, value in tensors:
                tensor.copy_(value)
        for module, mode in modes:
            module.training = mode
