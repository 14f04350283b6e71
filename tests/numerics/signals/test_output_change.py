from functools import partial

import numpy as np
import pytest
import torch

from numerics.evidence import admin
from numerics.models import Architecture, ModelSpec
from numerics.models.roles import matrices
from numerics.schemes import build
from numerics.signals.layer_dependency import dependency
from numerics.signals.output_change import output_change, perturbed, predicted_change
from numerics.signals.residual_stream import sites
from theory.claims import Context
from theory.errors import InputError
from theory.layer_norm.amplification import dependency as weights_of
from theory.layer_norm.amplification import post_ln, pre_ln


def _encoder(scheme, depth=4, width=128, seed=0):
    generator = torch.Generator().manual_seed(seed)
    spec = ModelSpec(
        depth,
        0,
        d_model=width,
        d_ff=2 * width,
        vocabulary=2,
        architecture=Architecture.ENCODER_ONLY,
    )
    model = build(scheme, spec, generator, dtype=torch.float64).eval()
    return model, torch.randn(16, 2, width, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("scheme", "shortcuts"), [("post-ln", post_ln), ("pre-ln", pre_ln)])
def test_correlations_are_the_theory_s_weights_of_the_measured_variances(scheme, shortcuts):
    model, x = _encoder(scheme)
    with torch.no_grad():
        found = dependency(sites(model, partial(model.encode, x)))
    rows = weights_of(shortcuts(found.branches), found.branches)
    exact = np.array(
        [[float(row[j + 1]) if j < len(row) - 1 else 0 for j in range(8)] for row in rows[1:]]
    )
    np.testing.assert_allclose(found.correlations.numpy(), exact, atol=0.08)
    np.testing.assert_allclose(found.own, np.diag(exact), rtol=0.12)
    assert found.amplification == pytest.approx(sum(found.own))


def test_sizes_of_the_changes_are_those_asked_for():
    model, x = _encoder("post-ln", depth=2, width=32)
    generator = torch.Generator().manual_seed(1)
    old = [matrix.tensor.detach().clone() for matrix in matrices(model)]

    def deltas(kind, size):
        other = perturbed(model, kind, size, generator, x)
        return [m.tensor.detach() - w for m, w in zip(matrices(other), old, strict=True)]

    for delta, weight in zip(deltas("gaussian", 1e-3), old, strict=True):
        assert float(delta.norm() / weight.norm()) == pytest.approx(1e-3, rel=0.1)
    for delta in deltas("sign", 1e-4):
        torch.testing.assert_close(delta.abs(), torch.full_like(delta, 1e-4), rtol=1e-9, atol=0)
    along = deltas("gradient", 1e-5)
    norms = [sum(float(t.square().sum()) for t in group) ** 0.5 for group in (along, old)]
    assert norms[0] / norms[1] == pytest.approx(1e-5, rel=1e-6)
    for weight, matrix in zip(old, matrices(model), strict=True):
        torch.testing.assert_close(weight, matrix.tensor.detach())


def test_a_step_against_the_gradient_lowers_what_the_cotangent_reads():
    model, x = _encoder("pre-ln", depth=2, width=32)
    seed = 5
    other = perturbed(model, "gradient", 1e-5, torch.Generator().manual_seed(seed), x)
    u = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    with torch.no_grad():
        assert float(((other.encode(x) - model.encode(x)) * u).sum()) < 0
    assert output_change(model, other, x) > 0


def test_one_block_s_change_is_the_share_times_its_own_weight():
    # Layer norm's projector takes 1/d, and no earlier block passes anything on.
    model, x = _encoder("post-ln", depth=1)
    other = perturbed(model, "gaussian", 1e-4, torch.Generator().manual_seed(2))
    with torch.no_grad():
        other.get_parameter("encoder.0.attention.branch.in_proj").copy_(
            model.get_parameter("encoder.0.attention.branch.in_proj")
        )
        other.get_parameter("encoder.0.attention.branch.out_proj").copy_(
            model.get_parameter("encoder.0.attention.branch.out_proj")
        )
        before, after = (sites(one, partial(one.encode, x)) for one in (model, other))
    predicted, shares = predicted_change(before, after)
    assert shares[0] == 0
    assert shares[1] == pytest.approx(2e-8, rel=0.2)
    assert output_change(model, other, x) == pytest.approx(predicted, rel=0.05)


def test_evidence_is_admissible_at_another_seed():
    for item in admin.gradients(Context(seed=7)):
        assert item.admissible, item.summary


def test_the_change_is_measured_against_its_prediction():
    assert admin.change_ratio("post-ln", "gaussian", 1e-4, 3) == pytest.approx(1, abs=0.4)
    assert admin.change_ratio("post-ln", "gradient", 1e-5, 3) > 5


def test_bad_changes_are_refused():
    model, x = _encoder("post-ln", depth=1, width=8)
    generator = torch.Generator()
    with pytest.raises(InputError, match="did you mean 'gaussian'"):
        perturbed(model, "gausian", 1.0, generator)
    with pytest.raises(InputError, match="positive and finite, got 0"):
        perturbed(model, "sign", 0.0, generator)
    with pytest.raises(InputError, match="needs an input x"):
        perturbed(model, "gradient", 1e-3, generator)
    with pytest.raises(InputError, match="at least one residual block"):
        dependency(())
    assert x.shape == (16, 2, 8)
