"""All planted faults, by what they are mistakes in."""

from tests.faults.in_measurements import MEASUREMENT_FAULTS
from tests.faults.in_models import MODEL_FAULTS
from tests.faults.in_schemes import SCHEME_FAULTS
from tests.faults.in_statistics import STATISTICS_FAULTS
from tests.faults.in_structure import STRUCTURE_FAULTS
from tests.faults.in_theory import THEORY_FAULTS

FAULTS = (
    *MODEL_FAULTS,
    *MEASUREMENT_FAULTS,
    *SCHEME_FAULTS,
    *STRUCTURE_FAULTS,
    *STATISTICS_FAULTS,
    *THEORY_FAULTS,
)
