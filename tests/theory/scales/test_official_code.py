import math

import mpmath
import pytest
import sympy as sp
import torch

from theory.errors import InputError
from theory.scales import biases
from theory.scales.official_code import DIVERGENCES, REFERENCE, N, by_name, derivation

A = (math.sqrt(22) - 2) / 6
PUBLISHED = {
    "encoder constant": (1.00156, 1.00156),
    "source positions": (3.20, 13.70),
    "query and key gain": (0.25, 0.25),
    "logit factor": (4, 4),
    "count of blocks": (0.5, 0.5),
    "output biases": (19, 601),
}
"""Figures of the field notes, and those that follow by counting."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_known_figures_come_out(name):
    found = [float(by_name(name).at(depth)) for depth in (6, 200)]
    assert found == pytest.approx(PUBLISHED[name], rel=1e-3)


def drawn(rows, columns, gain, generator):
    weight = torch.empty(rows, columns, dtype=torch.float64)
    return torch.nn.init.xavier_uniform_(weight, gain=gain, generator=generator)


def test_the_logits_of_drawn_weights_fall_to_a_quarter():
    generator = torch.Generator().manual_seed(0)
    width, inner = 96, 24
    y, m = torch.randn(2, width, generator=generator, dtype=torch.float64)
    squares = {}
    for gain in (1.0, 0.5**0.5):
        total = 0.0
        for _ in range(300):
            q, k = (drawn(width, width, gain, generator)[:, :inner] for _ in range(2))
            total += float((y @ q @ k.T @ m) ** 2)
        squares[gain] = total
    ratio = squares[0.5**0.5] / squares[1.0]
    assert ratio == pytest.approx(float(by_name("query and key gain").effect), rel=0.35)
    assert ratio < 0.45


def test_positions_and_biases_by_hand():
    depth = 30
    s2, x2 = 0.4489 / math.sqrt(depth), 1 / math.sqrt(9 * depth) + 0.5
    source = 2 * depth * (2 * s2 * x2 + s2**2)
    assert float(by_name("source positions").at(depth)) == pytest.approx(source)
    value = 1 + depth * (A / math.sqrt(depth) + 1 / (3 * REFERENCE[sp.Symbol("d", positive=True)]))
    assert float(by_name("value biases").at(depth)) == pytest.approx(value)
    u4 = 1 / (9 * depth)
    y2 = 1 / math.sqrt(9 * 6)
    shared = depth * (3 * u4 + 4 * math.sqrt(u4) * y2 + 2 * u4)
    assert float(by_name("shared embeddings").at(depth)) == pytest.approx(shared)


def test_a_default_bias_has_the_mean_square_of_a_uniform():
    bound = mpmath.mpf(1) / mpmath.sqrt(512)
    mean = mpmath.quad(lambda b: b**2 / (2 * bound), [-bound, bound])
    assert abs(mean - mpmath.mpf(1) / 1536) < 1e-15
    assert biases.default_mean_square(sp.Integer(512)) == sp.Rational(1, 1536)


def linear_chain_change(depth, *, with_biases):
    """‖Δf‖/η of a chain of blocks (v x + b) w + o in one dimension, by torch."""
    generator = torch.Generator().manual_seed(1)
    scale = (9 * depth) ** -0.25
    signs = torch.randint(0, 2, (2, 3 * depth), generator=generator).double() * 2 - 1
    theta = torch.zeros(4, 3 * depth, dtype=torch.float64)
    theta[0], theta[1] = scale * signs

    def stack(theta):
        x = torch.tensor(scale, dtype=torch.float64)
        for v, w, b, o in theta.T:
            x = x + (v * x + (b if with_biases else 0.0)) * w + (o if with_biases else 0.0)
        return x

    return float(torch.func.grad(stack)(theta).square().sum())


def test_trained_biases_make_the_change_grow_with_depth():
    plain = [linear_chain_change(depth, with_biases=False) for depth in (8, 64)]
    biased = [linear_chain_change(depth, with_biases=True) for depth in (8, 64)]
    assert max(plain) < 4
    assert biased[1] / biased[0] > 4
    assert sp.simplify(biases.decoder_gain(sp.S.One) - (1 + 3 * N)) == 0


def test_every_divergence_changes_something_and_is_told_once():
    assert len({item.name for item in DIVERGENCES}) == len(DIVERGENCES)
    for item in DIVERGENCES:
        assert any(abs(float(item.at(depth)) - 1) > 1e-5 for depth in (6, 200)), item.name


def test_a_bad_depth_is_refused():
    with pytest.raises(InputError, match="layers must be an integer of at least 1, got 0"):
        by_name("output biases").at(0)


@pytest.mark.parametrize("build", [derivation, biases.trained, biases.scaled])
def test_each_step_holds_and_its_false_form_does_not(build):
    assert all(step.sound for step in build().check())


def test_every_divergence_says_what_differs_and_in_what():
    names = [one.name for one in DIVERGENCES]
    assert len(set(names)) == len(names)
    for one in DIVERGENCES:
        for words in (one.name, one.paper, one.code, one.quantity):
            assert words.strip(), one
        assert one.paper != one.code, one
    assert "√2" in by_name("value gain in ports").code
    assert "gain 1/√2" in by_name("query and key gain").code
