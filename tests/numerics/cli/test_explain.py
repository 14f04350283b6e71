"""The page of one claim: who speaks for and against which reading."""

from numerics.cli.explain import decided_by, evidence, page
from theory.claims import Control, Evidence, Kind, Reading, verdict
from theory.ledger import claim_named

CLAIM = claim_named("tfixup.eq1")


def one(kind, passed, reading=Reading.PRINTED, **more):
    return Evidence(CLAIM.id, kind, passed, "a number", Control("half", True), reading, **more)


def text(lines):
    return "\n".join(line for line, _ in lines)


def test_each_check_says_who_speaks_for_or_against_which_reading():
    assert text(evidence(1, one(Kind.DERIVATION, False), 80)).startswith(
        "1. A derivation refutes the statement as printed"
    )
    assert "Training runs do not show" in text(evidence(1, one(Kind.TRAINING, False), 80))
    repaired = one(Kind.PROOF, True, Reading.REPAIRED, reading_text="x > 0")
    assert "confirms the repaired statement" in text(evidence(2, repaired, 80))
    assert "x > 0" in text(evidence(2, repaired, 80))
    assert "x > 0" not in text(evidence(2, repaired, 80, repeated="x > 0"))
    assert "does not decide" in text(evidence(3, one(Kind.MEASUREMENT, None), 80))


def test_numbers_come_rounded_with_their_interval_and_what_is_asked():
    measured = one(
        Kind.MEASUREMENT,
        True,
        value=0.99954138,
        expected=1.0,
        tolerance=0.05,
        interval=(0.99, 1.01),
    )
    assert "0.9995, interval [0.99, 1.01]; asked 1 ± 0.05" in text(evidence(1, measured, 100))


def test_a_control_that_was_not_rejected_is_loud_and_does_not_decide():
    failed = Evidence(CLAIM.id, Kind.PROOF, True, "found", Control("half", False))
    assert "does not count" in text(evidence(1, failed, 80))
    assert decided_by(verdict(CLAIM, (failed,))) == ""


def test_the_page_names_what_decided_it():
    found = verdict(
        CLAIM,
        (
            one(Kind.DERIVATION, False),
            one(Kind.PROOF, True, Reading.RESTRICTED, reading_text="κ > 0"),
        ),
    )
    shown = text(page(found, 80))
    assert "Decided by   1 against the statement as printed; 2 for it with" in shown
    assert "Holds if     κ > 0" in shown
    assert max(map(len, shown.splitlines())) <= 80
