"""OLMo's "mitchell": by fan-in, and writers narrower by the layer's own number; cut at ±3σ.

Readers are N(0, 1/√d), attention's writer N(0, 1/√(2 d l)), the MLP's N(0, 1/√(2 f l)) for its
inner width f, embedding and head N(0, 1/√d).
"""

from dataclasses import dataclass

from numerics.recipes.draw import Draw, truncated
from numerics.recipes.place import WRITERS, ModelSizes, ParameterPlace
from numerics.recipes.recipe import Recipe


@dataclass(frozen=True)
class MitchellRecipe(Recipe):
    """Standard deviations by fan-in, and by the layer's number for the writers.

    Readers have 1/√fan_in and writers 1/√(2 fan_in l) in layer l.
    """

    def matrix(self, place: ParameterPlace, setting: ModelSizes) -> Draw:
        """By fan-in and layer."""
        del setting
        fan_in = place.fans[0]
        shrink = 2 * place.layer if place.role in WRITERS else 1
        return truncated((fan_in * shrink) ** -0.5, 3.0)

    def table(self, place: ParameterPlace, setting: ModelSizes) -> Draw:
        """One standard deviation for all tables, 1/√d."""
        del place
        return truncated(setting.d_model**-0.5, 3.0)


MITCHELL = MitchellRecipe(
    "mitchell",
    "allenai/OLMo, InitFnType.mitchell",
    "N(0, 1/√fan_in) cut at 3σ, writers of layer l ÷ √(2l)",
    "before",
    "scalars of the wiring",
)
