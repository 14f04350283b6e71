"""The structure of a model from one traced forward."""

from collections.abc import Callable, Sequence

from torch import nn

from numerics.default_batch import Batch
from numerics.structure.types import Structure


def trace_structure(
    model: nn.Module,
    batch: Batch,
    *,
    output: Callable[[object], object] | None = None,
    blocks: Sequence[str] | None = None,
) -> Structure:
    """The residual additions of a model and the roles of its parameters."""
    raise NotImplementedError
