"""T5 (Raffel et al., 2020), mesh's scheme: by fan-in, logits without 1/√d' because q has it.

q is N(0, (d d')^(-1/2)) for heads of width d', k and v N(0, d^(-1/2)), w of attention N(0, (H
d')^(-1/2)), the MLP's by fan-in, embeddings N(0, 1). Logits of a tied table are multiplied by
d^(-1/2); a table of its own is N(0, d^(-1/2)). RMS norm before the branch, no biases. T5's relative
positions are a trained bias of the logits, which this model does not have.
"""

from dataclasses import dataclass, replace

from numerics.models.norms import RMS_NORM
from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.draws import WeightDraw
from numerics.schemes.flat import Flat


@dataclass(frozen=True)
class T5(Flat):
    """Standard deviations by fan-in, with the scale of the logits inside q.

    Matrices have 1/√fan_in, and q has 1/√d' besides.
    """

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """Leave attention's logits unscaled, and scale those of a tied table by d^(-1/2)."""
        spec = super().adapt(spec)
        tied = spec.tied_output or spec.shared_embeddings
        return replace(
            spec,
            attention=replace(spec.attention, power=0.0),
            logit_multiplier=spec.d_model**-0.5 if tied else 1.0,
        )

    def reader(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """The standard deviations 1/√d, and 1/√(d d') of q."""
        own = spec.d_model // spec.heads if matrix == "q" else 1
        return WeightDraw((spec.d_model * own) ** -0.5)

    def writer(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """A standard deviation by fan-in, 1/√fan_in."""
        return WeightDraw((spec.d_ff if matrix == "w2" else spec.d_model) ** -0.5)

    def tables(self, spec: ModelSpec) -> dict[str, WeightDraw]:
        """Embeddings of unit variance."""
        own = WeightDraw(spec.d_model**-0.5)
        return {"embeddings": WeightDraw(1.0), "positions": own, "output": own}


T5_SCHEME = T5(
    "t5",
    WIRINGS["pre-ln"],
    "google-research/text-to-text-transfer-transformer; Hugging Face T5PreTrainedModel",
    norm=RMS_NORM,
)
