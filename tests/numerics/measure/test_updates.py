import dataclasses

import pytest
import torch
from torch.func import jacrev

from numerics.linearization.autodiff import linearize
from numerics.linearization.cotangents import cross_entropy_cotangent, random_cotangent
from numerics.linearization.groupings import Piece
from numerics.linearization.measured_function import check_inputs, features_of
from numerics.linearization.types import Linearization
from numerics.linearization.update_directions import step_rule_named
from numerics.measure.updates import measure_update, summed
from numerics.models import ModelSpec, Positions, Transformer
from numerics.models.roles import ALL_PARTS, contains, part_of
from numerics.models.tokens import TokenBatch, random_batch
from numerics.schemes import build
from numerics.statistics.tolerances import tolerance
from tests.numerics.linearized import linearized
from theory.errors import InputError

# The first `torch.func.jvp` of a process compiles decompositions with the old compiler.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script.:DeprecationWarning")

TINY = ModelSpec(2, 1, d_model=4, d_ff=6, heads=2, vocabulary=7)


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _shaken(scheme, spec, dtype=torch.float64):
    """A model whose biases, layer norms and unscaled matrices are all away from 0 and 1."""
    model = build(scheme, spec, _generator(), dtype=dtype)
    generator = _generator(5)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.1 * noise)
    return model


def _padded_batch(spec):
    batch = random_batch(spec, _generator(1), sequences=3, tokens=5)
    padding = torch.zeros(3, 5, dtype=torch.bool)
    padding[1, 3:] = True
    return TokenBatch(batch.source_BS, batch.target_BT[:, :4], padding)


@pytest.mark.parametrize("inputs", ["free", "table"])
@pytest.mark.parametrize("optimizer", ["sgd", "sign"])
@pytest.mark.parametrize("scheme", ["tfixup", "post-ln", "pre-ln"])
def test_exact_limit_against_the_dense_jacobian(scheme, optimizer, inputs):
    model = _shaken(scheme, TINY).eval()
    batch = random_batch(TINY, _generator(1), sequences=2, tokens=3)
    function, parameters = features_of(model, batch, inputs)
    u = random_cotangent((2, 3, 4), _generator(2))
    jacobian = jacrev(function)(parameters)
    moves = {}
    for name, block in jacobian.items():
        rows = block.reshape(24, -1)
        gradient = rows.T @ u(rows).flatten()
        moves[name] = (rows @ step_rule_named(optimizer)(gradient), gradient.square().sum())
    report = measure_update(
        model, batch, _generator(2), optimizer=optimizer, inputs=inputs, dtype="float64"
    )
    for part in ALL_PARTS:
        own = [value for name, value in moves.items() if contains(part, part_of(name))]
        expected = torch.stack([move for move, _ in own]).sum(0).norm()
        assert report.update[part] == pytest.approx(float(expected), rel=1e-9)
        energy = sum(float(value) for _, value in own)
        assert report.gradient_energy[part] == pytest.approx(energy, rel=1e-9)


def test_dense_jacobian_check_rejects_a_wrong_part():
    model = _shaken("tfixup", TINY)
    report = measure_update(model, random_batch(TINY, _generator(1)), _generator(2))
    parts = [part for part in ALL_PARTS if part.count(".") or part == "embeddings"]
    summed_norms = sum(report.update[part] ** 2 for part in parts) ** 0.5
    assert report.update["total"] != pytest.approx(summed_norms, rel=1e-3)


@pytest.mark.usefixtures("heads")
@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("inputs", ["free", "table"])
@pytest.mark.parametrize("optimizer", ["sgd", "sign"])
@pytest.mark.parametrize("scheme", ["tfixup", "post-ln", "pre-ln"])
def test_layered_engine_against_automatic_differentiation(scheme, optimizer, inputs, biases):
    spec = ModelSpec(
        3, 2, d_model=8, d_ff=12, vocabulary=20, biases=biases, positions=Positions.SINUSOIDAL
    )
    model, batch = _shaken(scheme, spec), _padded_batch(spec)
    plain, layered = (
        measure_update(
            model,
            batch,
            _generator(2),
            optimizer=optimizer,
            inputs=inputs,
            engine=engine,
            dtype="float64",
        )
        for engine in ("autodiff", "closed-form")
    )
    for field in ("update", "gradient_energy"):
        assert getattr(layered, field) == pytest.approx(
            getattr(plain, field), rel=tolerance("closed-form")
        )
    assert layered.output_rms_ratio == pytest.approx(plain.output_rms_ratio, rel=1e-12)


def test_layered_tangents_are_vectors_not_only_norms():
    model, batch = _shaken("pre-ln", TINY).eval(), _padded_batch(TINY)
    u = random_cotangent((3, 4, 4), _generator(2))
    plain, layered = (
        linearized(model, batch, u, engine=engine) for engine in ("autodiff", "closed-form")
    )
    order = [layered.groups.index(part) for part in plain.groups]
    torch.testing.assert_close(layered.tangents[order], plain.tangents, rtol=1e-10, atol=1e-12)
    wrong = torch.roll(layered.tangents[order], 1, 0)
    assert not torch.allclose(wrong, plain.tangents, rtol=1e-3)


