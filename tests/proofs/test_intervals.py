import pytest
import sympy as sp
from mpmath import mp, polyroots

from proofs import MISSING, providers
from proofs.intervals import decoder_polynomial, enclose, encoder_polynomial
from theory.claims import Context

t = sp.Symbol("t", positive=True)


def test_every_proof_passes_and_its_control_is_rejected():
    assert not MISSING
    found = [item for provider in providers() for item in provider(Context())]
    assert all(item.admissible for item in found)
    assert [item.passed for item in found if item.claim == "tfixup.encoder-scale"] == [True]


@pytest.mark.parametrize("polynomial", [encoder_polynomial(), decoder_polynomial()])
def test_the_enclosure_is_where_an_independent_root_finder_puts_the_root(polynomial):
    with mp.workdps(30):
        coefficients = [mp.mpf(int(c.p)) / int(c.q) for c in polynomial.all_coeffs()]
        roots = polyroots(coefficients, maxsteps=200)
        (root,) = [r.real for r in roots if abs(r.imag) < 1e-20 and r.real > 0]
        low, high = mp.nstr(root - mp.mpf("1e-12"), 20), mp.nstr(root + mp.mpf("1e-12"), 20)
        away = mp.nstr(root + mp.mpf("2e-12"), 20)
    assert enclose(polynomial, low, high).proved
    assert not enclose(polynomial, high, away).proved


def test_a_polynomial_with_two_roots_is_not_called_unique():
    two = sp.Poly((t - 1) * (t - 2) * (t - 3), t)
    assert not enclose(two, "2.9", "3.1").proved
