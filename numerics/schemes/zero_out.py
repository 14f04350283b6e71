"""Writers start at 0 (modded-nanogpt): the first step moves the function through them alone.

Readers are U(±√3/2 d^(-1/2)), of standard deviation d^(-1/2)/2. Writers are 0, embeddings N(0, 1),
and the output is N(0, 0.005). The RMS norms have no gains, and one stands on the embedded inputs.
The MLP has ReLU², and queries and keys are normalised head by head.
"""

from dataclasses import dataclass

from numerics.models.attention import QKNorm
from numerics.models.mlp import Activation, MLPTraits
from numerics.models.norms import Gain, NormKind, NormTraits
from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.draws import WeightDraw
from numerics.schemes.flat import Flat


@dataclass(frozen=True)
class ZeroOut(Flat):
    """Uniform readers, and writers that are 0."""

    def reader(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """A uniform distribution of standard deviation d^(-1/2)/2, U(±√3/2 d^(-1/2))."""
        del matrix
        return WeightDraw(0.5 * spec.d_model**-0.5, "uniform")

    def writer(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """All entries 0."""
        del spec, matrix
        return WeightDraw(0.0)

    def tables(self, spec: ModelSpec) -> dict[str, WeightDraw]:
        """Embeddings of unit variance, and a narrow output matrix."""
        del spec
        return {
            "embeddings": WeightDraw(1.0),
            "positions": WeightDraw(1.0),
            "output": WeightDraw(0.005),
        }


ZERO_OUT = ZeroOut(
    "zero-out",
    WIRINGS["pre-ln"],
    "KellerJordan/modded-nanogpt, train_gpt.py",
    norm=NormTraits(NormKind.RMS, Gain.ABSENT),
    mlp=MLPTraits(Activation.RELU_SQUARED),
    qk_norm=QKNorm.HEAD,
    embedding_norm=True,
)
