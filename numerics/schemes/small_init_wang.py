"""GPT-NeoX: "small init" for what reads the stream and the tables, "Wang init" for what writes.

Small init (Nguyen & Salazar, 2019) is N(0, √(2/(5 d))). Wang init is N(0, 2/(N √d)) for N layers,
by the stream's width d and not by the matrix's fan-in. Every shipped NeoX configuration has both.
"""

from dataclasses import dataclass

from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.draws import WeightDraw
from numerics.schemes.flat import Flat, layers_of


@dataclass(frozen=True)
class SmallInitWang(Flat):
    """Small standard deviations by the width, and by the depth for the writers.

    Readers and tables have √(2/(5 d)) and writers 2/(N √d).
    """

    def reader(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """Small init's standard deviation, √(2/(5 d))."""
        del matrix
        return WeightDraw((2 / (5 * spec.d_model)) ** 0.5)

    def writer(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """Wang init's standard deviation, 2/(N √d)."""
        del matrix
        return WeightDraw(2 / (layers_of(spec) * spec.d_model**0.5))

    def tables(self, spec: ModelSpec) -> dict[str, WeightDraw]:
        """Small init's standard deviation for every table, √(2/(5 d))."""
        return dict.fromkeys(("embeddings", "positions", "output"), self.reader(spec, "embeddings"))


SMALL_INIT_WANG = SmallInitWang(
    "small-init-wang", WIRINGS["pre-ln"], "EleutherAI/gpt-neox, small_init with wang_init"
)
