import json
import subprocess
import sys

import pytest
import sympy as sp
from flint import arb
from mpmath import gamma, mp, polyroots, quad

from numerics.stores.files import jsonable
from proofs import MISSING, check_certificate, jacobian_norm, scheme_constants, variance
from proofs.enclosure import around, enclose
from proofs.intervals import SUPPORTS, check, decoder_polynomial, encoder_polynomial
from proofs.scheme_constants import schemes

t = sp.Symbol("t", positive=True)


@pytest.fixture(scope="module")
def found():
    assert not MISSING
    return check()


def test_every_statement_is_proved_and_its_altered_version_rejected(found):
    assert all(item.sound for item in found)
    assert {name for s in SUPPORTS for name in s.statements} <= {item.name for item in found}


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


def test_deepnorm_s_constants_are_the_printed_ones_with_more_digits(found):
    (item,) = [item for item in found if item.name == "constants of deepnorm"]
    assert "alpha_e = 0.81384137406531" in item.statement
    assert "v_e = 0.86885086421005" in item.statement


def test_conditions_notice_a_wrong_constant():
    scheme = schemes()[0]
    solved = dict(scheme_constants.solved_by(scheme))
    assert scheme_constants.constants(scheme, solved).proved
    solved[next(iter(solved))] = sp.Rational(67, 100)
    assert not scheme_constants.constants(scheme, solved).conditions_hold


@pytest.mark.parametrize("number", [sp.sqrt(2), sp.Rational(1, 3000), sp.pi * 1000])
def test_around_brackets_a_number(number):
    low, high = (sp.Rational(text) for text in around(number))
    assert low < number < high
    assert (high - low) / number < sp.Rational(1, 10**13)


@pytest.mark.parametrize("rho", [5, 10])
def test_the_variance_is_that_of_an_integral(rho):
    with mp.workdps(25):

        def mean(power):
            density = lambda x: x ** (mp.mpf(rho) / 2 - 1 - power) * mp.exp(-x / 2)  # noqa: E731
            return quad(density, [0, 5, 20, 100, mp.inf]) / (
                2 ** (mp.mpf(rho) / 2) * gamma(rho / 2)
            )

        exact = rho * mean(1) - rho * mean(mp.mpf(1) / 2) ** 2
        (value,) = [value for value in variance.table() if value.rho == rho]
        assert abs(mp.mpf(value.low) - exact) < 1e-11


def test_a_cell_encloses_the_derivative():
    def difference(rho):
        ends = [variance.variance(arb(rho) + arb(step)) for step in ("-1e-6", "1e-6")]
        return float(ends[1] - ends[0]) / 2e-6

    for cell in (*variance.cells(5, 6), *variance.cells(480, 500)):
        left, right = sp.Rational(cell.left), sp.Rational(cell.right)
        assert difference(float((left + right) / 2)) <= float(sp.Rational(cell.slope_at_most)) < 0


def test_the_norm_at_a_point_is_the_largest_singular_value():
    matrix = jacobian_norm.jacobian((1, 2, 4))
    entries = sp.Matrix(3, 3, lambda i, j: sp.Float(float(matrix[i, j])))
    largest = max(float(sp.re(x)) for x in (entries.T * entries).eigenvals(multiple=True))
    claimed = 3 / ((1 - 7 / 3) ** 2 + (2 - 7 / 3) ** 2 + (4 - 7 / 3) ** 2)
    assert largest == pytest.approx(claimed, rel=1e-9)


def certificates(found):
    names = {"statements": [{"name": r.name, "details": r.details} for r in found]}
    return json.loads(json.dumps(jsonable(names)))


def test_the_independent_checker_confirms_every_certificate(found):
    checked = check_certificate.check(certificates(found))
    assert len(checked) > 30
    assert {kind for _, kind, _ in checked} == {"root", "variance", "decrease"}
    assert all(holds for *_, holds in checked)


def test_the_checker_rejects_what_was_tampered_with(found):
    document = certificates(found)
    for statement in document["statements"]:
        for it in statement["details"].get("certificates", ()):
            if it["kind"] == "root":
                it["low"], it["high"] = it["high"], it["high"] + "1"
            elif it["kind"] == "variance":
                it["low"] = it["high"]
            elif it["kind"] == "decrease":
                del it["cells"][3]
    assert not any(holds for *_, holds in check_certificate.check(document))
    ran = subprocess.run(
        [sys.executable, check_certificate.__file__],
        input=json.dumps(document),
        text=True,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 1
