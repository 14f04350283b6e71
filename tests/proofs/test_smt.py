import pytest
import sympy as sp

from proofs.smt import ask, attention_of, lower_bound_fails, small_gain, translate
from theory.attention import gain_at

x = sp.Symbol("x", real=True)


def test_the_solver_decides_what_is_decidable():
    assert ask([sp.Lt(x**2, 0, evaluate=False)]).status == "unsat"
    assert ask([sp.Gt(x**2, 2)]).status == "sat"


@pytest.mark.parametrize("length", [1, 2])
def test_the_lower_bound_holds_and_a_larger_one_does_not(length):
    assert lower_bound_fails(length, sp.S.One).status == "unsat"
    assert lower_bound_fails(length, sp.Integer(2)).status == "sat"


def test_the_point_found_breaks_the_theorem_in_exact_arithmetic():
    found = small_gain(one_sign=False)
    assert found.status == "sat"
    value = {name: sp.Rational(text) for name, text in found.point.items()}
    m1, m2, weight = value["m1"], value["m2"], value["s1"]
    assert weight * m1 + (1 - weight) * m2 == value["mbar"]
    size = sp.Rational(1, 1000)
    for memory in (m1, m2):
        assert size <= size**2 + 2 * size * memory**2 <= 9 * size
    if value["a"] == 0 and weight == sp.Rational(1, 2):
        scale = sp.sqrt(size)
        zero = sp.S.Zero
        assert gain_at((m1, m2), v=scale, w=scale, q=zero, k=zero, y=zero)[1] < size / 100


def test_one_sign_leaves_no_counterexample():
    assert small_gain(one_sign=True).status == "unsat"


def test_the_translation_has_the_theory_s_value():
    model = attention_of(2)
    assert {str(symbol) for symbol in model.gain.free_symbols} >= {"A", "W", "a", "r", "s1", "m2"}
    with pytest.raises(ValueError, match="polynomial"):
        translate(sp.exp(x) > 1)
