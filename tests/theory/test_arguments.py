import functools
from dataclasses import replace
from functools import partial

import pytest

from theory.arguments import ARGUMENTS, PROVIDERS
from theory.arguments.latex import formula, prose
from theory.claims import Context, Outcome, verdict
from theory.derivations.statements import Definition
from theory.ledger import LEDGER, claim_named


@functools.cache
def found(argument):
    """An argument's evidence, made once: a derivation takes seconds to check."""
    return argument.evidence()


@pytest.fixture(scope="module")
def evidence():
    return [found(argument) for argument in ARGUMENTS]


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda a: f"{a.claim}-{a.reading}")
def test_every_step_holds_and_every_altered_step_is_rejected(argument):
    assert found(argument).admissible
    assert found(argument).passed is not argument.refutes


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda a: f"{a.claim}-{a.reading}")
def test_every_step_is_altered_and_can_be_typeset(argument):
    for step in argument.build().steps:
        assert step.statement != step.false
        assert prose(step.because).isascii()
        assert len(step.because.split()) >= 2, step
        assert all(isinstance(words, str) for words in (step.scope, *step.given)), step
        assert all(words.strip() for words in step.given), step
        assert formula(step.statement).isascii()


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda a: f"{a.claim}-{a.reading}")
def test_every_derivation_has_a_title_and_its_steps_say_how_they_are_checked(argument):
    derivation = argument.build()
    assert len(derivation.title.split()) >= 2
    assert len(argument.summary.split()) >= 2
    assert claim_named(derivation.claim).id == argument.claim
    for step in derivation.steps:
        assert step.checked.partition(": ")[2], step
        assert step.draw is None or callable(step.draw), step


def test_providers_yield_the_arguments_of_their_claim():
    (provider,) = (p for p in PROVIDERS if p.claims == ("tfixup.eq8",))
    assert [item.summary for item in provider(Context())] == [
        argument.summary for argument in ARGUMENTS if argument.claim == "tfixup.eq8"
    ]
    claims = [claim for provider in PROVIDERS for claim in provider.claims]
    assert sorted(claims) == sorted({argument.claim for argument in ARGUMENTS})


def test_an_argument_with_a_false_step_does_not_establish_anything():
    argument = next(a for a in ARGUMENTS if a.claim == "tfixup.decoder-scale")
    derivation = argument.build()
    for position, step in enumerate(derivation.steps):
        steps = list(derivation.steps)
        steps[position] = replace(step, statement=step.false)
        spoiled = replace(argument, build=partial(replace, derivation, steps=tuple(steps)))
        assert spoiled.evidence().passed is None


def test_verdicts_from_derivations_alone_are_the_forecast(evidence):
    derived = {argument.claim for argument in ARGUMENTS}
    for claim in LEDGER:
        if claim.id in derived and claim.expected is not None:
            derived_verdict = verdict(claim, evidence)
            assert derived_verdict.sound
            assert derived_verdict.outcome is claim.expected, claim.id


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
    outcome = spoiled.evidence()
    assert outcome.passed is None
    assert not outcome.admissible
    assert derivation.steps[0].because in outcome.summary


def test_a_definition_is_not_counted_as_an_altered_step():
    def defines(argument):
        return any(isinstance(step.statement, Definition) for step in argument.build().steps)

    argument = next(filter(defines, ARGUMENTS))
    steps = argument.build().steps
    altered = [step for step in steps if not isinstance(step.statement, Definition)]
    told = found(argument).control.description
    assert told == f"{len(altered)} of {len(altered)} altered steps rejected"
    defined = tuple(step for step in steps if step not in altered)
    empty = replace(argument, build=partial(replace, argument.build(), steps=defined))
    assert not empty.evidence().admissible
