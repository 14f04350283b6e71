"""torchtitan's Llama: writers of layer l are N(0, 0.02/√(2 l)), embeddings N(0, 1).

The output is N(0, 1/√d) cut at ±3σ, all other matrices N(0, 0.02). RMS norm and SwiGLU. As shipped
(and likewise in OLMo-core's ``llama_depth``) the up-projection w3 has the writers' factor too,
although it reads the stream: ``torchtitan``. With the rule on the writers alone it is
``torchtitan-w2``.
"""

from dataclasses import dataclass

from numerics.models.mlp import SWIGLU
from numerics.models.norms import RMS_NORM
from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.draws import WeightDraw
from numerics.schemes.flat import Flat


@dataclass(frozen=True)
class Torchtitan(Flat):
    """One standard deviation σ, and σ/√(2 l) for the writers of layer l."""

    up_projection_scaled: bool = True
    """Whether w3 has the writers' factor."""

    def reader(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """The standard deviation σ; the writers' for w3 where it is treated as one."""
        if matrix == "w3" and self.up_projection_scaled:
            return self.writer(spec, matrix)
        return WeightDraw(self.std)

    def writer(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """A standard deviation that shrinks with the layer's number, σ/√(2 l)."""
        del spec, matrix
        return WeightDraw(self.std / 2**0.5, depth_power=-0.5)

    def tables(self, spec: ModelSpec) -> dict[str, WeightDraw]:
        """Embeddings of unit variance, and an output matrix of 1/√d cut at ±3σ."""
        return {
            "embeddings": WeightDraw(1.0),
            "positions": WeightDraw(self.std),
            "output": WeightDraw(spec.d_model**-0.5, cut=3.0),
        }


_SOURCE = "pytorch/torchtitan llama3; allenai/OLMo-core llama_depth"
TORCHTITAN = Torchtitan(
    "torchtitan", WIRINGS["pre-ln"], _SOURCE, norm=RMS_NORM, mlp=SWIGLU, up_projection_scaled=True
)
TORCHTITAN_W2 = Torchtitan(
    "torchtitan-w2",
    WIRINGS["pre-ln"],
    f"{_SOURCE}; the writers alone",
    norm=RMS_NORM,
    mlp=SWIGLU,
    up_projection_scaled=False,
)
