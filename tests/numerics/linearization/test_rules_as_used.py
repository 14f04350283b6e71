"""Update rules with the numbers they are used with, against one real step of torch's optimizers."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim._muon import _zeropower_via_newtonschulz
from torch.testing import assert_close

from numerics.linearization.orthogonal_steps import SCALINGS, orthogonal_step
from numerics.linearization.update_directions import direction, step_rule_named
from numerics.measure.finite_updates import finite_update
from numerics.measure.updates import measure_update
from numerics.models import Architecture, ModelSpec, single_stack
from numerics.models.tokens import random_batch
from numerics.schemes import build
from theory.errors import InputError
from theory.scales.muon_scalings import MUONS

RATE = 1e-3
SHAPE = (6, 4)


def gradients(count, shape=SHAPE, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(count)]


def last_step(make, theta, history):
    """The change of the last of several steps with given gradients, ÷ lr, and θ before it."""
    parameter = nn.Parameter(theta.clone())
    optimizer = make([parameter])
    before = parameter.detach().clone()
    for gradient in history:
        before = parameter.detach().clone()
        parameter.grad = gradient.clone()
        optimizer.step()
    return (parameter.detach() - before) / RATE, before


@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (7,)])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        (
            "adamw:weight_decay=0.1:eps=0.3",
            lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0.1, eps=0.3),
        ),
        ("adamw:weight_decay=0.5", lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0.5)),
        ("adam:eps=0.3", lambda p: torch.optim.Adam(p, lr=RATE, eps=0.3)),
        ("adafactor", lambda p: torch.optim.Adafactor(p, lr=RATE)),
    ],
)
def test_the_step_is_torchs(name, make, shape, steps):
    history, theta = gradients(steps, shape), 3 * gradients(1, shape, seed=1)[0]
    taken, before = last_step(make, theta, history)
    made = step_rule_named(name)(history[-1], before, past=history[:-1])
    assert_close(made, taken, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "make"),
    [
        ("adamw", lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0.1)),
        ("adamw:weight_decay=0.2", lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0.1)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0.0, eps=0.3)),
        ("lamb", lambda p: torch.optim.Adafactor(p, lr=RATE)),
    ],
)
def test_a_rule_with_other_numbers_is_told_from_torchs(asked, make):
    history, theta = gradients(2), 3 * gradients(1, seed=1)[0]
    taken, before = last_step(make, theta, history)
    made = step_rule_named(asked)(history[-1], before, past=history[:-1])
    assert float((made - taken).norm() / taken.norm()) > 0.01


def test_adafactor_takes_a_small_tensor_for_a_thousandth_and_does_not_divide_by_zero():
    gradient, zero = gradients(1)[0], torch.zeros(SHAPE, dtype=torch.float64)
    taken, before = last_step(lambda p: torch.optim.Adafactor(p, lr=RATE), zero, [gradient])
    made = step_rule_named("adafactor")(gradient, before)
    assert_close(made, taken, rtol=1e-6, atol=1e-9)
    assert made.square().mean().sqrt() <= 1.0001e-3
    assert_close(step_rule_named("adafactor")(zero, gradient), zero)
    assert_close(direction("adam", [zero], zero), zero)
    assert_close(step_rule_named("adam:eps=0")(zero), zero)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (24, 3)])
@pytest.mark.parametrize(
    ("name", "adjusted"), [("muon", "original"), ("muon-match-rms-adamw", "match_rms_adamw")]
)
def test_muon_has_the_size_and_the_place_of_torchs(name, adjusted, shape):
    history, theta = gradients(3, shape), gradients(1, shape, seed=1)[0]
    taken, before = last_step(
        lambda p: torch.optim.Muon(p, lr=RATE, weight_decay=0.1, adjust_lr_fn=adjusted),
        theta,
        history,
    )
    made = step_rule_named(f"{name}:weight_decay=0.1")(history[-1], before, past=history[:-1])
    turned, exact = taken + 0.1 * before, made + 0.1 * before
    cosine = (turned * exact).sum() / (turned.norm() * exact.norm())
    # Five Newton-Schulz iterations in bfloat16 leave singular values between 0.7 and 1.2.
    assert cosine > 0.97
    assert 0.7 < float(turned.norm() / exact.norm()) < 1.25
    # Torch's own polar factor, times the scaling's number: equal but for bfloat16's rounding.
    polar = _zeropower_via_newtonschulz(
        _ahead(history), (3.4445, -4.7750, 2.0315), 5, 1e-7
    ).double()
    factor = SCALINGS["original" if name == "muon" else "match-rms-adamw"](*shape)
    assert_close(turned, -factor * polar, rtol=0.02, atol=0.02 * factor)


def _ahead(history):
    mean = torch.zeros_like(history[0])
    for gradient in history:
        mean = 0.95 * mean + 0.05 * gradient
    return 0.95 * mean + 0.05 * history[-1]


@pytest.mark.parametrize("shape", [(24, 3), (3, 24), (5, 5)])
def test_each_scaling_keeps_what_it_is_named_after(shape):
    (gradient,) = gradients(1, shape)
    rows, columns = shape
    values = {name: torch.linalg.svdvals(orthogonal_step([gradient], name)) for name in SCALINGS}
    assert_close(
        values["original"], torch.full((min(shape),), max(1.0, rows / columns) ** 0.5).double()
    )
    step = orthogonal_step([gradient], "match-rms-adamw")
    assert float(step.square().mean().sqrt()) == pytest.approx(0.2)
    # RMS of the output over RMS of the input, at the input that it moves most.
    assert float(values["spectral"][0]) * (columns / rows) ** 0.5 == pytest.approx(1.0)
    if rows != columns:
        assert float(orthogonal_step([gradient]).square().mean().sqrt()) != pytest.approx(0.2)
        assert float(values["original"][0]) != pytest.approx(float(values["spectral"][0])) or (
            rows > columns
        )


@pytest.mark.parametrize("name", MUONS)
def test_muon_leaves_tables_and_vectors_to_adam(name):
    (gradient,), theta = gradients(1), gradients(1, seed=1)[0]
    rule = step_rule_named(name)
    for parameter in ("target_embedding", "target_positions", "output"):
        assert_close(
            rule(gradient, theta, parameter=parameter), -gradient.sign(), rtol=1e-6, atol=1e-6
        )
    hidden = rule(gradient, theta, parameter="decoder.0.mlp.branch.w1")
    assert float((hidden + gradient.sign()).abs().max()) > 0.1


def test_factors_by_role_are_those_of_torchs_groups():
    gradient, theta = gradients(1)[0], gradients(1, seed=1)[0]
    rule = step_rule_named("adamw:weight_decay=0.1:eps=0.3").with_rates(
        {"hidden": 0.5}, {"matrices": 4.0}, {"hidden": 0.25}
    )
    taken, _ = last_step(
        lambda p: torch.optim.AdamW(p, lr=0.5 * RATE, weight_decay=0.4, eps=0.075),
        theta,
        [gradient],
    )
    assert_close(rule(gradient, theta, parameter="decoder.0.mlp.branch.w1"), taken)
    other = rule(gradient, theta, parameter="target_embedding")
    assert float((other - taken).abs().max()) > 0.1


def test_factors_of_one_packed_matrix_leave_the_others_alone():
    gradient, theta = gradients(1)[0], gradients(1, seed=1)[0]
    plain = step_rule_named("adamw:weight_decay=0.1:eps=0.3")
    name = "decoder.0.self_attention.branch.in_proj"
    one = plain.with_rates({}, {}, {"decoder.self_attention.k": 9.0})
    changed = one(gradient, theta, parameter=name) - plain(gradient, theta, parameter=name)
    assert [float(part.abs().max()) > 0.01 for part in changed.chunk(3)] == [False, True, False]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("adamw:epsilon=1", "number of optimizer adamw 'epsilon'"),
        ("adamw:eps=-1", "eps of optimizer adamw must be finite and at least 0, got -1"),
        ("adamw:eps=wide", "eps of optimizer adamw must be a number, got 'wide'"),
        ("adamw:eps=nan", "must be finite"),
        ("sgd:eps=1", "optimizer sgd has no number to change"),
        ("muno:weight_decay=1", "did you mean 'muon'"),
    ],
)
def test_numbers_that_a_rule_does_not_have_are_named(name, message):
    with pytest.raises(InputError, match=message):
        step_rule_named(name)


def small(scheme="pre-ln", seed=0, layers=2):
    spec = single_stack(Architecture.DECODER_ONLY, layers, d_model=8, d_ff=12, vocabulary=20)
    model = build(scheme, spec, torch.Generator().manual_seed(seed), dtype=torch.float64)
    return model, random_batch(model.spec, torch.Generator().manual_seed(1), sequences=2, tokens=3)


def generator(seed=2):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("inputs", ["free", "table"])
@pytest.mark.parametrize(
    "optimizer",
    ["adamw:weight_decay=0.3:eps=0.05", "adafactor", "muon-match-rms-adamw", "muon-spectral"],
)
def test_a_step_of_vanishing_rate_moves_f_by_the_exact_limit(optimizer, inputs):
    model, batch = small()
    options: dict[str, Any] = {"optimizer": optimizer, "inputs": inputs}
    exact = measure_update(model, batch, generator(), dtype="float64", **options)
    finite = finite_update(model, batch, generator(), eta=1e-7, **options)
    assert finite == pytest.approx(exact.update["total"], rel=1e-4)
    plain = {"adamw:weight_decay=0.3:eps=0.05": "adamw", "adafactor": "lamb"}.get(optimizer, "muon")
    other = measure_update(model, batch, generator(), **{**options, "optimizer": plain})
    assert other.update["total"] != pytest.approx(exact.update["total"], rel=1e-2)


def test_epsilon_is_relative_to_a_cotangent_of_norm_1():
    """A loss c times as steep with c ε takes the same step: ε only means something beside |g|."""
    gradient, c = gradients(1)[0], 1e-6
    taken, _ = last_step(
        lambda p: torch.optim.Adam(p, lr=RATE, eps=c * 0.3), 0 * gradient, [c * gradient]
    )
    assert_close(step_rule_named("adam:eps=0.3")(gradient), taken)


@pytest.mark.parametrize("earlier", [1, 5, 25])
def test_momentum_on_noise_is_one_step_along_the_noise_that_it_has_added_up(earlier):
    """J Σ_k μ^k Jᵀ u_k = J Jᵀ (Σ_k μ^k u_k), as an SGD step is linear in the cotangent."""
    model, batch = small()
    found = measure_update(
        model, batch, generator(), optimizer="momentum", earlier=earlier, dtype="float64"
    )
    from numerics.linearization.cotangents import random_cotangent
    from numerics.models.tokens import output_shape

    source, shape = generator(), output_shape(model.spec, batch)
    current, *past = [random_cotangent(shape, source) for _ in range(earlier + 1)]

    def together(decay):
        def u(f):
            total = torch.zeros_like(f)
            for one in past:
                total = decay * total + one(f)
            return decay * total + current(f)

        return measure_update(model, batch, generator(), cotangent=u, dtype="float64")

    assert together(0.9).update["total"] == pytest.approx(found.update["total"], rel=1e-9)
    assert together(0.8).update["total"] != pytest.approx(found.update["total"], rel=1e-2)


def test_momentum_on_noise_moves_f_by_the_derived_factor():
    """(1 − μ²)^(-1/2) = 2.29 first steps in root mean square, not the steady gradient's 10."""
    from theory.scales.update_rules import momentum_noise

    model, batch = small(layers=3)
    first, later = (
        sum(
            measure_update(
                model, batch, generator(seed), optimizer="momentum", earlier=earlier
            ).update["total"]
            ** 2
            for seed in range(20)
        )
        ** 0.5
        for earlier in (0, 40)
    )
    expected = float(momentum_noise().change(1, 1))
    assert later / first == pytest.approx(expected, rel=0.2)


def test_decay_alone_shrinks_the_weights():
    """A huge ε leaves only −λθ: the step is linear in the weights, and no closed form serves."""
    model, batch = small()
    report = measure_update(model, batch, generator(), optimizer="adamw:weight_decay=1:eps=1e12")
    twice = measure_update(model, batch, generator(), optimizer="adamw:weight_decay=2:eps=1e12")
    assert twice.update["total"] == pytest.approx(2 * report.update["total"], rel=1e-5)
    with pytest.raises(InputError, match="elementwise update rule"):
        measure_update(
            model, batch, generator(), optimizer="adamw:weight_decay=1", engine="closed-form"
        )
    spec = ModelSpec(1, 1, d_model=8, d_ff=12, vocabulary=20)
    plain = build("tfixup", spec, generator())
    with_eps = measure_update(
        plain,
        random_batch(spec, generator()),
        generator(),
        optimizer="adamw:eps=0.01",
        engine="closed-form",
        dtype="float64",
    )
    oracle = measure_update(
        plain,
        random_batch(spec, generator()),
        generator(),
        optimizer="adamw:eps=0.01",
        engine="autodiff",
        dtype="float64",
    )
    assert with_eps.update == pytest.approx(oracle.update, rel=1e-9)
