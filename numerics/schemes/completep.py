"""CompleteP (Dey et al., 2025): branches as 1/N, with width and ε scaled so that rates carry over.

With m_L = N/N₀, m_N = d/d₀ and α = 1:

    block         y + m_L^(-α) G(LN y)
    matrices      N(0, σ/√m_N); rate × m_L^(α−1)/m_N, weight decay × m_N, ε × m_L^(-α)/m_N
    vectors       norms and biases inside the blocks: rate × m_L^(α−1), ε as above
    tables        embeddings and final norm as at the base; logits × 1/m_N

Rates, decay and ε are Adam's; the rule says nothing about SGD. The stream must start at RMS 1. The
authors reach that by a multiplier on N(0, σ) embeddings; here the embeddings are N(0, 1).
"""

from dataclasses import dataclass, replace

from numerics.models.norms import RMS_NORM
from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.draws import WeightDraw
from numerics.schemes.flat import Flat, layers_of
from numerics.schemes.scheme import Prescription


@dataclass(frozen=True)
class CompleteP(Flat):
    """Multipliers, variances and Adam's settings by depth and width."""

    embedding_std: float | None = 1.0
    power: float = 1.0
    """Power α of the depth in the branch multiplier."""
    base_layers: float = 2.0
    """Depth N₀ at which the multiplier is 1."""
    base_width: float = 256.0
    """Width d₀ at which the factors are 1."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """Multiply each stack's branches by its own m_L^(-α), and the logits by 1/m_N."""
        own = {
            f"{stack}_branch": (spec.layers(stack) / self.base_layers) ** -self.power
            for stack in spec.stacks
        }
        logits = self.base_width / spec.d_model
        return replace(super().adapt(spec), logit_multiplier=logits, **own)

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """Factors on Adam's settings, for both stacks by the deeper one."""
        depth, width = layers_of(spec) / self.base_layers, spec.d_model / self.base_width
        rate = depth ** (self.power - 1)
        return replace(
            super().prescribe(spec),
            rates={"matrices": rate / width, "vectors": rate},
            weight_decays={"matrices": width},
            epsilons={"hidden": depth**-self.power / width},
        )

    def reader(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """The standard deviation of the base width carried over to this width, σ/√m_N."""
        del matrix
        return WeightDraw(self.std * (spec.d_model / self.base_width) ** -0.5)


COMPLETEP = CompleteP(
    "completep", WIRINGS["scaled-pre-ln"], "Dey et al., arXiv:2505.01618", norm=RMS_NORM
)
