from dataclasses import replace

import pytest

from theory.claims import (
    Claim,
    Context,
    Control,
    Evidence,
    Kind,
    Outcome,
    Reading,
    provides,
    verdict,
)
from theory.errors import InputError, require_positive
from theory.ledger import LEDGER, claim_named

ROW = Claim("p.x", "x", "Eq. 1", (), Outcome.HOLDS)
REJECTED, MISSED = Control("false variant", True), Control("false variant", False)


def item(passed: bool | None, reading: Reading = Reading.PRINTED, control: Control = REJECTED):
    return Evidence("p.x", Kind.DERIVATION, passed, "found", control, reading, f"text {reading}")


@pytest.mark.parametrize(
    ("evidence", "outcome"),
    [
        ([], Outcome.UNDECIDED),
        ([item(True)], Outcome.HOLDS),
        ([item(True), item(False)], Outcome.FAILS),
        ([item(None)], Outcome.UNDECIDED),
        ([item(True, control=MISSED)], Outcome.UNDECIDED),
        ([item(False, control=MISSED), item(True)], Outcome.HOLDS),
        ([item(False), item(True, Reading.RESTRICTED)], Outcome.HOLDS_WITH),
        ([item(True, Reading.RESTRICTED)], Outcome.HOLDS_WITH),
        ([item(False), item(False, Reading.RESTRICTED)], Outcome.FAILS),
        ([item(True), item(False, Reading.RESTRICTED)], Outcome.UNDECIDED),
        ([item(False), item(True, Reading.REPAIRED)], Outcome.FAILS),
        ([item(True, Reading.REPAIRED)], Outcome.UNDECIDED),
    ],
)
def test_the_verdict_is_computed_from_the_admissible_evidence(evidence, outcome):
    assert verdict(ROW, evidence).outcome is outcome


def run(passed: bool | None, neighbourhood: str = "", reading: Reading = Reading.PRINTED):
    return replace(
        item(passed, reading), kind=Kind.TRAINING, scope="one rate", neighbourhood=neighbourhood
    )


@pytest.mark.parametrize(
    ("evidence", "outcome"),
    [
        ([run(True)], Outcome.REPRODUCED),
        ([run(True), item(True)], Outcome.HOLDS),
        ([run(False)], Outcome.NOT_SEEN),
        ([run(False, "3 rates, 2 widths, 3 seeds")], Outcome.FAILS),
        ([run(None)], Outcome.UNDECIDED),
        ([run(False), item(True)], Outcome.UNDECIDED),
        ([run(False), item(False)], Outcome.FAILS),
        ([run(False), run(True, reading=Reading.RESTRICTED)], Outcome.REPRODUCED),
        ([run(True), run(False, reading=Reading.RESTRICTED)], Outcome.UNDECIDED),
    ],
)
def test_training_alone_neither_proves_nor_refutes(evidence, outcome):
    """A run at one rate, width and length says what was seen there, and no more."""
    assert verdict(ROW, evidence).outcome is outcome


def test_what_was_tried_is_named_where_nothing_was_seen():
    assert verdict(ROW, [run(False)]).qualification == "one rate"


def test_an_undecided_control_is_not_a_rejected_one():
    with pytest.raises(TypeError, match="rejected must be True or False, got None"):
        Control("false variant", None)  # type: ignore[arg-type]


def test_the_verdict_names_the_hypothesis_or_the_repair_that_stands():
    with_it = verdict(ROW, [item(False), item(True, Reading.RESTRICTED)])
    assert with_it.qualification == "text with an extra hypothesis"
    repaired = verdict(ROW, [item(False), item(True, Reading.REPAIRED)])
    assert repaired.qualification == "text repaired"
    broken = verdict(ROW, [item(False), item(False, Reading.REPAIRED)])
    assert broken.qualification == ""


def test_a_control_that_was_not_rejected_makes_the_verdict_unsound():
    assert verdict(ROW, [item(True)]).sound
    assert not verdict(ROW, [item(True), item(True, control=MISSED)]).sound


def test_evidence_about_other_claims_does_not_count():
    assert verdict(ROW, [replace(item(False), claim="p.y")]).outcome is Outcome.UNDECIDED


def test_a_provider_may_not_speak_about_claims_it_did_not_declare():
    silent = provides("p.y", kind=Kind.DERIVATION)(lambda _: [item(True)])
    with pytest.raises(AssertionError, match="undeclared"):
        silent(Context())


def test_ids_are_unique_and_unknown_ones_offer_the_nearest():
    ids = [claim.id for claim in LEDGER]
    assert len(ids) == len(set(ids))
    with pytest.raises(InputError, match=r"did you mean 'tfixup\.eq7'"):
        claim_named("tfixup.eq77")


@pytest.mark.parametrize("depth", [0, -1, True, 2.0])
def test_depths_are_positive_integers(depth):
    with pytest.raises(InputError, match=f"depth .* got {depth}"):
        require_positive(depth=depth)


def test_a_verdict_holds_all_its_evidence_and_nothing_of_other_claims():
    other = replace(item(True), claim="p.y")
    for found in (
        [item(True)],
        [item(False), item(True, Reading.RESTRICTED)],
        [item(False)],
        [replace(item(False), kind=Kind.TRAINING)],
        [item(None)],
    ):
        reached = verdict(ROW, [*found, other])
        assert reached.evidence == tuple(found)
        assert reached.claim is ROW


def test_what_is_missing_is_said():
    assert verdict(ROW, []).qualification == "no evidence yet"
    missed = verdict(ROW, [item(True, control=MISSED)]).qualification
    assert missed == "a negative control was not rejected, so its check does not count"
    assert verdict(ROW, [item(None)]).qualification == "found"
    unseen = replace(item(False, Reading.RESTRICTED), kind=Kind.TRAINING)
    assert verdict(ROW, [item(True), unseen]).qualification == (
        "training did not show it at this scale: found"
    )
    opposed = [item(True), item(False, Reading.RESTRICTED)]
    assert verdict(ROW, opposed).qualification == "the evidence contradicts itself"


def test_hypotheses_are_told_once():
    twice = [item(True, Reading.RESTRICTED), item(True, Reading.RESTRICTED)]
    assert verdict(ROW, twice).qualification == f"text {Reading.RESTRICTED}"
    more = replace(twice[0], reading_text="another")
    assert verdict(ROW, [*twice, more]).qualification == f"text {Reading.RESTRICTED}; another"
    silent = replace(twice[0], reading_text="")
    assert verdict(ROW, [silent, more]).qualification == "another"
    assert verdict(ROW, [item(False)]).qualification == ""
    assert verdict(ROW, [item(True)]).qualification == ""


def test_what_a_provider_gets_unless_asked_otherwise():
    context = Context()
    assert (context.level, context.seed, context.rerun) == ("quick", 0, False)
    assert (str(context.results), context.device) == ("results", "cpu")
    plain = item(True)
    assert (plain.source, plain.seconds, plain.scope, plain.neighbourhood) == (
        "computed",
        0,
        "",
        "",
    )
    assert (plain.value, plain.expected, plain.tolerance, plain.interval) == (None,) * 4
    assert dict(plain.details) == {}
