"""SkipInit (De & Smith, 2020): no norm, y + α G(y) with a trainable α = 0 per block; Xavier."""

from dataclasses import dataclass, replace

from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Scheme


@dataclass(frozen=True)
class SkipInit(Scheme):
    """α from a number."""

    start: float = 0.0
    """α at the start."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """Every branch's multiplier."""
        own = {f"{stack}_branch": self.start for stack in spec.stacks}
        return replace(super().adapt(spec), **own)


SKIP_INIT = SkipInit("skip-init", WIRINGS["skip-init"], "De & Smith, NeurIPS 2020")
