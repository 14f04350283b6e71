"""Automatic differentiation of any function: against the whole Jacobian; groups go together."""

from functools import cache

import pytest
import torch
from torch.func import jacrev

from numerics.linearization import autodiff
from numerics.linearization.autodiff import gradient, linearize
from numerics.linearization.cotangents import random_cotangent
from numerics.linearization.groupings import Piece, groups_of
from numerics.linearization.measured_function import features_of
from numerics.linearization.update_directions import step_rule_named
from numerics.models import Architecture, ModelSpec
from numerics.models.tokens import random_batch
from numerics.schemes import SCHEMES, build

SPEC = ModelSpec(2, 2, d_model=8, d_ff=12, vocabulary=20, biases=True)


ENCODER_DECODERS = [
    name for name, scheme in SCHEMES.items() if Architecture.ENCODER_DECODER in scheme.architectures
]


def _case(scheme):
    generator = torch.Generator().manual_seed(0)
    model = build(scheme, SPEC, generator, dtype=torch.float64).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.1 * noise)
    batch = random_batch(SPEC, generator, sequences=2, tokens=3)
    return *features_of(model, batch), random_cotangent((2, 3, 8), generator)


@cache
def _jacobian(scheme):
    """df/dθ, entry by entry: one reverse pass for each entry of f, in one `vmap`."""
    function, parameters, _ = _case(scheme)
    return jacrev(lambda values: function(values).flatten())(parameters)


def _by_jacobian(scheme, slopes, parameters, rule, pieces):
    """J_p s_p of one group: the Jacobian's entries times the step's."""
    total = torch.zeros((), dtype=torch.float64)
    for piece in pieces:
        name = piece.parameter
        step = torch.zeros_like(parameters[name])
        piece.of(step).copy_(piece.of(rule(slopes[name], parameters[name], parameter=name)))
        total = total + _jacobian(scheme)[name].reshape(2 * 3 * 8, -1) @ step.flatten()
    return total.view(2, 3, 8)


@pytest.mark.parametrize("grouping", ["part", "matrix", "total"])
@pytest.mark.parametrize("scheme", ENCODER_DECODERS)
def test_every_group_is_what_the_whole_jacobian_says(scheme, grouping):
    function, parameters, u = _case(scheme)
    rule, groups = step_rule_named("muon"), groups_of(parameters, grouping)
    found = linearize(function, parameters, u, rule, groups)
    assert found.groups == tuple(groups)
    _, slopes = gradient(function, parameters, u)
    for pieces, tangent in zip(groups.values(), found.tangents, strict=True):
        expected = _by_jacobian(scheme, slopes, parameters, rule, pieces)
        torch.testing.assert_close(tangent, expected, rtol=1e-9, atol=1e-12)
    assert not torch.allclose(found.tangents.roll(1, 0), found.tangents) or len(groups) == 1


@pytest.mark.parametrize("together", [1, 3, 8])
def test_how_many_groups_go_together_changes_nothing(together, monkeypatch):
    function, parameters, u = _case("pre-ln")
    groups, rule = groups_of(parameters, "layer"), step_rule_named("sgd")
    expected = linearize(function, parameters, u, rule, groups)
    monkeypatch.setattr(autodiff, "MOST_TOGETHER", together)
    monkeypatch.setattr(autodiff, "MOST_ZEROS", 100.0)
    passes = list(autodiff._passes(groups, parameters))
    assert [name for each in passes for name in each] == list(groups)
    assert max(map(len, passes)) == together
    found = linearize(function, parameters, u, rule, groups)
    torch.testing.assert_close(found.tangents, expected.tangents, rtol=1e-11, atol=1e-14)
    torch.testing.assert_close(found.energies, expected.energies)


def test_large_groups_do_not_multiply_zeros_without_end():
    steps = {name: torch.zeros(100) for name in "abcdef"}
    groups = {name: [Piece(name)] for name in steps}
    assert [len(each) for each in autodiff._passes(groups, steps)] == [3, 3]
    small = {name: torch.zeros(1) for name in "abcdef"} | {"g": torch.zeros(1000)}
    groups = {name: [Piece(name)] for name in small}
    assert [len(each) for each in autodiff._passes(groups, small)] == [6, 1]


def test_a_parameter_that_f_does_not_read_moves_nothing():
    values = {"a": torch.tensor([2.0]), "unused": torch.tensor([5.0, 6.0])}
    groups = {"a": [Piece("a")], "unused": [Piece("unused")]}
    found = linearize(lambda p: 3 * p["a"], values, torch.ones_like, step_rule_named("sgd"), groups)
    assert found.tangents.flatten().tolist() == [-9.0, 0.0]
    assert found.energies.tolist() == [9.0, 0.0]


def test_the_values_are_left_as_they_were_and_nothing_hangs_on_the_graph():
    function, parameters, u = _case("post-ln")
    before = {name: value.clone() for name, value in parameters.items()}
    with torch.no_grad():
        found = linearize(
            function, parameters, u, step_rule_named("adam"), groups_of(parameters, "part"), [u, u]
        )
    torch.testing.assert_close(parameters, before)
    assert not any(value.requires_grad for value in parameters.values())
    results = (found.output, found.tangents, found.energies, found.strain)
    assert not any(value.requires_grad for value in results)


def test_one_forward_pass_is_taken():
    calls = []

    def function(p):
        calls.append(1)
        return p["a"].tanh() * p["b"]

    values = {name: torch.full((4,), 0.3, dtype=torch.float64) for name in "ab"}
    groups = {name: [Piece(name)] for name in values}
    ones = torch.ones_like
    linearize(function, values, ones, step_rule_named("adam"), groups, [ones, ones, ones])
    assert len(calls) == 1
