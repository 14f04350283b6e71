"""Every scheme's draws against its formulas; the code's against the official code's table."""

import pytest
import torch

from numerics.models import ModelSpec, Positions, Wiring
from numerics.roles import matrices
from numerics.schemes import SCHEMES, build, scheme_named
from theory.errors import InputError

N_E, N_D = 5, 3
SPEC = ModelSpec(N_E, N_D, d_model=64, d_ff=128, vocabulary=400, positions=Positions.SINUSOIDAL)
SCALED_BLOCKS = ("v", "out_proj", "w1", "w2")


def _model(name, seed=0):
    return build(name, SPEC, torch.Generator().manual_seed(seed), dtype=torch.float64)


def _paper_encoder(n_e, n_d):
    """√a for the positive root of 2 N_e (2 a x² + a²) = 1 with x = (9 N_d)^(-1/4)."""
    x2 = (9 * n_d) ** -0.5
    return (-x2 + (x2**2 + 1 / (2 * n_e)) ** 0.5) ** 0.5


# scheme: factors on Xavier for (scaled encoder, scaled decoder, q and k), source and target tables.
X = (9 * N_D) ** -0.25
EXPECTED = {
    "xavier": (1, 1, 1, 1, 1),
    "post-ln": (1, 1, 1, 1, 1),
    "pre-ln": (1, 1, 1, 1, 1),
    "tfixup": (_paper_encoder(N_E, N_D), X, 1, X, X),
    "tfixup-adam": (_paper_encoder(N_E, N_D) ** 2, X**2, 1, X**2, X**2),
    "tfixup-code": (0.67 * N_E**-0.25, X, 0.5**0.5, (9 * N_E) ** -0.25, X),
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_variances(name):
    encoder, decoder, qk, source, target = EXPECTED[name]
    model = _model(name)
    squares = {}
    for matrix in matrices(model):
        fan_out, fan_in = matrix.tensor.shape
        ratio = matrix.tensor.detach().square().mean() * (fan_in + fan_out) / 2
        bound = matrix.tensor.detach().abs().max() * ((fan_in + fan_out) / 6) ** 0.5
        squares.setdefault(matrix.role, []).append((float(ratio) ** 0.5, float(bound)))
    for role, found in squares.items():
        stack, letter = role.partition(".")[0], role.rpartition(".")[2]
        scaled = encoder if stack == "encoder" else decoder
        factor = scaled if letter in SCALED_BLOCKS else qk
        rms = sum(value for value, _ in found) / len(found)
        assert rms == pytest.approx(factor, rel=0.02), role
        assert rms != pytest.approx(1.1 * factor, rel=0.02), role
        assert all(factor * 0.98 < bound <= factor for _, bound in found), role
    for table, factor in ((model.source_embedding, source), (model.target_embedding, target)):
        assert float(table.detach().std()) * 8 == pytest.approx(factor, rel=0.02)


def test_every_scheme_is_tested():
    assert set(SCHEMES) == set(EXPECTED)


@pytest.mark.parametrize(
    ("name", "wiring", "position_scale"),
    [
        ("xavier", Wiring.NONE, 1),
        ("post-ln", Wiring.POST_LN, 1),
        ("pre-ln", Wiring.PRE_LN, 1),
        ("tfixup", Wiring.NONE, X),
        ("tfixup-adam", Wiring.NONE, X**2),
        ("tfixup-code", Wiring.NONE, 1),
    ],
)
def test_wiring_and_positions(name, wiring, position_scale):
    spec = scheme_named(name).adapt(SPEC)
    assert spec.wiring is wiring
    assert spec.position_scale == pytest.approx(position_scale)


def test_equal_depths_have_the_papers_constants():
    for n in (1, 6, 200):
        factors = scheme_named("tfixup").prescribe(ModelSpec(n, n)).factors
        assert factors["encoder.mlp.w1"] == pytest.approx(0.669628722978 * n**-0.25, rel=1e-11)
        assert factors["decoder.mlp.w1"] == pytest.approx((9 * n) ** -0.25, rel=1e-12)


def test_drawn_afresh_whatever_was_there():
    once, twice = _model("tfixup"), _model("tfixup", seed=7)
    with torch.no_grad():
        for parameter in twice.parameters():
            parameter.fill_(3.0)
    scheme_named("tfixup").initialize_(twice, torch.Generator().manual_seed(0))
    torch.testing.assert_close(twice.state_dict(), once.state_dict(), rtol=0, atol=0)
    other = _model("tfixup", seed=1).state_dict()
    assert not torch.equal(other["output"], once.state_dict()["output"])


def test_unknown_scheme():
    with pytest.raises(InputError, match="did you mean 'tfixup'"):
        build("tfixpu", SPEC, torch.Generator())
