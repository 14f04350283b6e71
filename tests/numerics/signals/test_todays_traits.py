"""Every signal and measurement on all schemes and traits of today: right, or refused by name."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from numerics.linearization.groupings import INNER_BIASES, OUTPUT_BIASES, REST
from numerics.measure.attention_gain import AttentionPoint, gain, q_bar
from numerics.measure.finite_updates import finite_update
from numerics.measure.output_biases import bias_tangents
from numerics.measure.updates import measure_update
from numerics.models.attention import Attention
from numerics.models.roles import matrices
from numerics.models.tokens import random_batch
from numerics.prediction.network import network_of
from numerics.schemes import SCHEMES
from numerics.signals.branches import branch_calls, logits
from numerics.signals.coherence import align_, alignment, set_coherence_, value_product
from numerics.signals.gradients import matrix_gradients
from numerics.signals.histograms import adam_histograms, gradient_histograms
from numerics.signals.layer_dependency import dependency
from numerics.signals.output_change import perturbed, predicted_change
from numerics.signals.residual_stream import norm_inputs, sites, stream_gradients
from numerics.sweeps.memory import _block_weights
from tests.numerics.signals.todays_models import (
    CASES,
    DEPTH,
    HIDDEN,
    TRAITS,
    WIDTH,
    generator,
    stream_input,
    todays_model,
)
from theory.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script.:DeprecationWarning")


def cotangent():
    u = stream_input(4)
    return u / u.norm()


@pytest.mark.parametrize("case", CASES)
def test_gradients_by_matrix_are_those_of_backward(case):
    model, x, u = todays_model(case), stream_input(), cotangent()
    rows = matrix_gradients(model, lambda: model.encode(x), u)
    (model.encode(x) * u).sum().backward()
    whole = dict(model.named_parameters())
    for row, matrix in zip(rows, matrices(model), strict=True):
        assert (row.role, row.layer) == (matrix.role, matrix.layer)
        own = whole[matrix.parameter].grad
        assert own is not None
        if matrix.parameter.endswith("in_proj"):
            first = "qkv".index(matrix.role[-1]) * WIDTH
            own = own[first : first + WIDTH]
        assert_close(row.value, own)
        assert row.value.shape == matrix.tensor.shape
    assert rows[0].value.norm() != pytest.approx(float(rows[1].value.norm()), rel=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_histograms_count_every_entry_and_adams_first_updates_are_one(case):
    model, x, u = todays_model(case), stream_input(), cotangent()
    rows = matrix_gradients(model, lambda: model.encode(x), u)
    plain = gradient_histograms(rows)
    entries: dict[str, int] = {}
    for matrix in matrices(model):
        entries[matrix.role] = entries.get(matrix.role, 0) + matrix.tensor.numel()
    assert {role: found.total for role, found in plain.items()} == entries
    for role, found in adam_histograms([rows]).items():
        assert abs(found.median) < 0.3, role
        assert plain[role].median < -0.3


@pytest.mark.parametrize("case", CASES)
def test_the_streams_gradients_are_those_of_a_moved_stream(case):
    model, x, u = todays_model(case), stream_input().requires_grad_(), cotangent()
    slopes = stream_gradients(model, lambda: model.encode(x), u)
    direction, eta = stream_input(6), 1e-6
    for layer in (0, DEPTH - 1):
        block = model.get_submodule(f"encoder.{layer}.mlp")

        def moved(sign, block=block):
            def shift(_, arguments, named):
                if named.get("onto") is not None:
                    return arguments, {**named, "onto": named["onto"] + sign * eta * direction}
                return (arguments[0] + sign * eta * direction, *arguments[1:]), named

            handle = block.register_forward_pre_hook(shift, with_kwargs=True)
            with torch.no_grad():
                value = float((model.encode(x) * u).sum())
            handle.remove()
            return value

        slope = float((slopes[f"encoder.{layer}.mlp"] * direction).sum())
        assert (moved(1) - moved(-1)) / (2 * eta) == pytest.approx(slope, rel=1e-5)
    norms = list(norm_inputs(model, lambda: model.encode(x)))
    assert norms[-1:] == ([] if case == "skip-init" else ["encoder_norm"])


def added_by(model, x) -> list[tuple[Tensor, Tensor]]:
    """x_i and what block i adds to its shortcut, from inputs and outputs of modules alone."""
    found = []
    for site in sites(model, lambda: model.encode(x)):
        factor = site.block.shortcut if model.spec.wiring.shortcut.value == "fixed" else 1.0
        total = site.after
        if site.block.wiring.norm_after:
            seen: list[Tensor] = []
            norm = site.block.norm
            assert norm is not None
            handle = norm.register_forward_pre_hook(_collector(seen))
            with torch.no_grad():
                site.block(site.before, *site.context)
            handle.remove()
            total = seen[-1]
        found.append((total.detach(), (total - factor * site.before).detach()))
    return found


def _collector(seen: list[Tensor]):
    def read(_: object, arguments: tuple[Tensor, ...]) -> None:
        seen.append(arguments[0])

    return read


@pytest.mark.parametrize("case", CASES)
def test_own_weights_are_those_of_what_blocks_add(case):
    model, x = todays_model(case), stream_input()
    found = dependency(sites(model, lambda: model.encode(x)))
    for own, (total, added) in zip(found.own, added_by(model, x), strict=True):
        expected = float(added.var(correction=0) / total.var(correction=0))
        assert own == pytest.approx(expected, rel=1e-9)
        assert own != pytest.approx(4 * expected, rel=0.1)


def test_a_dependency_of_branches_that_start_at_0_is_refused():
    for case in ("zero-out", "skip-init"):
        model = todays_model(case, shaken=False, biases=False)
        with pytest.raises(InputError, match="branches that vary"):
            dependency(sites(model, lambda m=model: m.encode(stream_input())))
    model = todays_model("skip-init", shaken=False)
    with pytest.raises(InputError, match="got 0 for every matrix"):
        perturbed(model, "gradient", 1e-3, generator(), stream_input())


@pytest.mark.parametrize("case", CASES)
def test_a_blocks_predicted_share_is_what_its_sum_changes_by(case):
    model, x = todays_model(case), stream_input()
    other = perturbed(model, "gaussian", 1e-3, generator(2))
    before = sites(model, lambda: model.encode(x))
    after = sites(other, lambda: other.encode(x))
    total, shares = predicted_change(before, after)
    weights = dependency(before)
    for site, moved, share, variance in zip(before, after, shares, weights.branches, strict=True):
        if site.block.wiring.norm_after:
            continue
        given = {"onto": site.before} if case.startswith("parallel") else {}
        if not given:
            read = site.before
        else:
            read = site.read if case == "parallel" else _layers_input(before, site)
        with torch.no_grad():
            now = moved.block(read, *site.context, **given)
        expected = float((now - site.after).detach().square().mean()) / variance
        assert share == pytest.approx(expected, rel=1e-6)
    assert total == pytest.approx(
        sum(own * share for own, share in zip(weights.own, shares, strict=True))
    )


def _layers_input(before, site):
    """What both blocks of a parallel layer read: the stream that enters its attention."""
    return next(one.before for one in before if one.layer == site.layer)


@pytest.mark.parametrize("case", CASES)
def test_a_finite_step_moves_f_by_the_exact_limit(case):
    model = todays_model(case)
    batch = random_batch(model.spec, generator(1), sequences=2, tokens=3)
    exact = measure_update(model, batch, generator(2), dtype="float64").update["total"]
    assert finite_update(model, batch, generator(2), eta=1e-8 / exact) == pytest.approx(
        exact, rel=1e-4
    )


@pytest.mark.parametrize("case", CASES)
def test_biases_move_f_as_finite_steps_of_them_alone(case):
    model, u = todays_model(case), cotangent()
    batch = random_batch(model.spec, generator(1), sequences=2, tokens=4)
    tangents = bias_tangents(model, batch, lambda _: u)
    model.zero_grad()

    def f():
        return model.features(batch.source_BS, batch.target_BT)

    (f() * u).sum().backward()
    kinds = {OUTPUT_BIASES: ("out_bias", "bias2"), INNER_BIASES: ("_bias", "bias1", "bias3")}
    eta, done = 1e-6, set()
    for kind, ends in kinds.items():
        own = {
            n: p
            for n, p in model.named_parameters()
            if n.split(".")[-1].endswith(ends) and n not in done and ".branch." in n
        }
        done |= set(own)
        values = []
        with torch.no_grad():
            for sign in (-1, 2):
                for p in own.values():
                    assert p.grad is not None
                    p.add_(sign * eta * p.grad)
                values.append(f())
            for p in own.values():
                assert p.grad is not None
                p.sub_(eta * p.grad)
        assert_close((values[0] - values[1]) / (2 * eta), tangents[kind], rtol=1e-4, atol=1e-7)
        assert not torch.allclose(tangents[kind], tangents[REST], rtol=1e-2)


@pytest.mark.parametrize("case", [case for case in CASES if case != "sub-ln"])
def test_attention_to_one_token_is_its_value_product(case):
    model = todays_model(case, biases=False)
    attention = model.encoder[0].attention.branch
    y = stream_input()[:, :1]
    assert_close(attention(y), y @ value_product(attention).T)
    assert not torch.allclose(attention(y), y @ value_product(attention), rtol=1e-3)
    assert alignment(model, "encoder").strength > 0


def test_what_needs_heads_of_its_own_says_so_of_grouped_ones():
    model, x = todays_model("grouped", biases=False), stream_input()
    attention = model.encoder[0].attention.branch
    message = "keys and values of every head's own, got 1 heads of keys for 2"
    with pytest.raises(InputError, match=f"aligned product needs {message}"):
        align_(model)
    with pytest.raises(InputError, match=message):
        set_coherence_(attention, 0.5, 1.0, generator())
    point = AttentionPoint(attention, x[0], x[1])
    with pytest.raises(InputError, match=f"the theorem on attention needs {message}"):
        q_bar(point)
    assert gain(point) > 0  # differentiated automatically, whatever the heads


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("rotary", "got rotary positions"),
        ("olmo2", "got QK-norm"),
        ("t5", "got logits times d'"),
        ("sub-ln", "got a norm before w"),
    ],
)
def test_the_theorem_on_attention_refuses_what_is_not_eq_5(case, message):
    model, x = todays_model(case, biases=False), stream_input()
    with pytest.raises(InputError, match=message):
        AttentionPoint(model.encoder[0].attention.branch, x[0], x[1]).split()


@pytest.mark.parametrize("case", ["grouped", "rotary", "olmo2", "t5", "zero-out", "u-mup"])
def test_logits_are_those_behind_the_weights_of_the_softmax(case):
    """Differences of the logarithms of attention's weights, read off what one-hot values give."""
    model, x = todays_model(case, biases=False), stream_input()
    call = branch_calls(model, lambda: model.encode(x))[0]
    module = call.module
    assert isinstance(module, Attention)
    q, k, v = module.heads_of(call.read_BTD, None)
    own = logits(call).reshape(*q.shape[:3], k.shape[-2])
    one_hot = torch.eye(k.shape[-2], dtype=v.dtype).expand(*v.shape[:2], -1, -1)
    scale = q.shape[-1] ** module.traits.power
    weights = torch.nn.functional.scaled_dot_product_attention(q, k, one_hot, scale=scale)
    found = weights.log() - weights.log().mean(-1, keepdim=True)
    assert_close(own - own.mean(-1, keepdim=True), found)
    assert not torch.allclose(2 * own - 2 * own.mean(-1, keepdim=True), found, rtol=1e-2)


@pytest.mark.parametrize("case", CASES)
def test_the_memory_estimate_counts_the_weights_that_there_are(case):
    model = todays_model(case, biases=False)
    for kind in ("attention", "mlp"):
        own = sum(
            matrix.tensor.numel()
            for matrix in matrices(model)
            if matrix.role.startswith(f"encoder.{kind}.") and matrix.layer == 0
        )
        assert _block_weights(model.spec, kind) == own
    assert HIDDEN != WIDTH


@pytest.mark.parametrize("trait", [t for t in TRAITS if t != "parallel-two-norms"])
def test_a_prediction_refuses_in_one_line_what_it_does_not_cover(trait):
    from dataclasses import replace

    from numerics.models import ModelSpec

    spec = todays_model(trait, biases=False).spec
    both = replace(
        ModelSpec(2, 2, d_model=WIDTH, d_ff=HIDDEN, vocabulary=20),
        attention=spec.attention,
        mlp=spec.mlp,
        norm=spec.norm,
        positions=spec.positions,
    )
    scheme = replace(SCHEMES["flat"], wiring=spec.wiring)
    with pytest.raises(InputError) as refused:
        network_of(scheme, both)
    assert "\n" not in str(refused.value)
    assert "a prediction" in str(refused.value)
