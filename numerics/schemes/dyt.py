"""Dynamic Tanh (Zhu et al., 2025): γ tanh(a x) + β in the place of Pre-LN's norms.

γ = 1, β = 0 and a = 0.5 at the start, as for vision models; for language models the paper starts a
between 0.2 and 0.8 before attention and lower elsewhere. Flat N(0, 0.02).
"""

from dataclasses import dataclass, replace

from numerics.models.norms import NormKind, NormTraits
from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.flat import Flat


@dataclass(frozen=True)
class DyT(Flat):
    """Where the slopes start."""

    slope: float = 0.5
    """Slope a of tanh at 0."""
    attention_slope: float | None = None
    """a before attention; ``None`` is as elsewhere."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """Tanh instead of norms."""
        norm = NormTraits(NormKind.DYT, slope=self.slope, attention_slope=self.attention_slope)
        return replace(super().adapt(spec), norm=norm)


DYT = DyT("dyt", WIRINGS["pre-ln"], "Zhu et al., arXiv:2503.10622")
