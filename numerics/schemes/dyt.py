"""Dynamic Tanh (Zhu et al., 2025): a tanh with a trained slope in the place of each norm of Pre-LN.

The norms become γ tanh(a x) + β. At the start γ = 1, β = 0 and a = 0.5, as for vision models. For
language models the paper starts a between 0.2 and 0.8 before attention and lower elsewhere.
Matrices and tables are N(0, 0.02).
"""

from dataclasses import dataclass, replace

from numerics.models.norms import NormKind, NormTraits
from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.flat import Flat


@dataclass(frozen=True)
class DyT(Flat):
    """Dynamic Tanh, by where its slopes start."""

    slope: float = 0.5
    """Slope a of tanh at 0."""
    attention_slope: float | None = None
    """a before attention; ``None`` is as elsewhere."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """Replace the norms by tanh."""
        norm = NormTraits(NormKind.DYT, slope=self.slope, attention_slope=self.attention_slope)
        return replace(super().adapt(spec), norm=norm)


DYT = DyT("dyt", WIRINGS["pre-ln"], "Zhu et al., arXiv:2503.10622")
