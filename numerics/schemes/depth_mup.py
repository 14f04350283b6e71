"""Depth-μP (Yang et al., Tensor Programs VI, 2023): branches and Adam's rate both as 1/√N.

A block is y + √(N₀/N) G(LN y) with matrices N(0, 1/√fan_in). Under Adam and its like, the rate of
everything inside the residual blocks is multiplied by √(N₀/N) as well. N₀ is the depth at which
rates were tuned. The stream must start at RMS 1: embeddings are N(0, 1).
"""

from dataclasses import dataclass, replace

from numerics.models.norms import RMS_NORM
from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.draws import WeightDraw
from numerics.schemes.flat import Flat, layers_of
from numerics.schemes.scheme import Prescription


@dataclass(frozen=True)
class DepthMuP(Flat):
    """Branches and rates that shrink with the root of the depth, √(N₀/N)."""

    embedding_std: float | None = 1.0
    base_layers: float = 2.0
    """Depth N₀ at which the multiplier is 1."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """Multiply the branches of each stack by its own √(N₀/N)."""
        own = {
            f"{stack}_branch": (self.base_layers / spec.layers(stack)) ** 0.5
            for stack in spec.stacks
        }
        return replace(super().adapt(spec), **own)

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """Factors on the rates, for both stacks by the deeper one."""
        rate = (self.base_layers / layers_of(spec)) ** 0.5
        return replace(super().prescribe(spec), rates={"hidden": rate})

    def reader(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """A standard deviation that keeps the size of what is read, 1/√fan_in."""
        return WeightDraw((spec.d_ff if matrix == "w2" else spec.d_model) ** -0.5)

    def tables(self, spec: ModelSpec) -> dict[str, WeightDraw]:
        """Embeddings of RMS 1, and an output matrix by its fan-in."""
        assert self.embedding_std is not None
        own, output = WeightDraw(self.embedding_std), WeightDraw(spec.d_model**-0.5)
        return {"embeddings": own, "positions": own, "output": output}


DEPTH_MUP = DepthMuP(
    "depth-mup", WIRINGS["scaled-pre-ln"], "Yang et al., arXiv:2310.02244", norm=RMS_NORM
)
