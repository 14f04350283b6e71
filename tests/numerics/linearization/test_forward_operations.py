"""Forward derivatives through the replaced operations: torch's own numbers, by the fast rules."""

import cProfile
import pstats

import pytest
import torch
from torch.autograd import forward_ad
from torch.func import jvp, vmap
from torch.nn import functional as F

from numerics.linearization.forward_operations import SMALL, WrittenOut


def _draw(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


C, MASK = _draw(4, seed=3), torch.tensor([True, False, True, True])
FUNCTIONS = {
    "times a number": lambda x: 2.5 * x * 3,
    "over a number": lambda x: x / 3,
    "a number over": lambda x: 2 / x,
    "plus and minus a number": lambda x: 1 - (x + 0.5 - 2),
    "by methods": lambda x: x.mul(2).add(1).sub(0.5).div(3),
    "by functions": lambda x: torch.rsub(torch.div(torch.mul(torch.add(x, 1), 2), 3), 1),
    "a scaled sum": lambda x: torch.add(x, C, alpha=2),
    "rounded": lambda x: x + torch.div(x, 0.1, rounding_mode="floor"),
    "times a constant": lambda x: x * C,
    "a constant times": lambda x: C * x,
    "over a constant": lambda x: x / C,
    "a constant over": lambda x: C / x,
    "plus a constant": lambda x: C - (x + C),
    "a mask": lambda x: x * MASK,
    "whole": lambda x: x * torch.arange(4),
    "two that move": lambda x: x * x + x / (1 + x.square()),
    "nothing moves": lambda x: x + C * C,
    "norm with constants": lambda x: F.layer_norm(x, (4,), C.to(x), C.to(x)),
    "norm with a gain that moves": lambda x: F.layer_norm(x, (4,), x[0], None),
    "attention": lambda x: F.scaled_dot_product_attention(x, 2 * x, x, is_causal=True),
    "inside a map": lambda x: vmap(lambda row: row * C + 2)(x),
}


def _at_a_level(function, x, t):
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(function(forward_ad.make_dual(x, t)))
        return found.primal, found.tangent


def _mapped(function, x, t):
    values, tangents, *_ = vmap(lambda s: jvp(function, (x,), (s,)))(torch.stack([t, 2 * t]))
    return values[1], tangents[1]


WAYS = [_at_a_level, lambda f, x, t: jvp(f, (x,), (t,)), _mapped]


@pytest.mark.parametrize("way", WAYS, ids=["level", "jvp", "vmap of jvp"])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_tangents_are_torchs(name, way, dtype):
    if name == "inside a map" and way is _at_a_level:
        return  # torch takes no vmap inside a dual level
    x, t = _draw(3, 4, dtype=dtype), _draw(3, 4, seed=1, dtype=dtype)
    plain = way(FUNCTIONS[name], x, t)
    with WrittenOut():
        written = way(FUNCTIONS[name], x, t)
    # torch's attention sums in another order.
    rtol, atol = (1e-5, 1e-6) if name == "attention" else (0, 0)
    for one, other in zip(written, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=atol)


def _shapes_worked_out_in_python(function) -> int:
    """Calls of torch's reference implementations, which is what the slow rule spends time on."""
    profile = cProfile.Profile()
    x, t = _draw(3, 4), _draw(3, 4, seed=1)
    profile.runcall(jvp, function, (x,), (t,))
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    return sum(row[1] for place, row in stats.items() if "torch/_refs" in place[0])


SLOW = [name for name in FUNCTIONS if "number" in name or "constant" in name]


@pytest.mark.parametrize("name", SLOW)
def test_no_zero_is_worked_out(name):
    with WrittenOut():
        assert _shapes_worked_out_in_python(FUNCTIONS[name]) == 0
    # Without the context torch does: once it does not, this file can go.
    assert _shapes_worked_out_in_python(FUNCTIONS[name]) > 0


def test_a_large_constant_has_no_zeros_for_its_tangent():
    x, c = torch.ones(SMALL + 1), torch.ones(SMALL + 1)
    with WrittenOut():
        assert _shapes_worked_out_in_python(lambda y: y[:1, 0] * 1) == 0
        value, tangent, *_ = jvp(lambda y: y * c, (x,), (x,))
    assert torch.equal(value, x)
    assert torch.equal(tangent, x)


def test_outside_of_a_derivative_nothing_changes():
    with WrittenOut():
        assert torch.equal(2 * C + C, 3 * C)
        assert (torch.arange(3) * 2).dtype is torch.int64
        assert (torch.arange(3) / 2).dtype is torch.float32


def test_a_constant_times_an_infinite_value_can_be_left_to_torch():
    hidden = torch.tensor([False, False, True, False])

    def masked(x):
        return (x.masked_fill(hidden, float("-inf")) * C.abs()).softmax(-1)

    x, t = _draw(3, 4), _draw(3, 4, seed=1)
    plain = jvp(masked, (x,), (t,))
    with WrittenOut(constants=False):
        for one, other in zip(jvp(masked, (x,), (t,)), plain, strict=True):
            assert torch.equal(one, other)
    with WrittenOut():
        value, tangent, *_ = jvp(masked, (x,), (t,))
    assert torch.equal(value, plain[0])
    assert bool(tangent.isnan().all()), "what `constants=False` is for"
