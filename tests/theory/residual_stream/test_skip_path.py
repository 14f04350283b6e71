import math

import pytest
import sympy as sp

from theory.residual_stream import skip_path
from theory.residual_stream.skip_path import L, coherent, incoherent


@pytest.mark.parametrize("blocks", [1, 7, 600])
def test_growth_of_the_product_by_multiplying_it_out(blocks):
    a = (3 * blocks) ** -0.5
    assert float(coherent(sp.Integer(blocks))) == pytest.approx(math.prod([1 + a] * blocks))
    squared = math.prod([1 + a * a] * blocks)
    assert float(incoherent(sp.Integer(blocks))) == pytest.approx(squared)


def test_published_figures():
    # theory.md §3 at N = 200: 600 decoder blocks, and 400 encoder blocks of strength 0.4484/√N.
    strength = sp.Float("0.44840263", 20) / sp.sqrt(200)
    assert float(coherent(sp.Integer(400), strength)) == pytest.approx(2.646e5, rel=1e-3)
    assert float(coherent(sp.Integer(600))) == pytest.approx(1.18e6, rel=5e-3)
    assert float(incoherent(sp.Integer(600))) == pytest.approx(math.exp(1 / 3), rel=1e-3)


def test_the_coherent_product_follows_its_asymptotic_form():
    for blocks in (10**4, 10**6):
        asymptotic = math.sqrt(blocks / 3) - 1 / 6
        exact = float(sp.log(coherent(sp.Integer(blocks))))
        assert exact == pytest.approx(asymptotic, abs=1 / math.sqrt(blocks))
    assert sp.limit(incoherent(), L, sp.oo) == sp.exp(sp.Rational(1, 3))


def test_independent_signs_average_to_the_incoherent_product():
    blocks, a = 6, sp.Rational(1, 3)
    total = sp.S.Zero
    for choice in range(2**blocks):
        signs = [1 if choice >> bit & 1 else -1 for bit in range(blocks)]
        total += sp.Mul(*((1 + sign * a) ** 2 for sign in signs))
    assert total / 2**blocks == (1 + a**2) ** blocks


@pytest.mark.parametrize(
    "derivation", [skip_path.coherent_derivation, skip_path.incoherent_derivation]
)
def test_steps_reject_neighbouring_statements(derivation):
    found = derivation()
    assert found.claim == "tfixup.skip"
    for step in found.steps:
        assert step.check(step.statement)
        assert not step.check(step.false)
        left, right = step.statement.args
        off = right + sp.Rational(1, 7) if right.is_finite else -right
        assert not step.check(sp.Eq(left, off, evaluate=False))


def test_the_altered_statements_are_these():
    rate, unbounded = skip_path.coherent_derivation().steps
    one, many = skip_path.incoherent_derivation().steps
    logarithm = L * sp.log(1 + 1 / sp.sqrt(3 * L))
    without = sp.Limit(logarithm - sp.sqrt(L / 3), L, sp.oo)
    assert rate.false == sp.Eq(without, 0, evaluate=False)
    assert unbounded.statement.args[0] == sp.Limit(sp.sqrt(L / 3) - sp.Rational(1, 6), L, sp.oo)
    assert unbounded.false == sp.Eq(sp.Limit(1 / (3 * L), L, sp.oo), sp.oo, evaluate=False)
    epsilon, a = sp.symbols("epsilon a", real=True)
    mean = sp.Function("E")
    assert one.statement.args == (mean((1 + epsilon * a) ** 2), 1 + a**2)
    assert one.false.args == (mean((1 + epsilon * a) ** 2), (1 + a) ** 2)
    assert many.false == sp.Eq(many.statement.args[0], 1, evaluate=False)
    assert many.statement.args[0] == sp.Limit((1 + 1 / (3 * L)) ** L, L, sp.oo)


def test_the_rate_of_the_logarithm_is_exactly_a_sixth_below():
    (rate, _) = skip_path.coherent_derivation().steps
    limit = rate.statement.args[0]
    shifted = sp.Limit(limit.args[0] + sp.Rational(1, 5), L, sp.oo)
    assert rate.check(sp.Eq(shifted, sp.Rational(1, 5), evaluate=False))
    assert not rate.check(sp.Eq(shifted, 0, evaluate=False))
