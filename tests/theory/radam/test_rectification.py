import math

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from theory.errors import InputError
from theory.radam.rectification import (
    BEHAVIOURS,
    behaviour_named,
    first_adaptive_step,
    length,
    longest,
    rectifier,
    rectifier_squared,
)
from theory.radam.variance import first_order, variance_at

rates = st.fractions(0, 1, max_denominator=1000).filter(lambda b: b < 1).map(sp.Rational)


@given(rates, st.integers(1, 12))
def test_the_length_is_that_of_a_plain_average_of_equal_mean_age(beta2, step):
    weights = [beta2 ** (step - i) for i in range(1, step + 1)]
    age = sum(w * (step - i) for i, w in enumerate(weights, start=1)) / sum(weights)
    assert length(step, beta2) == 2 * age + 1


def test_lengths_in_exact_numbers():
    assert longest(sp.Rational(999, 1000)) == 1999
    assert longest(0) == 1
    assert length(1, sp.Rational(1, 2)) == 1
    assert length(2, sp.Rational(1, 2)) == sp.Rational(5, 3)
    assert length(3, sp.Rational(1, 2)) == sp.Rational(15, 7)
    assert length(10_000, 0.98) == pytest.approx(99.0)


@given(st.floats(0.5, 0.9999), st.integers(1, 200))
def test_the_length_grows_and_stays_below_the_step_and_its_limit(beta2, step):
    now, later = length(step, beta2), length(step + 1, beta2)
    slack = 1e-9 * longest(beta2)
    assert now <= later + slack
    assert now <= min(step, longest(beta2)) + slack


@pytest.mark.parametrize("beta2", [1, 1.0, -0.1, 2.0, float("nan")])
def test_rates_lie_in_the_half_open_interval(beta2):
    for call in (lambda: longest(beta2), lambda: length(3, beta2)):
        with pytest.raises(InputError, match=rf"^β₂ must lie in \[0, 1\), got {beta2}$"):
            call()


@pytest.mark.parametrize("step", [0, -1, 1.5, True])
def test_steps_count_from_one(step):
    with pytest.raises(InputError, match=f"^step must be an integer of at least 1, got {step}$"):
        length(step, 0.999)


def test_a_symbolic_step_gives_the_formula():
    t, beta = sp.Symbol("t", integer=True, positive=True), sp.Symbol("beta", positive=True)
    formula = length(t, beta)
    assert sp.simplify(sp.sympify(formula).subs(t, 2) - (1 + 3 * beta) / (1 + beta)) == 0


@given(st.integers(5, 3000), st.integers(5, 3000))
def test_the_squared_rectifier_is_the_ratio_of_first_order_variances(at, limit):
    exact = rectifier_squared(sp.Integer(at), sp.Integer(limit))
    assert exact == first_order(sp.Integer(limit)) / first_order(sp.Integer(at))


def test_the_rectifier_rises_to_one():
    assert rectifier_squared(sp.Integer(5), sp.Integer(6)) == sp.Rational(9, 20)
    assert rectifier(100_000, 0.999) == pytest.approx(1, abs=1e-9)
    values = [rectifier(step, 0.999) for step in range(5, 500, 5)]
    assert values == sorted(values)
    squared = rectifier_squared(length(5, 0.999), 1999)
    assert rectifier(5, 0.999) == pytest.approx(math.sqrt(squared))


def test_at_five_the_exact_variances_would_rectify_less():
    exact = math.sqrt(variance_at(1999) / variance_at(5))
    assert exact / math.sqrt(rectifier_squared(5.0, 1999.0)) == pytest.approx(1.8176, abs=1e-4)


@pytest.mark.parametrize(("at", "limit"), [(4.0, 100.0), (3.0, 100.0), (10.0, 4.0)])
def test_there_is_no_rectifier_up_to_four(at, limit):
    name, value = ("ρ_t", at) if at <= 4 else ("ρ_∞", limit)
    with pytest.raises(InputError, match=f"^{name} must be greater than 4, got {value}$"):
        rectifier_squared(at, limit)
    with pytest.raises(InputError, match=r"^ρ_t must be greater than 4"):
        rectifier(4, 0.999)


@pytest.mark.parametrize(
    ("name", "adaptive", "before"),
    [
        ("paper", {4: False, 4.001: True, 5: True}, True),
        ("torch", {4.5: False, 5: False, 5.001: True}, True),
        ("authors", {4.999: False, 5: True, 6: True}, False),
    ],
)
def test_three_behaviours_bear_the_one_name(name, adaptive, before):
    behaviour = behaviour_named(name)
    assert {at: behaviour.adapts(at) for at in adaptive} == adaptive
    assert behaviour.updates_before is before
    assert behaviour.name == name


def test_an_unknown_behaviour_offers_the_nearest():
    assert list(BEHAVIOURS) == ["paper", "torch", "authors"]
    with pytest.raises(
        InputError, match="unknown behaviour of RAdam 'torhc': did you mean 'torch'"
    ):
        behaviour_named("torhc")


@pytest.mark.parametrize(
    ("beta2", "steps"),
    [
        (0.999, [5, 6, 6]),
        (0.98, [5, 6, 6]),
        (0.75, [6, 8, 8]),
        (0.7, [6, 10, 10]),
        (0.65, [8, None, None]),
        (0.6, [None, None, None]),
        (0.0, [None, None, None]),
    ],
)
def test_when_each_starts_to_adapt(beta2, steps):
    assert [first_adaptive_step(behaviour, beta2) for behaviour in BEHAVIOURS.values()] == steps