def test_the_total_alone_is_the_sum_of_the_parts():
    model, batch = _shaken("pre-ln", TINY).eval(), _padded_batch(TINY)
    u = random_cotangent((3, 4, 4), _generator(2))
    parts = linearized(model, batch, u, optimizer="sign")
    total = linearized(model, batch, u, optimizer="sign", groups="total")
    torch.testing.assert_close(total.tangents[0], parts.tangents.sum(0))
    torch.testing.assert_close(total.energies[0], parts.energies.sum())


def test_worked_example_of_a_unit_cotangent():
    """d = 64, ff = 128, 2 heads, 8 × 16 tokens, T-Fixup, embeddings not multiplied."""
    spec = ModelSpec(12, 12, embedding_multiplier=1.0)
    reports = []
    for seed in range(3):
        model = build("tfixup", spec, _generator(seed))
        reports.append(
            measure_update(model, random_batch(spec, _generator(9 + seed)), _generator(20 + seed))
        )
    mean = {part: sum(report.gradient_energy[part] for report in reports) / 3 for part in ALL_PARTS}
    assert mean["decoder"] == pytest.approx(0.245, abs=0.02)
    assert mean["encoder"] == pytest.approx(0.010, abs=0.003)
    assert mean["total"] == pytest.approx(1.34, abs=0.04)
    assert sum(report.output_rms_ratio for report in reports) / 3 == pytest.approx(1.042, abs=0.01)
    assert sum(report.update["total"] for report in reports) / 3 == pytest.approx(1.68, abs=0.08)


def test_float32_overflow_is_measured_in_float64():
    spec = ModelSpec(8, 8, d_model=8, d_ff=16, vocabulary=20)
    model = build("xavier", spec, _generator())
    with torch.no_grad():
        model.target_embedding.mul_(1e30)
    batch = random_batch(spec, _generator(1), sequences=2, tokens=4)
    narrow = measure_update(model, batch, _generator(2), dtype="float32")
    assert not narrow.finite
    wide = measure_update(model, batch, _generator(2))
    assert (wide.finite, wide.dtype) == (True, "float64")


def test_norms_survive_where_their_squares_overflow():
    tangents = torch.tensor([[3e200, 4e200], [0.0, 0.0]], dtype=torch.float64)
    energies = torch.ones(2, dtype=torch.float64)
    found = Linearization(
        ("embeddings", "decoder.mlp"), tangents[0], tangents, energies, torch.ones(())
    )
    update = dict(zip(ALL_PARTS, summed(found)[0].tolist(), strict=True))
    assert update["total"] == pytest.approx(5e200)
    assert (update["decoder"], update["encoder"]) == (0, 0)
    assert not torch.isfinite(tangents.square().sum())


def test_what_float64_cannot_hold_is_reported():
    spec = ModelSpec(2, 2, d_model=8, d_ff=16, vocabulary=20)
    model = build("xavier", spec, _generator())
    with torch.no_grad():
        model.get_parameter("decoder.0.mlp.branch.w1").fill_(float("inf"))
    batch = random_batch(spec, _generator(1), sequences=2, tokens=4)
    report = measure_update(model, batch, _generator(2))
    assert (report.finite, report.dtype) == (False, "float64")


@pytest.mark.parametrize("engine", ["closed-form", "autodiff"])
@pytest.mark.parametrize("scheme", ["tfixup", "post-ln", "pre-ln"])
@pytest.mark.parametrize("inputs", ["free", "table"])
def test_everything_stays_on_the_models_device(scheme, engine, inputs):
    """The meta device holds no numbers: a tensor made elsewhere, or a read, is an error."""
    spec = ModelSpec(2, 2, d_model=8, d_ff=16, vocabulary=20, positions=Positions.SINUSOIDAL)
    model = build(scheme, spec, _generator(), device="meta")
    batch = _padded_batch(spec).to("meta")
    u = random_cotangent((3, 4, 8), _generator())
    found = linearized(model, batch, u, inputs=inputs, engine=engine)
    update, energy = summed(found)
    assert update.device.type == energy.device.type == found.tangents.device.type == "meta"
    with pytest.raises(RuntimeError):
        update.tolist()


def test_meta_check_rejects_a_stray_tensor():
    model = build("tfixup", TINY, _generator(), device="meta")
    batch = random_batch(TINY, _generator(), device="meta")
    with pytest.raises(RuntimeError, match="device"):
        linearized(model, batch, lambda output: torch.ones(output.shape), engine="closed-form")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_cpu():
    spec = ModelSpec(3, 3)
    reports = [
        measure_update(
            build("tfixup", spec, _generator(), device=device),
            random_batch(spec, _generator(1), device=device),
            _generator(2),
        )
        for device in ("cpu", "cuda")
    ]
    assert reports[1].update == pytest.approx(reports[0].update, rel=1e-3)


