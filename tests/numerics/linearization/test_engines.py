"""The one door: which engine it takes, and what it refuses before any work."""

import pytest
import torch

from numerics.linearization import autodiff, closed_form
from numerics.linearization.groupings import GROUPINGS, groups_of
from numerics.linearization.measured_function import features_of
from numerics.models import ModelSpec
from numerics.models.tokens import random_batch
from numerics.schemes import build
from tests.numerics.linearized import linearized
from theory.errors import InputError

SPEC = ModelSpec(1, 2, d_model=8, d_ff=12, vocabulary=20, biases=True)


def _case(scheme):
    model = build(scheme, SPEC, torch.Generator().manual_seed(0)).eval()
    return model, random_batch(SPEC, torch.Generator().manual_seed(1), sequences=2, tokens=3)


@pytest.mark.parametrize(
    ("scheme", "options", "closed"),
    [
        ("tfixup", {}, True),
        ("post-ln", {"optimizer": "adam", "groups": "total"}, True),
        ("tfixup", {"optimizer": "muon"}, False),
        ("tfixup", {"groups": "layer"}, False),
        ("dlcl-pre", {}, False),
        ("tfixup", {"engine": "autodiff"}, False),
    ],
)
def test_closed_forms_are_taken_where_they_serve(scheme, options, closed, monkeypatch):
    taken = []
    for engine in (closed_form, autodiff):
        whole = engine.linearize

        def noted(*arguments, own=engine, real=whole, **rest):
            taken.append(own)
            return real(*arguments, **rest)

        monkeypatch.setattr(engine, "linearize", noted)
    linearized(*_case(scheme), torch.ones_like, **options)
    assert taken == [closed_form if closed else autodiff]


@pytest.mark.parametrize(
    ("scheme", "options", "message"),
    [
        ("tfixup", {"groups": "parts"}, "unknown grouping 'parts': did you mean 'part'"),
        ("tfixup", {"engine": "closed-form", "groups": "layer"}, "part or total, got layer"),
        ("dlcl-pre", {"engine": "closed-form"}, "closed forms need a wiring of .* got dlcl-pre"),
        ("tfixup", {"engine": "closed-form", "optimizer": "lamb"}, "elementwise .* got lamb"),
    ],
)
def test_what_there_is_not_is_refused(scheme, options, message):
    with pytest.raises(InputError, match=message):
        linearized(*_case(scheme), torch.ones_like, **options)


@pytest.mark.parametrize("inputs", ["free", "table"])
@pytest.mark.parametrize("grouping", GROUPINGS)
def test_every_number_belongs_to_one_group(grouping, inputs):
    _, parameters = features_of(*_case("admin"), inputs)
    counts = {name: torch.zeros_like(value) for name, value in parameters.items()}
    for pieces in groups_of(parameters, grouping).values():
        for piece in pieces:
            piece.of(counts[piece.parameter]).add_(1)
    assert all((count == 1).all() for count in counts.values())
