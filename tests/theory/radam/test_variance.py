import math

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.errors import InputError
from theory.radam.gamma_ratio import growth, ratio
from theory.radam.inverse_chi import integrated_variance
from theory.radam.variance import (
    first_order,
    first_order_error,
    reliable_from,
    require_more,
    variance,
    variance_at,
    variance_bounds,
)

degrees_above_two = st.floats(2.01, 2000.0)
degrees_above_four = st.floats(4.01, 2000.0)


def quadrature(degrees):
    """Var[1/√(X/ρ)] in 30 digits from the density of χ²(ρ), in X itself."""
    with mpmath.workdps(30):
        rho = mpmath.mpf(degrees)
        peak, width = rho, 2 * mpmath.sqrt(2 * rho)
        breaks = [0, *(max(peak + k * width, peak / 100) for k in (-6, -3, -1)), peak]
        breaks += [peak + k * width for k in (1, 3, 8, 30)]

        def moment(power):
            def density(x):
                return mpmath.exp((rho / 2 - 1 - power) * mpmath.log(x) - x / 2 + rho / 2)

            return mpmath.quad(density, sorted(set(breaks)))

        whole = moment(0)
        return rho * moment(1) / whole - rho * (moment(mpmath.mpf(1) / 2) / whole) ** 2


def beta_form(degrees):
    """The paper's formula with the Beta function, in 60 digits."""
    with mpmath.workdps(60):
        rho = mpmath.mpf(degrees)
        beta = mpmath.beta((rho - 1) / 2, (rho - 1) / 2)
        return rho / (rho - 2) - rho * mpmath.mpf(2) ** (2 * rho - 5) / mpmath.pi * beta**2


@pytest.mark.parametrize(
    ("degrees", "exact", "approximate"),
    [
        (5, "0.25196", "0.83333"),
        (10, "0.07555", "0.10417"),
        (100, "0.0051928", "0.0053146"),
        (500, "0.00100754", "0.00101211"),
    ],
)
def test_the_published_table(degrees, exact, approximate):
    decimals = len(exact) - 2
    assert round(variance_at(degrees), decimals) == float(exact)
    assert round(float(variance(degrees)), decimals) == float(exact)
    assert round(first_order(float(degrees)), len(approximate) - 2) == float(approximate)
    assert float(quadrature(degrees)) == pytest.approx(variance_at(degrees), rel=1e-9)
    assert integrated_variance(degrees) == pytest.approx(variance_at(degrees), rel=1e-9)


def test_the_ratio_is_far_over_the_hundred_of_the_paper():
    assert variance_at(5) / variance_at(500) == pytest.approx(250.07, abs=5e-3)


def test_exact_values_in_closed_form():
    assert sp.simplify(variance(4) - (2 - sp.pi / 2)) == 0
    assert sp.simplify(variance(3) - (3 - 6 / sp.pi)) == 0
    assert sp.simplify(variance(6) - (sp.Rational(3, 2) - 27 * sp.pi / 64)) == 0
    assert sp.simplify(variance(4, 3) - (2 - sp.pi / 2) / 9) == 0


@settings(deadline=None, max_examples=40)
@given(degrees_above_two, st.floats(0.1, 10.0))
def test_the_float_is_the_papers_formula(degrees, sigma):
    expected = float(beta_form(degrees)) / sigma**2
    assert variance_at(degrees, sigma) == pytest.approx(expected, rel=1e-7)


def test_nothing_overflows_and_large_averages_reach_the_leading_term():
    with pytest.raises(OverflowError):
        math.gamma(250)
    for degrees in (500, 2000, 10_000):
        leading = (1 + 3.75 / degrees) / (2 * degrees)
        assert variance_at(degrees) == pytest.approx(leading, rel=30 / degrees**2 + 1e-6)


@settings(deadline=None, max_examples=60)
@given(degrees_above_two, st.floats(0.01, 10.0))
def test_the_variance_falls(degrees, more):
    assert variance_at(degrees + more) < variance_at(degrees)


@settings(deadline=None, max_examples=60)
@given(degrees_above_two, st.floats(0.1, 10.0))
def test_the_variance_lies_between_its_rational_bounds(degrees, sigma):
    lower, upper = variance_bounds(degrees, sigma)
    exact = float(beta_form(degrees)) / sigma**2
    assert lower < exact < upper
    assert upper / lower < (2 * degrees - 3) / (2 * degrees - 3.5) * (1 + 1e-12)


