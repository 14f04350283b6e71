import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from theory.derivations.orders import is_theta, order
from theory.errors import InputError

N = sp.Symbol("N", positive=True)
powers = st.fractions(-3, 3, max_denominator=4).map(sp.Rational)
coefficients = st.integers(1, 9)


@given(st.lists(st.tuples(coefficients, powers), min_size=1, max_size=5))
def test_the_largest_power_of_a_sum_survives(terms):
    expression = sp.Add(*(c * N**p for c, p in terms))
    found = order(expression, N)
    assert found.power == max(p for _, p in terms)
    assert sp.limit(expression / (found.coefficient * N**found.power), N, sp.oo) == 1


@given(powers, powers, powers)
def test_orders_multiply_and_take_powers(a, b, exponent):
    product = order(((N**a + 1) * (2 * N**b + 3)) ** exponent, N)
    assert product.power == exponent * (max(a, 0) + max(b, 0))


def test_logarithms_come_second():
    assert is_theta(N * sp.log(N) + N, N * sp.log(N), N)
    assert not is_theta(N * sp.log(N), N, N)
    assert is_theta(sp.sqrt(N) + sp.log(N) ** 5, sp.sqrt(N), N)


@pytest.mark.parametrize("expression", [N - N**2 + N**2 * (1 - 1 / N) - N, sp.exp(N), sp.S.Zero])
def test_what_has_no_order_is_refused(expression):
    with pytest.raises(InputError):
        order(expression, N)


def test_cancelling_leading_terms_are_refused():
    with pytest.raises(InputError, match="cancel"):
        order(sp.sqrt(N**2 + N) - N, N)
