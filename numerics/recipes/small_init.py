"""GPT-NeoX: "small init" for what reads the stream, "Wang init" for what writes into it.

Small init (Nguyen & Salazar, 2019) is N(0, √(2/(5 d))). Wang init is N(0, 2/(N √d)) for N layers,
by the stream's width d and not by the matrix's fan-in.
"""

from dataclasses import dataclass

from numerics.recipes.draw import Draw, normal
from numerics.recipes.place import WRITERS, ModelSizes, ParameterPlace
from numerics.recipes.recipe import Recipe, layers


@dataclass(frozen=True)
class SmallInit(Recipe):
    """One small standard deviation by the width, √(2/(5 d)), for every matrix and table."""

    def matrix(self, place: ParameterPlace, setting: ModelSizes) -> Draw:
        """Small init's standard deviation, √(2/(5 d))."""
        return self.table(place, setting)

    def table(self, place: ParameterPlace, setting: ModelSizes) -> Draw:
        """The same for tables."""
        del place
        return normal((2 / (5 * setting.d_model)) ** 0.5)


@dataclass(frozen=True)
class WangInit(SmallInit):
    """Small init with narrower writers, 2/(N √d)."""

    def matrix(self, place: ParameterPlace, setting: ModelSizes) -> Draw:
        """Small init; 2/(N √d) where the matrix writes into the stream."""
        if place.role in WRITERS:
            return normal(2 / (layers(place, setting) * setting.d_model**0.5))
        return self.table(place, setting)


SMALL_INIT = SmallInit(
    "small-init",
    "Nguyen & Salazar, 2019",
    "N(0, √(2/(5d))) everywhere",
    "before",
    "scalars of the wiring",
)
WANG_INIT = WangInit(
    "wang-init",
    "EleutherAI/gpt-neox, small_init with wang_init",
    "N(0, √(2/(5d))), writers N(0, 2/(N√d))",
    "before",
    "scalars of the wiring",
)
