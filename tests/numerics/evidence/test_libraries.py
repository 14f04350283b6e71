"""Libraries as shipped: what is decided on torch alone, what a missing package says."""

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch

from numerics.evidence import libraries_of_others, libraries_of_torch, libraries_of_transformers
from numerics.evidence.libraries import all_agree, observed
from theory.claims import Context, Outcome, Reading, verdict
from theory.ledger import LEDGER, claim_named
from theory.ledger.readings import READINGS

PARTS = (libraries_of_torch, libraries_of_transformers, libraries_of_others)
ROWS = {row.claim: row for part in PARTS for row in part.ROWS}


def _param(row):
    present = find_spec(row.module or row.package) is not None
    marks = [] if row.package == "torch" else [pytest.mark.models]
    if not present:
        marks.append(pytest.mark.skip(reason=f"{row.package} is not installed"))
    return pytest.param(row, id=row.claim, marks=marks)


def test_every_row_of_the_ledger_has_a_check_and_a_reading():
    claims = {claim.id for claim in LEDGER if claim.paper == "libraries"}
    assert claims == set(ROWS)
    assert claims <= set(READINGS)
    assert len(claims) >= 8


@pytest.mark.parametrize("row", [_param(row) for row in ROWS.values()])
def test_what_is_installed_decides_as_forecast(row):
    found = verdict(claim_named(row.claim), observed_evidence(row, seed=3))
    assert found.sound
    assert found.outcome is claim_named(row.claim).expected
    repaired = [item for item in found.evidence if item.reading is Reading.REPAIRED]
    assert all(item.passed for item in repaired)
    assert bool(repaired) == bool(row.repair)


def observed_evidence(row, seed):
    provider = next(part.shipped for part in PARTS if row.claim in part.shipped.claims)
    one = replace(provider, run=lambda context: observed(row, context))
    return one(Context(seed=seed))


def test_a_missing_package_decides_nothing_and_names_the_version():
    row = replace(libraries_of_torch.ROWS[0], module="no_such_package", package="absent", seen="9")
    (item,) = observed_evidence(row, seed=0)
    assert item.passed is None
    assert item.control.rejected
    assert item.summary == "package absent (seen in version 9) is not installed"
    assert verdict(claim_named(row.claim), [item]).outcome is Outcome.UNDECIDED


def test_the_state_of_the_generators_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    list(observed(libraries_of_torch.ROWS[0], Context()))
    assert torch.equal(torch.rand(1), expected)


def test_without_tensors_nothing_agrees():
    """A name that matches no parameter must not pass, as GPT-2's rule once did."""
    assert not all_agree({})


@pytest.mark.models
def test_an_untied_t5_keeps_its_tie():
    pytest.importorskip("transformers")
    row = ROWS["libraries.t5-head"]
    model = row.build()
    head, table = (model.get_submodule(name).weight for name in ("lm_head", "shared"))
    assert head is table
