"""GPT-2 (Radford et al., 2019), as nanoGPT and Megatron-LM have it: writers narrower by 1/√B.

All matrices and tables are N(0, 0.02), and those that write into the stream N(0, 0.02/√B) for B
residual additions. A stack of N layers of attention and MLP has B = 2N, whether they stand side by
side or in sequence. ModernBERT is the same with every normal cut at ±2σ, which shrinks it to 0.880
σ.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from numerics.recipes.draw import Draw, truncated
from numerics.recipes.place import WRITERS, ModelSizes, ParameterPlace
from numerics.recipes.recipe import Recipe, additions


@dataclass(frozen=True)
class GPT2Recipe(Recipe):
    """One base standard deviation, divided by √B for the writers."""

    std: float = 0.02
    """The base standard deviation."""
    cut: float = math.inf
    """Bound of the normal distribution in standard deviations."""
    fitted: ClassVar[bool] = True

    def matrix(self, place: ParameterPlace, setting: ModelSizes) -> Draw:
        """The base, divided by √B where the matrix writes into the stream."""
        writes = place.role in WRITERS
        return truncated(
            self.std / additions(place, setting) ** 0.5 if writes else self.std, self.cut
        )

    def table(self, place: ParameterPlace, setting: ModelSizes) -> Draw:
        """The base for every table."""
        del place, setting
        return truncated(self.std, self.cut)

    def other(self, place: ParameterPlace, setting: ModelSizes) -> Draw | None:
        """The base for a router, which is a linear layer like any other."""
        return self.table(place, setting) if place.is_router else None


GPT2_RECIPE = GPT2Recipe(
    "gpt2",
    "openai/gpt-2; karpathy/nanoGPT; NVIDIA/Megatron-LM",
    "N(0, 0.02), writers N(0, 0.02/√B) for B additions",
    "before",
    "scalars of the wiring",
)
MODERNBERT = replace(
    GPT2_RECIPE,
    name="modernbert",
    source="Warner et al., 2024; Hugging Face initializer_cutoff_factor",
    rule="N(0, 0.02) cut at 2σ, writers N(0, 0.02/√B) cut at 2σ",
    cut=2.0,
)
