import math

import pytest
import sympy as sp

from theory import skip_path
from theory.skip_path import L, coherent, incoherent


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
