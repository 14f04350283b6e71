"""Single blocks: what one step does to a block's own output, logits, and Eqs. 6–8's left sides."""

from dataclasses import replace

import pytest
import torch
from torch.func import functional_call

from numerics.evidence import blocks, expansion
from numerics.linearization.cotangents import random_cotangent
from numerics.models import ModelSpec
from numerics.models.attention import Attention
from numerics.models.tokens import random_batch
from numerics.schemes import build
from numerics.signals.branches import branch_calls, logits, logits_rms, own_step, own_steps
from numerics.signals.condition_norms import left_sides
from theory.claims import Context
from theory.errors import InputError

SPEC = ModelSpec(2, 1, d_model=8, d_ff=12, vocabulary=30)


def _calls(scheme="tfixup", spec=SPEC, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    model = build(scheme, spec, generator, dtype=dtype).eval()
    batch = random_batch(spec, generator, sequences=2, tokens=4)
    return model, branch_calls(model, lambda: model.features(batch.source_BS, batch.target_BT))


@pytest.mark.parametrize("scheme", ["tfixup", "pre-ln", "r-fixup"])
def test_a_call_repeats_what_the_branch_was_given(scheme):
    model, calls = _calls(scheme)
    assert [item.part for item in calls[-3:]] == [
        "decoder.self_attention",
        "decoder.cross_attention",
        "decoder.mlp",
    ]
    assert calls[3].layer == 1
    assert calls[-1].module is model.get_submodule("decoder.0.mlp.branch")
    assert calls[-2].memory_BSD is not calls[-2].read_BTD
    assert calls[-3].memory_BSD is calls[-3].read_BTD


def test_the_own_change_is_the_limit_of_a_step():
    _, calls = _calls()
    for item in calls:
        u = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        held = {n: p.detach().clone().requires_grad_() for n, p in item.module.named_parameters()}
        memory = item.memory_BSD.clone().requires_grad_()

        def output(theta, m, item=item):
            attends = isinstance(item.module, Attention)
            given = (item.read_BTD, m, item.blocked) if attends else (m,)
            return functional_call(item.module, theta, given)

        before = output(held, memory)
        slopes = torch.autograd.grad(before, [*held.values(), memory], u)
        eta = 1e-7
        stepped = {n: p - eta * g for (n, p), g in zip(held.items(), slopes, strict=False)}
        after = output(stepped, memory - eta * slopes[-1])
        found = own_step(item, u)
        assert found.change == pytest.approx(
            float((after - before).detach().norm()) / eta, rel=1e-4
        )
        assert found.gain == pytest.approx(sum(float(g.square().sum()) for g in slopes), rel=1e-10)


BY_LAYER = replace(SPEC, encoder_layers=3, norm=replace(SPEC.norm, by_layer=True))


@pytest.mark.parametrize(
    ("scheme", "spec"), [("tfixup", SPEC), ("sub-ln", SPEC), ("sub-ln", BY_LAYER)]
)
def test_all_blocks_at_once_are_each_block_alone(scheme, spec):
    _, calls = _calls(scheme, spec)
    generator = torch.Generator().manual_seed(1)
    cotangents = [random_cotangent(one.read_BTD.shape, generator)(one.read_BTD) for one in calls]
    together = own_steps(calls, cotangents)
    for called, u, found in zip(calls, cotangents, together, strict=True):
        alone = own_step(called, u)
        assert found.gain == pytest.approx(alone.gain, rel=1e-12)
        assert found.change == pytest.approx(alone.change, rel=1e-12)
    assert len({step.gain for step in together}) == len(calls)


def test_logits_reproduce_the_attention():
    _, calls = _calls()
    item = calls[0]
    assert isinstance(item.module, Attention)
    found = logits(item).view(2, 2, 4, 4)
    values = (item.memory_BSD @ item.module.in_proj[16:].T).view(2, 4, 2, 4).transpose(1, 2)
    mixed = (found.softmax(-1) @ values).transpose(1, 2).flatten(2)
    expected = item.module(item.read_BTD)
    torch.testing.assert_close(mixed @ item.module.out_proj.T, expected)


def test_logits_of_hidden_pairs_are_left_out():
    _, calls = _calls()
    assert [item.part for item in calls if isinstance(item.module, Attention)] == [
        *["encoder.attention"] * 2,
        "decoder.self_attention",
        "decoder.cross_attention",
    ]
    assert len(logits(calls[4])) == 2 * 2 * 10
    sizes = logits_rms(calls)
    assert set(sizes) == {
        "encoder.attention.0",
        "encoder.attention.1",
        "decoder.self_attention.0",
        "decoder.cross_attention.0",
    }
    assert all(size > 0 for size in sizes.values())


def test_left_sides_at_the_paper_s_scales_are_1_and_a_ninth():
    _, calls = _calls(spec=ModelSpec(12, 12, d_model=32, d_ff=32))
    found = left_sides(calls, "rms")
    assert found[6] == pytest.approx(1, rel=0.15)
    assert found[7] == pytest.approx(1, rel=0.15)
    assert found[8] == pytest.approx(1 / 9, rel=0.15)
    spectral = left_sides(calls, "spectral")
    assert all(spectral[number] > found[number] for number in found)
    with pytest.raises(InputError, match="unknown reading of a norm 'rsm': did you mean 'rms'"):
        left_sides(calls, "rsm")


def test_left_sides_move_with_the_scales():
    _, paper = _calls(spec=ModelSpec(12, 12, d_model=32, d_ff=32))
    _, squared = _calls("tfixup-adam", ModelSpec(12, 12, d_model=32, d_ff=32))
    assert left_sides(squared, "rms")[7] < 0.1 * left_sides(paper, "rms")[7]


def test_the_expansion_s_sign_is_decided_at_another_seed():
    printed, repaired = expansion.expansion(Context(seed=7))
    assert (printed.passed, printed.admissible) == (False, True)
    assert (repaired.passed, repaired.admissible) == (True, True)


def test_a_series_needs_both_intervals():
    depths = (6, 12, 24) * 3
    steady = blocks.DepthSeries(depths, tuple(2.0 / n for n in depths))
    assert steady.follows(-1.0, 0.1) is True
    assert steady.follows(0.0, 0.1) is False
    broken = blocks.DepthSeries(depths, (float("nan"), *(1.0 for _ in depths[1:])))
    assert broken.follows(0.0, 0.1) is False


def test_the_printed_sum_is_the_squared_gradient_of_one_block():
    spec = ModelSpec(1, 1, d_model=8, d_ff=12, vocabulary=30)
    generator = torch.Generator().manual_seed(0)
    model = build("tfixup", spec, generator, dtype=torch.float64).eval()
    batch = random_batch(spec, generator, sequences=2, tokens=4)
    found = blocks.decoder_sums(model, batch, torch.Generator().manual_seed(2))
    memory = model.encode(model.embed_source(batch.source_BS)).detach()
    output = model.decode(memory, model.embed_target(batch.target_BT).detach())
    u = random_cotangent(output.shape, torch.Generator().manual_seed(2))(output.detach())
    last = list(model.get_submodule("decoder.0.mlp").parameters())
    slopes = torch.autograd.grad(output, last, u)
    # Nothing follows the last block: its F is 1, and its term is the same in both sums.
    own = sum(float(slope.square().sum()) for slope in slopes)
    assert 0 < own < found.local
    assert found.exact > own
