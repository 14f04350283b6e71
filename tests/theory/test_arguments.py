from dataclasses import replace

import pytest

from theory.arguments import ARGUMENTS, PROVIDERS
from theory.claims import Context, Outcome, verdict
from theory.latex import formula, prose
from theory.ledger import LEDGER, claim_named


@pytest.fixture(scope="module")
def evidence():
    return [item for provider in PROVIDERS for item in provider(Context())]


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda a: f"{a.claim}-{a.reading}")
def test_every_step_holds_and_every_altered_step_is_rejected(argument):
    found = argument.evidence()
    assert found.admissible
    assert found.passed is not argument.refutes


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda a: f"{a.claim}-{a.reading}")
def test_a_derivation_with_one_false_step_does_not_establish_anything(argument):
    derivation = argument.build()
    for position, step in enumerate(derivation.steps):
        assert prose(step.because).isascii()
        assert formula(step.statement).isascii()
        false = replace(step, statement=step.false)
        steps = (*derivation.steps[:position], false, *derivation.steps[position + 1 :])
        outcomes = [s.check(s.statement) for s in steps[position : position + 1]]
        assert outcomes == [False]


def test_verdicts_from_derivations_alone_are_the_forecast(evidence):
    derived = {argument.claim for argument in ARGUMENTS}
    for claim in LEDGER:
        if claim.id in derived and claim.expected is not None:
            found = verdict(claim, evidence)
            assert found.sound
            assert found.outcome is claim.expected, claim.id


def test_the_two_halves_of_the_theorem_end_differently(evidence):
    lower = verdict(claim_named("tfixup.thm31-lower"), evidence)
    upper = verdict(claim_named("tfixup.thm31-upper"), evidence)
    assert (lower.outcome, upper.outcome) == (Outcome.FAILS, Outcome.HOLDS_WITH)
    assert "m̄" in lower.qualification
    assert "bounded" in upper.qualification


@pytest.mark.parametrize("refutes", [True, False])
def test_a_derivation_with_a_step_that_does_not_hold_decides_nothing(refutes):
    argument = next(a for a in ARGUMENTS if a.refutes is refutes)
    derivation = argument.build()
    broken = replace(derivation.steps[0], statement=derivation.steps[0].false)
    spoiled = replace(
        argument, build=lambda: replace(derivation, steps=(broken, *derivation.steps[1:]))
    )
    found = spoiled.evidence()
    assert found.passed is None
    assert not found.admissible
    assert derivation.steps[0].because in found.summary
