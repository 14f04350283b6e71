"""Depth-scaled initialisation (Zhang, Titov & Sennrich, EMNLP 2019): layer l, from 1, is narrower.

Post-LN with every matrix of layer l at Xavier × 1/√l in the paper (its α = 1). The code scales the
variance by 1/√l instead, so its bound goes as l^(-1/4).
"""

from dataclasses import dataclass

from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Prescription, Scheme


@dataclass(frozen=True)
class DSInit(Scheme):
    """Xavier times a power of the layer's number."""

    power: float = -0.5

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """Xavier with that power of the layer's number."""
        del spec
        return Prescription(factors={}, depth_power=self.power)


DS_INIT = DSInit("ds-init", WIRINGS["post-ln"], "Zhang, Titov & Sennrich, EMNLP 2019")
DS_INIT_CODE = DSInit("ds-init-code", WIRINGS["post-ln"], "bzhangGo/zero", power=-0.25)
