import mpmath
import pytest
import sympy as sp
import torch

from theory.errors import InputError
from theory.residual_stream.memory_norm import (
    A2,
    KAPPA,
    bounded,
    d,
    d_ff,
    memory_growth,
    mlp_growth,
    unbounded,
)
from theory.scales.tfixup_constants import constant


def test_the_scale_is_the_encoders():
    assert abs(sp.N(A2 - constant() ** 4, 30)) < 1e-25
    assert abs(float(A2) - 0.669628722978**4) < 1e-12


@pytest.mark.parametrize(("width", "inner"), [(64, 128), (512, 2048), (96, 32)])
def test_an_mlp_block_grows_as_gaussian_weights_do(width, inner):
    """E ReLU(z)² by quadrature, z ~ N(0, σ₁²‖y‖²), and a fan-in sum: no sign enumeration."""
    variance = mpmath.mpf(2) / (width + inner)
    half = mpmath.quad(
        lambda z: (
            z**2 * mpmath.exp(-(z**2) / (2 * variance)) / mpmath.sqrt(2 * mpmath.pi * variance)
        ),
        [0, 1, mpmath.inf],
    )
    grown = 1 + width * inner * variance * half
    exact = mlp_growth(sp.Integer(1)).subs({d: width, d_ff: inner})
    assert abs(grown - mpmath.mpf(exact.p) / exact.q) < 1e-10
    assert exact - 1 == KAPPA.subs({d: width, d_ff: inner})


SCALE = float(constant())


def stream_growth(depth, coherent, draws=24, width=48, inner=96, tokens=6):
    """Mean of ‖m‖²/‖x‖² over drawn encoders with uniform attention, in torch."""
    generator = torch.Generator().manual_seed(depth)

    def draw(rows, columns):
        bound = SCALE * depth**-0.25 * (6 / (rows + columns)) ** 0.5
        drawn = torch.rand(draws, rows, columns, generator=generator, dtype=torch.float64)
        return (2 * drawn - 1) * bound

    start = torch.randn(draws, tokens, width, generator=generator, dtype=torch.float64)
    x = start
    for _ in range(depth):
        if coherent:
            x = x * (1 + SCALE**2 / depth**0.5) ** 2
        else:
            x = x + x.mean(1, keepdim=True) @ draw(width, width) @ draw(width, width)
            x = x + torch.relu(x @ draw(width, inner)) @ draw(inner, width)
    return float(x.square().sum() / start.square().sum())


def test_a_drawn_encoder_grows_as_derived():
    assert stream_growth(40, coherent=False) == pytest.approx(
        float(memory_growth(48, 96, 6)), rel=0.03
    )


def test_an_aligned_encoder_does_not():
    root = (22**0.5 - 2) / 6
    for depth in (10, 40):
        found = stream_growth(depth, coherent=True)
        assert found == pytest.approx((1 + root / depth**0.5) ** (4 * depth))
    assert found > 1000 * float(memory_growth(48, 96, 6))


def test_bad_widths_are_refused():
    with pytest.raises(InputError, match="tokens must be an integer of at least 1, got 0"):
        memory_growth(64, 128, 0)


@pytest.mark.parametrize("build", [bounded, unbounded])
def test_each_step_holds_and_its_false_form_does_not(build):
    assert all(step.sound for step in build().check())
