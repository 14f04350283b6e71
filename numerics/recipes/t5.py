"""T5 (Raffel et al., 2020), mesh's scheme: by fan-in, scores without 1/√d_k because q has it.

q is N(0, (d d_k)^(-1/2)) for heads of width d_k, k and v N(0, d^(-1/2)), all others by their
fan-in, embeddings N(0, 1). A tied head is multiplied by d^(-1/2) in the forward; a head of its own
must be N(0, d^(-1/2)), or the first loss is far above ln V.
"""

from dataclasses import dataclass

from numerics.recipes.draw import Draw, normal
from numerics.recipes.place import ModelSizes, ParameterPlace
from numerics.recipes.recipe import Recipe


@dataclass(frozen=True)
class T5Recipe(Recipe):
    """Standard deviations by fan-in; q has 1/√d_k besides."""

    def matrix(self, place: ParameterPlace, setting: ModelSizes) -> Draw | None:
        """By fan-in; nothing is said of q where the heads' width is not known."""
        fan_in = place.fans[0]
        if place.role == "q":
            if setting.head_width is None:
                return None
            return normal((fan_in * setting.head_width) ** -0.5)
        return normal(fan_in**-0.5)

    def table(self, place: ParameterPlace, setting: ModelSizes) -> Draw:
        """Unit variance for embeddings, which a scaled head shares; d^(-1/2) for the others."""
        down = setting.d_model**-0.5
        scaled = setting.head_input is not None and setting.head_input < 3 * down
        if place.role == "embedding" or (place.role == "head" and place.tied and scaled):
            return normal(1.0)
        return normal(down)


T5_RECIPE = T5Recipe(
    "t5",
    "google-research/text-to-text-transfer-transformer",
    "N(0, 1/√fan_in), q also ÷ √d_k, embeddings N(0, 1)",
    "before",
    "scalars of the wiring",
)
