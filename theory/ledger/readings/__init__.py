"""How each sentence of a paper is read, before anything is decided about it.

A row names the sentence, the quantity that stands for it, the baseline, and when it counts as true.
Every claim that training speaks about has one, and so has every statement of a paper.
"""

from collections.abc import Mapping

from theory.ledger.readings import (
    of_libraries,
    of_modern,
    of_modern_questions,
    of_questions,
    of_rivals_theory,
    of_rivals_training,
    of_theory,
    of_training,
    of_transfer,
)
from theory.ledger.readings.statement import StatementReading as StatementReading

READINGS: Mapping[str, StatementReading] = {
    reading.claim: reading
    for part in (
        of_theory,
        of_training,
        of_rivals_theory,
        of_rivals_training,
        of_modern,
        of_modern_questions,
        of_questions,
        of_transfer,
        of_libraries,
    )
    for reading in part.READINGS
}
"""The reading of each claim."""
