"""Hooks on a model that are gone when the block ends, however it ends."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch.utils.hooks import RemovableHandle


@contextmanager
def hooked(handles: Iterable[RemovableHandle]) -> Iterator[None]:
    """Keep the hooks of ``handles`` for the block that follows.

    Examples
    --------
    >>> import torch
    >>> layer, seen = torch.nn.Identity(), []
    >>> with hooked([layer.register_forward_pre_hook(lambda _, given: seen.append(given))]):
    ...     _ = layer(torch.ones(1))
    >>> _ = layer(torch.ones(1))
    >>> len(seen)
    1
    """
    kept = list(handles)
    try:
        yield
    finally:
        for handle in kept:
            handle.remove()
