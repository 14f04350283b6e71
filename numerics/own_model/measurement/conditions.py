"""The conditions under which a module is measured, and the state that is put back afterwards.

Fused attention has no forward derivative, so attention runs on the math backend. The fused path of
`torch.nn.TransformerEncoder` computes another function of padded inputs, so it is off. A compiled
module runs as it was written. Random numbers that a forward draws leave the user's generators as
they were.
"""

import random
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def measuring(seed: int = 0) -> Iterator[None]:
    """Measure under math attention, without fast paths or compilation, with own random numbers.

    Everything is restored afterwards.

    Examples
    --------
    >>> before = torch.backends.mha.get_fastpath_enabled()
    >>> with measuring():
    ...     torch.backends.mha.get_fastpath_enabled()
    False
    >>> torch.backends.mha.get_fastpath_enabled() == before
    True
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    state = random.getstate()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=devices))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
            random.setstate(state)


@contextmanager
def any_attention() -> Iterator[None]:
    """Allow every attention backend within `measuring`; for one backward pass all are exact."""
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
        yield
