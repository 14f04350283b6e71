"""What one measurement of one model says."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class UpdateReport:
    """One measurement of one model."""

    update: Mapping[str, float]
    """lim ‖Δf‖/η by part (`numerics.models.roles.ALL_PARTS`)."""
    gradient_energy: Mapping[str, float]
    """Energy of the cotangent's gradient by part, ‖J_pᵀu‖²."""
    output_rms_ratio: float
    """Root mean square of f over that of its stack's embedded input."""
    finite: bool
    """Whether every number above is finite."""
    accurate: bool
    """Whether every number above is right to 2 %, as `numerics.measure.accuracy` estimates it."""
    dtype: str
    """The precision they were computed in."""
    strain: float
    """How much the forward pass amplifies rounding errors (`numerics.linearization.strain`)."""