@settings(deadline=None, max_examples=60)
@given(degrees_above_four)
def test_the_relative_error_of_the_first_order_form_is_enclosed(degrees):
    error = float(first_order(degrees) / beta_form(degrees)) - 1
    least, most = first_order_error(degrees)
    assert least < error < most


def test_the_enclosure_is_not_wider_than_it_must_be():
    assert float(first_order(4.0001) / beta_form(4.0001) - 1) * 1e-4 == pytest.approx(
        2.33, abs=0.01
    )
    assert float(first_order(1e4) / beta_form(1e4) - 1) * (1e4 - 4) == pytest.approx(2.25, abs=1e-3)


def test_exact_rationals():
    assert first_order(sp.Integer(10)) == sp.Rational(5, 48)
    assert first_order(sp.Integer(5), 2) == sp.Rational(5, 24)
    assert variance_bounds(sp.Integer(5)) == (sp.Rational(5, 21), sp.Rational(10, 39))
    assert variance_bounds(sp.Integer(5), 2) == (sp.Rational(5, 84), sp.Rational(10, 156))
    assert first_order_error(sp.Integer(5)) == (sp.Rational(9, 4), sp.Rational(5, 2))
    assert first_order_error(sp.Integer(6)) == (sp.Rational(9, 8), sp.Rational(5, 4))
    assert reliable_from(sp.Rational(1, 10)) == 29
    assert reliable_from(0.5) == 9.0


@pytest.mark.parametrize("degrees", [2, 2.0, 1, 0, -3.0, float("nan")])
def test_without_more_than_two_gradients_the_variance_is_infinite(degrees):
    for function in (variance, variance_at, variance_bounds):
        with pytest.raises(InputError, match=f"^ρ must be greater than 2, got {degrees}$"):
            function(degrees)


@pytest.mark.parametrize("degrees", [4, 4.0, 3.5, 2, sp.Integer(4)])
def test_the_first_order_form_has_a_pole_at_four(degrees):
    for function in (first_order, first_order_error):
        with pytest.raises(InputError, match=f"^ρ must be greater than 4, got {degrees}$"):
            function(degrees)


@pytest.mark.parametrize("function", [variance, variance_at, first_order, variance_bounds])
@pytest.mark.parametrize("sigma", [0, -1])
def test_a_standard_deviation_is_positive(function, sigma):
    with pytest.raises(InputError, match=f"^σ must be greater than 0, got {sigma}$"):
        function(5, sigma)


@pytest.mark.parametrize("error", [0, -0.1])
def test_an_error_is_positive(error):
    with pytest.raises(InputError, match=f"^ε must be greater than 0, got {error}$"):
        reliable_from(error)


def test_symbols_pass_and_small_excess_is_enough():
    free = sp.Symbol("rho", positive=True)
    assert sp.sympify(first_order(free)).subs(free, 10) == sp.Rational(5, 48)
    assert sp.simplify(variance(free, free).subs(free, 4) - (2 - sp.pi / 2) / 16) == 0
    require_more("x", 2.0000001, 2)
    assert variance_at(2.5, 0.5) == pytest.approx(4 * variance_at(2.5))
    assert first_order(4.5, 0.5) == pytest.approx(4 * first_order(4.5))


@given(st.fractions(1, 30, max_denominator=7).filter(lambda m: m > 1))
def test_the_gamma_ratio_grows_as_its_recurrence_says(m):
    with mpmath.workdps(30):
        at = mpmath.mpf(m.numerator) / m.denominator

        def exact(x):
            return mpmath.gamma(x) ** 2 / mpmath.gamma(x - 0.5) / mpmath.gamma(x + 0.5)

        rational = growth(sp.Rational(m.numerator, m.denominator))
        measured = exact(at + 1) / exact(at)
        assert abs(measured - mpmath.mpf(rational.p) / rational.q) < 1e-25
        symbolic = sp.N(ratio(sp.Rational(m.numerator, m.denominator)), 30)
        assert abs(symbolic - sp.Float(exact(at), 30)) < 1e-25
