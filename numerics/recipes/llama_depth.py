"""Writers narrower by the layer's own number: N(0, 0.02/√(2 l)) in layer l, from 1.

torchtitan and OLMo-core draw so; the embedding is N(0, 1) and the head N(0, 1/√d) cut at ±3σ. They
give the factor to the up-projection too, which does not write into the stream: a fault there, and
not part of the rule.
"""

from dataclasses import dataclass
from typing import ClassVar

from numerics.recipes.draw import Draw, normal, truncated
from numerics.recipes.place import WRITERS, ModelSizes, ParameterPlace
from numerics.recipes.recipe import Recipe


@dataclass(frozen=True)
class LlamaDepth(Recipe):
    """One base standard deviation, divided by √(2 l) for the writers of layer l."""

    std: float = 0.02
    """The base standard deviation."""
    fitted: ClassVar[bool] = True

    def matrix(self, place: ParameterPlace, setting: ModelSizes) -> Draw:
        """The base, divided by √(2 l) where the matrix writes into the stream."""
        del setting
        return normal(self.std / (2 * place.layer) ** 0.5 if place.role in WRITERS else self.std)

    def table(self, place: ParameterPlace, setting: ModelSizes) -> Draw:
        """Embeddings of unit variance, and a head by its fan-in."""
        if place.role == "head":
            return truncated(setting.d_model**-0.5, 3.0)
        return normal(1.0)


LLAMA_DEPTH = LlamaDepth(
    "llama-depth",
    "pytorch/torchtitan; allenai/OLMo-core llama_depth",
    "N(0, 0.02), writers of layer l N(0, 0.02/√(2l))",
    "before",
    "scalars of the wiring",
)
