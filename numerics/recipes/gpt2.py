"""GPT-2 (Radford et al., 2019), as nanoGPT and Megatron-LM have it: writers narrower by 1/√B.

All matrices and tables are N(0, 0.02), and those that write into the stream N(0, 0.02/√B) for B
residual additions: √(2N) of N layers of attention and MLP, side by side or in sequence.
"""

from dataclasses import dataclass
from typing import ClassVar

from numerics.recipes.draw import Draw, normal
from numerics.recipes.place import WRITERS, Place, Setting
from numerics.recipes.recipe import Recipe, additions


@dataclass(frozen=True)
class GPT2(Recipe):
    """0.02, and 0.02/√B for the writers."""

    std: float = 0.02
    """The base standard deviation."""
    fitted: ClassVar[bool] = True

    def matrix(self, place: Place, setting: Setting) -> Draw:
        """The base, divided by √B where the matrix writes into the stream."""
        writes = place.role in WRITERS
        return normal(self.std / additions(place, setting) ** 0.5 if writes else self.std)

    def table(self, place: Place, setting: Setting) -> Draw:
        """The base."""
        del place, setting
        return normal(self.std)


GPT2_RECIPE = GPT2(
    "gpt2",
    "openai/gpt-2; karpathy/nanoGPT; NVIDIA/Megatron-LM",
    "N(0, 0.02), writers N(0, 0.02/√B) for B additions",
    "before",
    "scalars of the wiring",
)
