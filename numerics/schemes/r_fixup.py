"""R-Fixup, the Transformer of Fixup (Zhang et al., ICLR 2019): every branch starts at zero.

With L residual blocks, 2 N_e + 3 N_d in all: q, k, v are Xavier of the packed (3d, d) matrix times
L^(-1/6), hence 1/√2 times as wide as Xavier of each; W₁ is Xavier times L^(-1/2); the output
projection and W₂ are 0. There are no biases but scalar shifts, 0, and one scalar scale per
branch, 1. The published run has ten times smaller learning rates for the scalars.
"""

from dataclasses import dataclass, replace

from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Prescription, Scheme
from numerics.schemes.tfixup import query_key_roles, same, stack_factors


@dataclass(frozen=True)
class RFixup(Scheme):
    """Fixup's factors, by the number of matrices in a branch: four in attention, two in an MLP."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """Replace biases by scalars."""
        return replace(super().adapt(spec), biases=False)

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """Factors on Xavier: L^(-1/6)/√2, L^(-1/2) and 0."""
        packed = spec.blocks ** (-1 / 6) * 0.5**0.5
        factors = stack_factors(0.0, 0.0) | same(query_key_roles(), packed)
        for role in factors:
            if role.endswith(".v"):
                factors[role] = packed
            if role.endswith(".w1"):
                factors[role] = spec.blocks**-0.5
        return Prescription(factors)


R_FIXUP = RFixup("r-fixup", WIRINGS["r-fixup"], "hongyi-zhang/Fixup, fairseq")
