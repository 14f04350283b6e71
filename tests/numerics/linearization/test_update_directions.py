import pytest
import torch
from torch.testing import assert_close

from numerics.linearization.update_directions import (
    DIRECTIONS,
    EPSILON,
    average,
    direction,
    step_rule_named,
)
from theory.errors import InputError

RATE = 1e-3


def gradients(count, shape=(6, 4), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(count)]


def last_step(optimizer, parameter, history):
    """The change of the last of several steps with given gradients, ÷ −lr."""
    before = parameter.detach().clone()
    for gradient in history:
        before = parameter.detach().clone()
        parameter.grad = gradient.clone()
        optimizer.step()
    return (before - parameter.detach()) / RATE


@pytest.mark.parametrize("steps", [1, 2, 7, 30])
@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=RATE)),
        ("momentum", lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.9)),
        ("adam", lambda p: torch.optim.Adam(p, lr=RATE, eps=EPSILON)),
        ("radam", lambda p: torch.optim.RAdam(p, lr=RATE, eps=0.0)),
    ],
)
def test_the_step_of_pytorchs_optimizer_is_the_direction(name, build, steps):
    history = gradients(steps)
    parameter = torch.nn.Parameter(torch.ones(6, 4, dtype=torch.float64))
    taken = last_step(build([parameter]), parameter, history)
    assert_close(taken, direction(name, history, parameter.detach()), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_pytorchs_muon_points_where_the_exact_polar_factor_does(shape):
    history = gradients(3, shape)
    parameter = torch.nn.Parameter(torch.ones(shape, dtype=torch.float64))
    build = torch.optim.Muon([parameter], lr=RATE, weight_decay=0.0, adjust_lr_fn="original")
    taken = last_step(build, parameter, history)
    exact = direction("muon", history, parameter.detach())
    cosine = (taken * exact).sum() / (taken.norm() * exact.norm())
    # Five Newton-Schulz iterations in bfloat16 leave singular values between 0.7 and 1.2.
    assert cosine > 0.97
    assert 0.7 < float(taken.norm() / exact.norm()) < 1.25
    values = torch.linalg.svdvals(exact) / max(1, shape[0] / shape[1]) ** 0.5
    assert_close(values, torch.ones_like(values))


def test_muon_is_adam_where_the_tensor_is_no_matrix():
    history = gradients(4, (7,))
    theta = torch.ones(7, dtype=torch.float64)
    assert_close(direction("muon", history, theta), direction("adam", history, theta))


@pytest.mark.parametrize("name", ["adam", "lion", "sign"])
def test_first_steps_are_signs(name):
    (gradient,) = gradients(1)
    found = direction(name, [gradient], torch.zeros_like(gradient))
    assert_close(found, gradient.sign(), rtol=1e-6, atol=1e-6)


def test_lion_by_its_recursion():
    first, second, third = gradients(3)
    mean = 0.99 * (0.01 * first) + 0.01 * second
    expected = (0.9 * mean + 0.1 * third).sign()
    assert_close(direction("lion", [first, second, third], torch.zeros_like(first)), expected)


def test_lion_counts_the_current_gradient_in_the_step_alone():
    (mean,) = gradients(1)
    earlier = 100 * mean  # whose average at β₂ = 0.99 is the mean
    for side, expected in ((0.95, 1), (1.05, -1)):
        found = direction("lion", [earlier, -9 * side * mean], torch.zeros_like(mean))
        assert_close(found, expected * mean.sign())


@pytest.mark.parametrize("name", DIRECTIONS)
def test_a_rule_reads_its_history_first_to_last(name):
    first, second, current = gradients(3, seed=3)
    theta = gradients(1, seed=4)[0]
    rule, history = step_rule_named(name), [first, second, 5 * current]
    step = rule(history[-1], theta, parameter="encoder.0.mlp.branch.w1", past=history[:-1])
    assert_close(step, -direction(name, history, theta))
    assert float((step + direction(name, history[::-1], theta)).abs().max()) > 0.1


def test_lamb_has_the_norm_of_its_tensor_and_adams_direction():
    history, theta = gradients(5), gradients(1, seed=1)[0]
    found, u = direction("lamb", history, theta), direction("adam", history, theta)
    assert_close(found.norm(), theta.norm())
    assert_close(found / found.norm(), u / u.norm())
    assert_close(direction("lamb", history, torch.zeros_like(theta)), u)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_every_direction_lowers_the_loss_to_first_order(name):
    (gradient,) = gradients(1)
    theta = gradients(1, seed=2)[0]
    assert float((gradient * direction(name, [gradient], theta)).sum()) > 0


def test_a_bias_corrected_average_of_a_constant_is_that_constant():
    constant = torch.full((3,), 2.0)
    assert_close(average([constant] * 5, 0.9), constant)
    assert_close(average([constant, 0 * constant], 0.5), constant / 3)


@pytest.mark.parametrize(
    ("name", "history", "message"),
    [
        ("lino", [torch.ones(2, 2)], "did you mean 'lion'"),
        ("adam", [], "at least one gradient"),
        ("adam", [torch.ones(3)], r"shape \(2, 2\), got \[\(3,\)\]"),
    ],
)
def test_bad_input_is_named(name, history, message):
    with pytest.raises(InputError, match=message):
        direction(name, history, torch.ones(2, 2))
