"""The table of readings: complete, and the page is what the code writes."""

import pytest

from numerics.evidence import PROVIDERS
from numerics.evidence.readings import PAGE, page, tried
from theory.claims import Kind
from theory.ledger import LEDGER
from theory.ledger.readings import READINGS

TRAINED = sorted({c for p in PROVIDERS if p.kind is Kind.TRAINING for c in p.claims})


def test_the_page_is_up_to_date():
    """`python -m numerics.evidence.readings` writes it."""
    assert PAGE.read_text("utf-8") == page()


@pytest.mark.parametrize("claim", TRAINED)
def test_every_claim_that_training_speaks_about_has_a_reading(claim):
    reading = READINGS[claim]
    for text in (reading.sentence, reading.quantity, reading.baseline, reading.comparator):
        assert text
    assert reading.why


@pytest.mark.parametrize("paper", ["tfixup", "xiong", "admin", "radam"])
def test_every_statement_of_the_papers_has_a_reading(paper):
    """Rows that are ours, such as a repaired theorem, need none: they are nobody's sentence."""
    printed = {claim.id for claim in LEDGER if claim.paper == paper and claim.where != "ours"}
    assert printed
    assert printed <= set(READINGS)


def test_every_reading_is_of_a_claim():
    assert set(READINGS) <= {claim.id for claim in LEDGER}


def test_the_range_that_was_tried_is_that_of_the_runs():
    assert tried("tfixup.fig2").startswith("`fig2`: N 12, width 64, rate 0.001")
    assert "width 64, 128, 512" in tried("tfixup.fig3ab")
    assert tried("tfixup.eq1") == ""