def test_cross_entropy_cotangent_is_the_loss_gradient():
    model = _shaken("tfixup", TINY).eval()
    batch = random_batch(TINY, _generator(1), sequences=2, tokens=3)
    features = model.features(batch.source_BS, batch.target_BT).detach().requires_grad_()
    labels = batch.target_BT.roll(-1, 1)
    assert model.output is not None
    logits = features @ model.output.T
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()).backward()
    assert features.grad is not None
    u = cross_entropy_cotangent(model, labels)(features.detach())
    torch.testing.assert_close(u, features.grad / features.grad.norm())
    report = measure_update(
        model, batch, _generator(), cotangent=cross_entropy_cotangent(model, labels)
    )
    assert report.finite


def test_the_model_is_left_as_it_was():
    spec = dataclasses.replace(TINY, dropout=0.5)
    model = build("tfixup", spec, _generator()).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batch = random_batch(spec, _generator(1))
    reports = [measure_update(model, batch, _generator(2)) for _ in range(2)]
    assert reports[0] == reports[1]
    assert model.training
    torch.testing.assert_close(model.state_dict(), before)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adm"}, "unknown optimizer 'adm'"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
    ],
)
def test_bad_options(options, message):
    model = Transformer(TINY)
    with pytest.raises(InputError, match=message):
        measure_update(model, random_batch(TINY, _generator()), _generator(), **options)


def test_bad_inputs():
    with pytest.raises(InputError, match="did you mean 'free'"):
        check_inputs("fre")


def test_generic_linearization_of_a_product():
    values = {"a.w": torch.tensor([2.0]), "b.w": torch.tensor([3.0])}
    found = linearize(
        lambda p: p["a.w"] * p["b.w"],
        values,
        torch.ones_like,
        step_rule_named("sgd"),
        {"a": [Piece("a.w")], "b": [Piece("b.w")]},
    )
    torch.testing.assert_close(found.tangents[:, 0], torch.tensor([-9.0, -4.0]))
    torch.testing.assert_close(found.energies, torch.tensor([9.0, 4.0], dtype=torch.float64))


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "radam", "lion"])
@pytest.mark.parametrize("inputs", ["free", "table"])
def test_both_engines_agree_on_what_an_optimizer_makes_of_earlier_gradients(optimizer, inputs):
    model = build("pre-ln", ModelSpec(2, 2, d_model=8, d_ff=12, vocabulary=20), _generator(0))
    batch = random_batch(model.spec, _generator(1), sequences=2, tokens=3)
    reports = [
        measure_update(
            model,
            batch,
            _generator(2),
            optimizer=optimizer,
            inputs=inputs,
            dtype="float64",
            earlier=6,
            engine=engine,
        )
        for engine in ("closed-form", "autodiff")
    ]
    for part, value in reports[0].update.items():
        assert value == pytest.approx(reports[1].update[part], rel=1e-6, abs=1e-9), part


@pytest.mark.parametrize("optimizer", ["lamb", "muon"])
def test_rules_that_see_whole_tensors_take_q_k_and_v_apart(optimizer):
    model = build("tfixup", ModelSpec(1, 1, d_model=8, d_ff=12, vocabulary=20), _generator(0))
    batch = random_batch(model.spec, _generator(1), sequences=2, tokens=3)
    report = measure_update(model, batch, _generator(2), optimizer=optimizer)
    assert report.finite
    assert report.update["total"] > 0
    rule = step_rule_named(optimizer)
    packed = model.get_parameter("encoder.0.attention.branch.in_proj").detach()
    slope = torch.randn(packed.shape, generator=_generator(3))
    whole = rule(slope, packed, parameter="encoder.0.attention.branch.in_proj")
    for third, own in zip(
        whole.chunk(3), zip(slope.chunk(3), packed.chunk(3), strict=True), strict=True
    ):
        torch.testing.assert_close(third, rule(*own))
    with pytest.raises(InputError, match=f"elementwise update rule, got {optimizer}"):
        measure_update(model, batch, _generator(2), optimizer=optimizer, engine="closed-form")


def test_adam_on_noise_moves_less_than_its_first_step_by_the_derived_factor():
    """√((1 − β₁)/(1 + β₁)) = 0.23 of the sign's step, and a little for the current gradient."""
    model = build("tfixup", ModelSpec(8, 8, d_model=16, d_ff=32, vocabulary=50), _generator(0))
    batch = random_batch(model.spec, _generator(1), sequences=4, tokens=4)
    first = measure_update(model, batch, _generator(2), optimizer="adam").update["total"]
    later = measure_update(model, batch, _generator(2), optimizer="adam", earlier=30)
    assert 0.15 < later.update["total"] / first < 0.35


def test_a_negative_count_of_earlier_gradients_is_refused():
    model = build("tfixup", ModelSpec(1, 1, d_model=8, d_ff=12, vocabulary=20), _generator(0))
    with pytest.raises(InputError, match="earlier must be an integer of at least 0, got -1"):
        measure_update(model, random_batch(model.spec, _generator(1)), _generator(2), earlier=-1)
