import pytest
import torch

from numerics.evidence import baselines
from numerics.linearization.cotangents import random_cotangent
from numerics.linearization.groupings import INPUTS, MATRICES, OWN, kind_of
from numerics.measure.by_group import tangents_by
from numerics.models import ModelSpec
from numerics.models.tokens import random_batch
from numerics.schemes import build
from tests.numerics.linearized import linearized
from theory.claims import Context

SPEC = ModelSpec(1, 2, d_model=8, d_ff=12, vocabulary=30)


def _case(scheme):
    generator = torch.Generator().manual_seed(0)
    model = build(scheme, SPEC, generator, dtype=torch.float64).eval()
    batch = random_batch(SPEC, generator, sequences=2, tokens=3)
    return model, batch, random_cotangent((2, 3, 8), torch.Generator().manual_seed(1))


@pytest.mark.parametrize("scheme", ["deepnorm", "rezero", "dlcl-pre", "admin-log", "r-fixup"])
def test_the_groups_add_up_to_the_whole_step(scheme):
    model, batch, u = _case(scheme)
    found = tangents_by("kind", model, batch, u)
    whole = linearized(model, batch, u).tangents.sum(0)
    torch.testing.assert_close(sum(found.values()), whole, rtol=1e-6, atol=1e-9)


def test_kinds_are_told_apart():
    names = [name for name, _ in build("dlcl-pre", SPEC, torch.Generator()).named_parameters()]
    own = [name for name in names if kind_of(name) == OWN and not name.endswith("in_proj")]
    assert any("history.weights" in name for name in own)
    matrices = {name.rpartition(".")[2] for name in names if kind_of(name) == MATRICES}
    assert matrices == {"w1", "w2", "out_proj"}, "in_proj is seen as q, k and v"
    assert kind_of("target") == INPUTS


def test_rezero_s_first_step_moves_its_scalars_and_inputs_only():
    found = tangents_by("kind", *_case("rezero"))
    assert float(found[MATRICES].norm()) == 0
    assert float(found[OWN].norm()) > 0


@pytest.mark.parametrize("provider", [baselines.lri, baselines.deepnorm], ids=lambda p: p.claims[0])
def test_evidence_is_admissible_at_another_seed(provider):
    for item in provider(Context(seed=7)):
        assert item.admissible, item.summary
