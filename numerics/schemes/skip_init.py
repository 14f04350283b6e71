"""SkipInit (De & Smith, 2020): no norm, and each block's branch times a scalar that starts at 0.

A block is y + α G(y) with a trainable α of its own. Matrices are Xavier.
"""

from dataclasses import dataclass, replace

from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Scheme


@dataclass(frozen=True)
class SkipInit(Scheme):
    """SkipInit with a given α at the start."""

    start: float = 0.0
    """α at the start."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """Multiply every branch by its trainable α."""
        own = {f"{stack}_branch": self.start for stack in spec.stacks}
        return replace(super().adapt(spec), **own)


SKIP_INIT = SkipInit("skip-init", WIRINGS["skip-init"], "De & Smith, NeurIPS 2020")
