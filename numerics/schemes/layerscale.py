"""LayerScale (Touvron et al., CaiT, 2021): each branch times a trained vector that starts small.

A block is x + λ∘G(LN x). All entries of λ start at 0.1 up to 18 layers, at 1e-5 up to 24 and at
1e-6 beyond. Matrices and tables are N(0, 0.02).
"""

from dataclasses import dataclass, replace

from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.flat import Flat


@dataclass(frozen=True)
class LayerScale(Flat):
    """LayerScale with λ by the depth, or with one number."""

    scale: float | None = None
    """λ at the start; ``None`` is by depth."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """Start the λ of each stack by its own number of layers."""
        own = {f"{stack}_branch": self._start(spec.layers(stack)) for stack in spec.stacks}
        return replace(super().adapt(spec), **own)

    def _start(self, layers: int) -> float:
        if self.scale is not None:
            return self.scale
        return 0.1 if layers <= 18 else 1e-5 if layers <= 24 else 1e-6


LAYERSCALE = LayerScale("layerscale", WIRINGS["layerscale"], "Touvron et al., ICCV 2021 (CaiT)")
