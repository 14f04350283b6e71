"""OLMo's "mitchell": by fan-in, and writers narrower by the layer's own number; cut at ±3σ.

Readers are N(0, 1/√d), attention's writer of layer l, from 1, N(0, 1/√(2 d l)), the MLP's
N(0, 1/√(2 d_ff l)), embeddings and output N(0, 1/√d).
"""

from dataclasses import dataclass

from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.draws import WeightDraw
from numerics.schemes.flat import Flat

CUT = 3.0


@dataclass(frozen=True)
class Mitchell(Flat):
    """Standard deviations by fan-in, and by the layer's number for the writers.

    Readers have 1/√fan_in and writers 1/√(2 fan_in l) in layer l.
    """

    def reader(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """A standard deviation that keeps the size of the stream that is read, 1/√d."""
        del matrix
        return WeightDraw(spec.d_model**-0.5, cut=CUT)

    def writer(self, spec: ModelSpec, matrix: str) -> WeightDraw:
        """A standard deviation that shrinks with the layer's number, 1/√(2 fan_in l)."""
        fan_in = spec.d_ff if matrix == "w2" else spec.d_model
        return WeightDraw((2 * fan_in) ** -0.5, cut=CUT, depth_power=-0.5)

    def tables(self, spec: ModelSpec) -> dict[str, WeightDraw]:
        """One standard deviation for all tables, 1/√d."""
        return dict.fromkeys(("embeddings", "positions", "output"), self.reader(spec, "embeddings"))


MITCHELL = Mitchell("mitchell", WIRINGS["pre-ln"], "allenai/OLMo, InitFnType.mitchell")
