"""One standard deviation for everything: BERT's, and that of Llama's relatives in libraries.

BERT and Llama differ by their wiring alone. Hugging Face's ``initializer_range`` is this 0.02.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from numerics.recipes.draw import Draw, truncated
from numerics.recipes.place import ModelSizes, ParameterPlace
from numerics.recipes.recipe import Recipe


@dataclass(frozen=True)
class FlatRecipe(Recipe):
    """One standard deviation for every role."""

    std: float = 0.02
    """Standard deviation of every tensor, σ."""
    cut: float = math.inf
    """Bound of the normal distribution in standard deviations."""
    fitted: ClassVar[bool] = True

    def matrix(self, place: ParameterPlace, setting: ModelSizes) -> Draw:
        """A normal distribution with the recipe's σ, cut at its bound."""
        del place, setting
        return truncated(self.std, self.cut)

    table = matrix

    def other(self, place: ParameterPlace, setting: ModelSizes) -> Draw | None:
        """The same for a router, which is a linear layer like any other."""
        return self.matrix(place, setting) if place.is_router else None


BERT = FlatRecipe(
    "bert",
    "Devlin et al., 2019; Hugging Face initializer_range",
    "N(0, 0.02) everywhere, biases 0",
    "on-stream",
    "scalars of the wiring",
)
LLAMA_FLAT = FlatRecipe(
    "llama-flat",
    "Hugging Face initializer_range of Llama, Mistral, Qwen, OPT, NeoX",
    "N(0, 0.02) everywhere, no depth factor",
    "before",
    "scalars of the wiring",
)
BERT_TRUNCATED = replace(
    BERT,
    name="bert-truncated",
    source="google-research/bert",
    rule="N(0, 0.02) cut at 2σ everywhere, biases 0",
    cut=2.0,
)
