"""Lipschitz-restricted initialisation (Xu et al., ACL 2020): Post-LN that never shrinks the skip.

Matrices are U(±√(1/fan_in)), embeddings U(±√(2/(d + V))) for V rows of width d. As a factor on
Xavier's √(6/(fan_in + fan_out)) that is √((fan_in + fan_out)/(6 fan_in)).
"""

from dataclasses import dataclass

from numerics.models.roles import MATRICES
from numerics.models.spec import ModelSpec
from numerics.models.wiring import WIRINGS
from numerics.schemes.scheme import Prescription, Scheme


@dataclass(frozen=True)
class LRI(Scheme):
    """Uniform distributions whose bounds depend on the fan-in alone."""

    def prescribe(self, spec: ModelSpec) -> Prescription:
        """Factors on Xavier by role, √((fan_in + fan_out)/(6 fan_in)), and uniform embeddings."""
        d, hidden = spec.d_model, spec.d_ff
        fans = {"w1": (d, hidden), "w3": (d, hidden), "w2": (hidden, d)}

        def factor(role: str) -> float:
            fan_in, fan_out = fans.get(role.rpartition(".")[2], (d, d))
            return ((fan_in + fan_out) / (6 * fan_in)) ** 0.5

        bound = (2 / (d + spec.vocabulary)) ** 0.5
        table = bound / 3**0.5 * d**0.5
        return Prescription(
            factors={role: factor(role) for role in MATRICES},
            source_factor=table,
            target_factor=table,
            embeddings="uniform",
        )


LRI_SCHEME = LRI("lri", WIRINGS["post-ln"], "Xu et al., ACL 2020")
