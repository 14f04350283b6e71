"""Exponents against sums that are carried out: an explicit recursion in mean square at large N."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.parametrisations.judgement import judge
from theory.parametrisations.powers import DEPTH, LAYER, RolePowers
from theory.parametrisations.recipes import PowerRecipe
from theory.parametrisations.step_laws import law_named

QUARTERS = st.integers(-4, 2).map(lambda number: number / 4)


def summed(layers, law, embedding, branch, out, out_by_layer, rate):
    """Changes of f by ``in`` and ``out`` at N layers: y_l by recursion, sums term by term."""
    n = float(layers)
    layer = np.arange(1, layers + 1, dtype=float)
    size_out = n**out * layer**out_by_layer
    added = n**branch * size_out
    stream = np.sqrt(n ** (2 * embedding) + np.cumsum(added**2))
    gradients = {"in": added / stream, "out": n**branch / stream}
    weights = {"in": 1.0, "out": size_out}
    steps = {
        "sgd": lambda g, _: g,
        "adamw": lambda g, _: np.ones_like(g),
        "lamb": lambda g, w: w * np.ones_like(g),
    }[law]
    return {role: n**rate * np.sum(g * steps(g, weights[role])) for role, g in gradients.items()}


def slopes(law, *powers):
    shallow, deep = 2**14, 2**20
    first, last = summed(shallow, law, *powers), summed(deep, law, *powers)
    return {role: np.log(last[role] / first[role]) / np.log(deep / shallow) for role in first}


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["sgd", "adamw", "lamb"]),
    QUARTERS,
    QUARTERS,
    QUARTERS,
    st.sampled_from([0.0, -0.5, -1.0]),
    QUARTERS,
)
def test_sums_over_layers_have_the_power_that_the_vertices_give(
    law, embedding, branch, out, out_by_layer, rate
):
    recipe = PowerRecipe(
        "drawn",
        "pre-norm-plain",
        {
            "embedding": RolePowers(std=DEPTH ** _quarters(embedding)),
            "branch": RolePowers(multiplier=DEPTH ** _quarters(branch)),
            "in": RolePowers(rate=DEPTH ** _quarters(rate)),
            "out": RolePowers(
                std=DEPTH ** _quarters(out) * LAYER ** _quarters(out_by_layer),
                rate=DEPTH ** _quarters(rate),
            ),
        },
        law,
        "drawn",
    )
    judgement = judge(recipe, law_named(law))
    found = slopes(law, embedding, branch, out, out_by_layer, rate)
    for role, slope in found.items():
        change = judgement.changes[role]
        # A logarithm of N adds about 1/log N to the slope, one under a root half or less.
        assert abs(slope - float(change.power)) < 0.14, (role, slope, change)


def _quarters(power):
    return sp.Rational(int(4 * power), 4)


def test_a_sum_that_is_level_in_the_layers_carries_a_logarithm():
    flat = PowerRecipe("flat", "pre-norm-plain", {}, "sgd", "unit matrices")
    change = judge(flat, law_named("sgd")).changes["out"]
    assert (change.power, change.logarithm) == (0, True)
    sums = [summed(n, "sgd", 0, 0, 0, 0, 0)["out"] for n in (10**3, 10**4, 10**5)]
    assert np.diff(sums) == pytest.approx(np.log(10), rel=2e-3)
    change = judge(flat, law_named("adamw")).changes["out"]
    assert (change.power, change.logarithm) == (sp.Rational(1, 2), False)
