"""Vectors behind the last block of a stream: whose rate they need."""

from dataclasses import replace

import pytest
import sympy as sp

from theory.parametrisations.prescriptions import prescribe
from theory.parametrisations.step_laws import law_named
from theory.parametrisations.structures import structure_named


def rate_behind(stream, complete):
    """Power of the rate of a gain behind one of an encoder-decoder's streams."""
    base = structure_named("pre-norm-encoder-decoder")
    kinds = {**base.kinds, "end.gain": "vector"}
    structure = replace(base, kinds=kinds, final={"end.gain": stream})
    found = prescribe(structure, law_named("adamw"), 64, base_layers=4, complete=complete)
    return found.exponents["end.gain"].rate


@pytest.mark.parametrize(("complete", "encoder"), [(False, 0), (True, sp.Rational(1, 2))])
def test_the_encoders_gain_needs_another_rate_under_completeps_demand_alone(complete, encoder):
    """With branches N^(-1/2) the memory's derivative is Θ(1), with 1/N it is N^(-1/2)."""
    assert rate_behind("decoder", complete) == 0
    assert rate_behind("encoder", complete) == encoder
