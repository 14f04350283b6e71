import math

import pytest
import torch
from torch.nn import functional as F

from numerics.evidence import xiong
from numerics.models import WIRINGS, ModelSpec
from numerics.models.tokens import random_batch
from numerics.models.xiong_encoder import redraw_, unit_tokens, xiong_encoder
from numerics.schemes import build
from numerics.signals.gradients import matrix_gradients, norms_by_layer
from numerics.signals.residual_stream import norm_inputs, sites, stream_gradients
from theory.claims import Context

NAMES = dict.fromkeys("qkv", "in_proj")
SPEC = ModelSpec(2, 1, d_model=8, d_ff=12, vocabulary=30)


def _model(scheme):
    generator = torch.Generator().manual_seed(0)
    model = build(scheme, SPEC, generator, dtype=torch.float64).eval()
    batch = random_batch(SPEC, generator, sequences=2, tokens=3)
    return model, lambda: model.features(batch.source_BS, batch.target_BT)


def test_post_ln_sites_add_up_and_norms_read_the_sums():
    model, call = _model("post-ln")
    found, norms = sites(model, call), norm_inputs(model, call)
    assert [site.name for site in found] == [
        *(f"encoder.{i}.{kind}" for i in (0, 1) for kind in ("attention", "mlp")),
        *(f"decoder.0.{kind}" for kind in ("self_attention", "cross_attention", "mlp")),
    ]
    for site in found:
        total = site.before + site.branch
        torch.testing.assert_close(site.after, F.layer_norm(total, (8,)))
        torch.testing.assert_close(norms[f"{site.name}.norm"], total.square().sum(-1))
    torch.testing.assert_close(found[-1].after, call())
    torch.testing.assert_close(found[1].before, found[0].after)


def test_pre_ln_norms_read_the_stream_itself():
    model, call = _model("pre-ln")
    found, norms = sites(model, call), norm_inputs(model, call)
    for site in found:
        torch.testing.assert_close(site.after, site.before + site.branch)
        torch.testing.assert_close(norms[f"{site.name}.norm"], site.before.square().sum(-1))
    torch.testing.assert_close(norms["decoder_norm"], found[-1].after.square().sum(-1))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


@pytest.mark.parametrize("scheme", ["post-ln", "tfixup"])
def test_matrix_gradients_are_the_slopes_along_each_matrix(scheme):
    model, call = _model(scheme)
    u = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = matrix_gradients(model, call, u)
    assert len(rows) == 2 * 6 + 10
    for role in ("encoder.attention.k", "decoder.cross_attention.v", "encoder.mlp.w1"):
        row = next(row for row in rows if row.role == role)
        part, letter = role.rsplit(".", 1)
        stack, block = part.split(".")
        whole = model.get_parameter(f"{stack}.0.{block}.branch.{NAMES.get(letter, letter)}")
        tensor = whole if letter == "w1" else whole.chunk(3)["qkv".index(letter)]
        direction = torch.randn(
            row.value.shape, generator=torch.Generator().manual_seed(2)
        ).double()
        values = []
        with torch.no_grad():
            for step in (1e-6, -2e-6):
                tensor += step * direction
                values.append(float((call() * u).sum()))
            tensor += 1e-6 * direction
        slope = (values[0] - values[1]) / 2e-6
        assert slope == pytest.approx(float((row.value * direction).sum()), rel=1e-5)
    assert len(norms_by_layer(rows, "encoder.mlp.w2")) == 2


def test_stream_gradients_are_those_of_a_perturbed_stream():
    model, call = _model("tfixup")
    u = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = stream_gradients(model, call, u)
    push = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    values = []
    for step in (1e-6, -1e-6):
        block = model.get_submodule("decoder.0.cross_attention")
        handle = block.register_forward_pre_hook(
            lambda _, given, moved=step * push: (given[0] + moved, *given[1:])
        )
        with torch.no_grad():
            values.append(float((call() * u).sum()))
        handle.remove()
    slope = (values[0] - values[1]) / 2e-6
    exact = float((found["decoder.0.cross_attention"] * push).sum())
    assert slope == pytest.approx(exact, rel=1e-5)
    torch.testing.assert_close(found["output"], u)


def test_xiong_s_network_averages_the_tokens_and_has_lemma_2_s_norms():
    generator = torch.Generator().manual_seed(0)
    model = xiong_encoder(1, 256, WIRINGS["post-ln"], generator)
    x = unit_tokens(1, 5, 256, generator)
    first = sites(model, lambda: model.encode(x))[0]
    torch.testing.assert_close(first.branch, first.branch.mean(1, keepdim=True).expand_as(x))
    value = model.get_parameter("encoder.0.attention.branch.in_proj")[512:]
    torch.testing.assert_close(first.branch[0, 0], value @ x[0].mean(0))
    found = norm_inputs(model, lambda: model.encode(x))
    assert float(found["encoder.0.mlp.norm"].mean()) / 256 == pytest.approx(1.5, rel=0.1)
    assert float(found["encoder.0.attention.norm"].mean()) / 256 == pytest.approx(1.2, rel=0.1)


def test_without_layer_norm_the_stream_grows_by_three_halves_a_layer():
    generator = torch.Generator().manual_seed(0)
    growth = []
    for _ in range(20):
        model = xiong_encoder(3, 64, WIRINGS["none"], generator)
        x = unit_tokens(1, 1, 64, generator)
        growth.append(float(model.encode(x).detach().square().sum()) / 64)
    # One token: attention doubles, the MLP multiplies by 3/2.
    assert math.log(sum(growth) / 20) == pytest.approx(3 * math.log(3), rel=0.15)


@pytest.mark.parametrize("provider", [xiong.lemma1, xiong.decay], ids=lambda p: p.claims[0])
def test_evidence_is_admissible_at_another_seed(provider):
    for item in provider(Context(seed=7)):
        assert item.admissible, item.summary


def test_a_last_gradient_is_that_of_the_matrix_alone():
    (found,) = xiong.last_gradients(2, 8, WIRINGS["pre-ln"], 3, 1)
    generator = torch.Generator().manual_seed(3)
    model = xiong_encoder(2, 8, WIRINGS["pre-ln"], generator)
    redraw_(model, generator)
    x = unit_tokens(xiong.SEQUENCES, xiong.TOKENS, 8, generator)
    slopes = torch.randn(xiong.SEQUENCES, 8, generator=generator, dtype=torch.float64)
    norms = []
    for row, slope in enumerate(slopes):
        u = torch.zeros_like(x)
        u[row, 0] = slope / slope.norm() * 8**0.5
        rows = matrix_gradients(model, lambda: model.encode(x), u)
        norms.append(norms_by_layer(rows, "encoder.mlp.w2")[-1])
    assert found == pytest.approx(sum(norms) / len(norms), rel=1e-9)
