import mpmath
import pytest
import sympy as sp

from theory.moments import relu_moments
from theory.moments.relu_kernel import kappa_0, kappa_1
from theory.moments.relu_moments import expectation, relu_moment


def rectified_mean(m, deviation):
    """E ReLU(X) for X ~ N(m, deviation²)."""
    return m * mpmath.ncdf(m / deviation) + deviation * mpmath.npdf(m / deviation)


@pytest.mark.parametrize("correlation", [-0.6, 0.0, 0.3, 0.8])
def test_the_kernels_by_conditioning_on_one_variable(correlation):
    """Given a, b ~ N(ρ a, 1 − ρ²): one integral over a is left, taken numerically."""
    rest = mpmath.sqrt(1 - correlation**2)
    values = mpmath.quad(
        lambda a: mpmath.npdf(a) * a * rectified_mean(correlation * a, rest), [0, 2, 12]
    )
    masks = mpmath.quad(lambda a: mpmath.npdf(a) * mpmath.ncdf(correlation * a / rest), [0, 2, 12])
    assert abs(2 * values - kappa_1(correlation)) < 1e-9
    assert abs(2 * masks - kappa_0(correlation)) < 1e-9


@pytest.mark.parametrize("power", [1, 2, 3, 4])
def test_moments_of_relu(power):
    numeric = mpmath.quad(lambda t: t**power * mpmath.npdf(t), [0, 2, 12])
    assert abs(float(relu_moment(power)) - float(numeric)) < 1e-12


def test_expectation_of_a_polynomial_is_the_sum_over_pairings():
    """Isserlis: E a²b² = 1 and E a⁴ = 3, so E (a + b)⁴ = 12 = 3 (1 + 1)²."""
    a, b = sp.symbols("a b")
    assert expectation((a + b) ** 4, (a, b)) == 12
    assert expectation(a * b**2, (a, b)) == 0


@pytest.mark.parametrize("steps", [relu_moments.lemma1, relu_moments.pair_kernels])
def test_every_step_holds_and_its_false_version_does_not(steps):
    for step in steps():
        assert step.check(step.statement), step.because
        assert not step.check(step.false), step.because
