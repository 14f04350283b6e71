from fractions import Fraction

import mpmath
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.residual_stream.coherence import derivation, growth, rho, typical
from theory.residual_stream.skip_path import L, coherent, incoherent

numeric = sp.lambdify((rho, L), growth(), "mpmath")


def exact_growth(coherence, strength, blocks):
    """E‖y_L‖²/‖y_0‖² by squaring the moments of one factor, in fractions."""
    first, second = 1 + coherence * strength, strength**2 * (1 - coherence**2)
    return (first**2 + second) ** blocks


@settings(deadline=None, max_examples=40)
@given(st.integers(-8, 8), st.integers(1, 12))
def test_the_mean_square_is_the_first_moment_squared_plus_the_variance(eighths, root):
    blocks = 3 * root**2  # (3L)^(-1/2) = 1/(3 root)
    coherence = Fraction(eighths, 8)
    found = growth(sp.Rational(eighths, 8), sp.Integer(blocks))
    exact = exact_growth(coherence, Fraction(1, 3 * root), blocks)
    assert found == sp.Rational(exact.numerator, exact.denominator)


def test_both_ends_are_the_skip_path_growths():
    blocks = sp.Integer(48)
    assert sp.simplify(growth(sp.S.One, blocks) - coherent(blocks) ** 2) == 0
    assert growth(sp.S.Zero, blocks) == incoherent(blocks)


@pytest.mark.parametrize("value", [-3, -1, 0, 2, 5])
def test_at_the_threshold_the_growth_converges(value):
    limit = mpmath.exp(2 * value / mpmath.sqrt(3) + mpmath.mpf(1) / 3)
    errors = []
    for blocks in (10**4, 10**6):
        errors.append(abs(numeric(value * mpmath.mpf(blocks) ** -0.5, blocks) / limit - 1))
    assert errors[1] < errors[0] / 8 + 1e-6
    assert errors[1] < 2e-2


@pytest.mark.parametrize("power", [0.0, 0.25, 0.4])
def test_above_the_threshold_it_does_not(power):
    found = [numeric(mpmath.mpf(blocks) ** -power, blocks) for blocks in (10**2, 10**4)]
    assert found[1] > 1.5 * found[0]


def test_below_the_threshold_it_is_the_incoherent_growth():
    assert float(numeric(mpmath.mpf(10) ** -6, 10**8)) == pytest.approx(
        2.718281828 ** (1 / 3), rel=0.02
    )


def test_drawn_stacks_of_width_64_grow_typically():
    """Geometric mean over draws against exp((1 − 2/d)/6), and the mean square against e^(1/3)."""
    generator = torch.Generator().manual_seed(0)
    blocks, width, draws = 300, 16, 400
    start = torch.randn(draws, width, generator=generator, dtype=torch.float64)
    y = start
    for _ in range(blocks):
        w = torch.randn(draws, width, width, generator=generator, dtype=torch.float64)
        y = y + (w @ y[..., None])[..., 0] * (3 * blocks * width) ** -0.5
    logs = (y.square().sum(1) / start.square().sum(1)).log()
    assert float((logs / 2).mean().exp()) == pytest.approx(
        float(typical(sp.Integer(width))), rel=0.02
    )
    assert float(logs.exp().mean()) == pytest.approx(2.718281828 ** (1 / 3), rel=0.05)
    assert float((logs / 2).mean().exp()) != pytest.approx(2.718281828 ** (1 / 6), rel=0.01)


def test_the_600_block_figures():
    assert float(coherent(sp.Integer(600))) == pytest.approx(1_176_486, rel=1e-6)
    assert float(sp.sqrt(incoherent(sp.Integer(600)))) == pytest.approx(1.1813, rel=1e-4)
    assert float(typical(sp.Integer(64))) == pytest.approx(1.1752, rel=1e-4)
    assert sp.limit(sp.sqrt(incoherent()), L, sp.oo) == sp.exp(sp.Rational(1, 6))


def test_each_step_holds_and_its_false_form_does_not():
    assert all(step.sound for step in derivation().check())
