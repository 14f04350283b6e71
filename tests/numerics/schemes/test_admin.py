"""Admin's ω: closed forms, and profiles against a forward pass of the test's own."""

import dataclasses
import math

import pytest
import torch

from numerics.models import ModelSpec
from numerics.models.blocks import residual_blocks
from numerics.schemes import build, scheme_named
from numerics.schemes.admin import log_omega
from numerics.schemes.profiling import profiling_batch

SMALL = ModelSpec(3, 2, d_model=16, d_ff=24, vocabulary=40)


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _model(name, seed=0, spec=SMALL):
    return build(name, spec, _generator(seed), dtype=torch.float64)


def test_admin_torchs_published_numbers():
    published = {12: 2.0170, 36: 3.0408, 200: 6.0746, 600: 9.6399}
    for blocks, omega in published.items():
        assert log_omega(blocks) == pytest.approx(omega, abs=5e-5)
    spec = ModelSpec(6, 12, d_model=8, d_ff=8, vocabulary=9)
    expected = {"admin-log": (2.0170, 3.0408), "admin-sqrt": (12**0.5, 6), "admin-one": (1, 1)}
    for name, (encoder, decoder) in expected.items():
        model = _model(name, spec=spec)
        for stack, blocks, value in (("encoder", 12, encoder), ("decoder", 36, decoder)):
            omegas = _omegas(model, stack)
            assert len(omegas) == blocks
            for omega in omegas:
                assert omega.unique().item() == pytest.approx(value, abs=5e-5)


def _branches_and_sums(model, batch):
    """Var[f_i], Var[ω_i x_{i−1}] of the encoder's blocks, by a forward pass of its own."""
    x = model.embed_source(batch.source_BS)
    found = []
    for layer in model.encoder:
        for block in (layer.attention, layer.mlp):
            branch, skip = block.branch(x), block.omega * x
            found.append((branch.var(correction=0).item(), skip.var(correction=0).item()))
            x = block.norm(skip + branch)
    return found


def _omegas(model, stack="encoder"):
    blocks = [block for name, *_, block in residual_blocks(model) if name == stack]
    return [block.omega.detach() for block in blocks if block.omega is not None]


def test_admin_code_is_its_recurrence():
    model = _model("admin-one", spec=SMALL)
    scheme_named("admin-code").profile_(model, _generator(5))
    omegas = _omegas(model)
    found = _branches_and_sums(model, profiling_batch(model, _generator(5)))
    assert omegas[0].unique().item() == 1
    for omega, (branch, skip) in zip(omegas[1:], found[:-1], strict=True):
        assert omega.unique().item() == pytest.approx((branch + skip) ** 0.5, rel=1e-9)
        assert omega.unique().item() != pytest.approx(branch**0.5, rel=1e-2)
    assert _omegas(model, "decoder")[0].unique().item() == 1
    assert _omegas(model, "decoder")[1].unique().item() > 1


def test_admin_of_the_paper_is_its_sum():
    plain, model = _model("admin-one", spec=SMALL), _model("admin-one", spec=SMALL)
    scheme_named("admin").profile_(model, _generator(5))
    found = _branches_and_sums(plain, profiling_batch(plain, _generator(5)))
    total = 0.0
    omegas = _omegas(model)
    assert omegas[0].unique().item() == 1
    for omega, (branch, _) in zip(omegas[1:], found[:-1], strict=True):
        total += branch
        assert omega.unique().item() == pytest.approx(total**0.5, rel=1e-9)
    _, x0 = found[0]
    assert omegas[1].unique().item() != pytest.approx((found[0][0] + x0) ** 0.5, rel=1e-2)


def test_admins_profile_grows_as_the_published_one():
    """ω of 100 + 100 layers published with admin-torch, another task and width: ω ~ √i."""
    published = {50: 4.280117988586426, 200: 8.836019515991211}
    spec = ModelSpec(100, 1, d_model=16, d_ff=32, vocabulary=50)
    omegas = [float(omega[0]) for omega in _omegas(_model("admin-code", spec=spec))]
    slope = math.log(omegas[199] / omegas[49]) / math.log(4)
    assert slope == pytest.approx(math.log(published[200] / published[50]) / math.log(4), abs=0.08)
    assert slope == pytest.approx(0.5, abs=0.08)


def test_profiling_is_seeded_and_in_training_mode():
    spec = dataclasses.replace(SMALL, dropout=0.5)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, again = (_model("admin-code", spec=spec) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(first.state_dict(), again.state_dict(), rtol=0, atol=0)
    without = _model("admin-code", spec=SMALL)
    assert not torch.allclose(_omegas(first)[2], _omegas(without)[2], rtol=1e-2)
    assert first.training
    assert not any(module._forward_hooks for module in first.modules())
