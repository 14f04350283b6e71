"""The result of pulling cotangents back through a whole stack of residual blocks.

Both kinds of stack return it: those whose layers read the layer below, and those whose layers read
all layers below.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from theory.derivations.number import Number
from theory.mean_field.norm_moments import CotangentMoments
from theory.moments.token_gram import Gram


@dataclass(frozen=True)
class PulledStack:
    """The result of a whole stack's backward pass."""

    inputs: Gram
    """Gram of the cotangents on the stack's embedded input."""
    memory: CotangentMoments
    """Cotangent on the memory that the stack reads."""
    energies: Mapping[str, Number]
    """Energy by ``part.matrix``."""
