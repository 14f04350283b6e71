"""CLIP's text tower (Radford et al., 2021): by width, writers narrower by 1/√(2N).

q, k, v are N(0, d^(-1/2)), both writers N(0, (2 N d)^(-1/2)), the MLP's input N(0, (2 d)^(-1/2)),
tokens N(0, 0.02), positions N(0, 0.01). The MLP's biases keep torch's U(±1/√fan_in).
"""

from dataclasses import dataclass

from numerics.recipes.draw import Draw, normal, uniform
from numerics.recipes.place import WRITERS, ModelSizes, ParameterPlace
from numerics.recipes.recipe import Recipe, additions


@dataclass(frozen=True)
class Clip(Recipe):
    """CLIP's standard deviations, by width and depth."""

    def ask(self, place: ParameterPlace, setting: ModelSizes) -> Draw | None:
        """The distribution of a tensor; biases of linear maps outside attention are torch's."""
        if place.role == "bias" and place.module == "Linear" and not place.in_attention:
            return uniform((3 * (place.module_fan_in or 1)) ** -0.5)
        return super().ask(place, setting)

    def matrix(self, place: ParameterPlace, setting: ModelSizes) -> Draw:
        """By the width, d^(-1/2), times (2N)^(-1/2) in writers and 2^(-1/2) in the MLP's input."""
        std = setting.d_model**-0.5
        if place.role in WRITERS:
            return normal(std * additions(place, setting) ** -0.5)
        return normal(std * (2**-0.5 if place.role in ("w_in", "gate") else 1.0))

    def table(self, place: ParameterPlace, setting: ModelSizes) -> Draw:
        """A number for each table: 0.02 for tokens, 0.01 for positions, d^(-1/2) for the head."""
        if place.role == "head":
            return normal(setting.d_model**-0.5)
        return normal(0.01 if place.role == "positions" else 0.02)


CLIP = Clip(
    "clip",
    "openai/CLIP, initialize_parameters of the text tower",
    "N(0, d^(-1/2)), writers ÷ √B, MLP input ÷ √2, tokens N(0, 0.02), positions N(0, 0.01)",
    "before",
    "scalars of the wiring",
)
