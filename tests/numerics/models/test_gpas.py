"""GPAS: gates damp a stream and not what flows back, and what that does to one step."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from numerics.measure.finite_updates import finite_update
from numerics.measure.updates import measure_update
from numerics.models import WIRINGS, Architecture, Wiring, single_stack
from numerics.models.roles import rescalers
from numerics.models.tokens import random_batch
from numerics.models.wiring import Parallel
from numerics.schemes import SCHEMES, build
from theory.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script.:DeprecationWarning")
DECODER = single_stack(Architecture.DECODER_ONLY, 3, d_model=8, d_ff=12, vocabulary=20)
TOKENS = torch.arange(10).view(2, 5)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def opened(value: float):
    """A model in float64 whose gates are at a value."""
    model = build("gpas:std=0.3", DECODER, generator(), dtype=torch.float64).eval()
    with torch.no_grad():
        for one in rescalers(model):
            one.tensor.fill_(value)
    return model


class Damped(torch.autograd.Function):
    """h (1 − silu(g)) forwards; backwards h has the whole slope, g −silu'(g) Σ slope h."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, g: Tensor) -> Tensor:
        ctx.save_for_backward(h, g)
        return h * (1 - g / (1 + torch.exp(-g)))

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor]:
        (slope,) = slopes
        h, g = ctx.saved_tensors
        own = torch.sigmoid(g)
        return slope, -(own * (1 + g * (1 - own))) * (slope * h).sum()


def by_hand(model, damp=Damped.apply):
    x = model.embed_target(TOKENS)
    causal = torch.ones(5, 5, dtype=torch.bool).triu(1)
    for layer in model.decoder:
        for block, context in ((layer.self_attention, (None, causal)), (layer.mlp, ())):
            unit = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * block.norm.weight
            x = damp(x + block.branch(unit, *context), layer.damping)
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * model.decoder_norm.weight


def slopes(model, output):
    u = torch.randn(output.shape, generator=generator(3), dtype=torch.float64)
    named = {n: p for n, p in model.named_parameters() if n != "output"}
    return dict(zip(named, torch.autograd.grad((output * u).sum(), [*named.values()]), strict=True))


@pytest.mark.parametrize("gate", [0.0, 0.7, -0.4])
def test_values_and_gradients_are_those_written_out(gate):
    model = opened(gate)
    output, expected = model.features(TOKENS, TOKENS), by_hand(model)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-6)
    found, wanted = slopes(model, output), slopes(model, expected)
    for name in found:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=1e-6)
    if gate:
        plain = by_hand(model, lambda h, g: h - torch.nn.functional.silu(g) * h)
        torch.testing.assert_close(output, plain, rtol=1e-5, atol=1e-6)
        through = slopes(model, plain)["decoder.0.mlp.branch.w1"]
        assert not torch.allclose(through, found["decoder.0.mlp.branch.w1"], rtol=1e-2)


def plain_twin(model) -> Any:
    """The same weights in Pre-LN, which has no gates."""
    scheme = replace(SCHEMES["gpas"], wiring=WIRINGS["pre-ln"], std=0.3)
    twin = build(scheme, DECODER, generator(), dtype=torch.float64).eval()
    held = {n: v for n, v in model.state_dict().items() if not n.endswith("damping")}
    twin.load_state_dict(held)
    return twin


def test_at_the_start_it_is_pre_ln_and_only_the_gates_add_to_the_first_step():
    model = opened(0.0)
    twin = plain_twin(model)
    torch.testing.assert_close(model.features(TOKENS, TOKENS), twin.features(TOKENS, TOKENS))
    own, other = (slopes(one, one.features(TOKENS, TOKENS)) for one in (model, twin))
    gates = {name: g for name, g in own.items() if name.endswith("damping")}
    assert set(own) - set(other) == set(gates)
    assert len(gates) == 3
    for name, slope in other.items():
        torch.testing.assert_close(own[name], slope)
    assert all(float(g.abs()) > 0 for g in gates.values())
    # ∂/∂g = −½ Σ over the layer's two sums of ⟨slope, z⟩, from Pre-LN's own stream.
    streams: list[Tensor] = []
    handles = [
        block.register_forward_hook(lambda _, __, z: streams.append(z))
        for layer in twin.decoder
        for block in (layer.self_attention, layer.mlp)
    ]
    output = twin.features(TOKENS, TOKENS)
    for handle in handles:
        handle.remove()
    u = torch.randn(output.shape, generator=generator(3), dtype=torch.float64)
    flowing = torch.autograd.grad((output * u).sum(), streams)
    for number, g in enumerate(gates.values()):
        pairs = zip(flowing[2 * number : 2 * number + 2], streams[2 * number :], strict=False)
        expected = -0.5 * torch.stack([(slope * z).sum() for slope, z in pairs]).sum()
        torch.testing.assert_close(g, expected)
        assert not torch.allclose(g, 2 * expected)


@pytest.mark.parametrize("optimizer", ["sgd", "sign"])
def test_its_first_step_is_the_limit_of_finite_ones_and_not_pre_lns(optimizer):
    model = opened(0.0)
    batch = random_batch(model.spec, generator(1), sequences=2, tokens=4)
    given = {"optimizer": optimizer, "inputs": "table"}
    exact = measure_update(model, batch, generator(2), dtype="float64", **given).update
    assert finite_update(model, batch, generator(2), eta=1e-7, **given) == pytest.approx(
        exact["total"], rel=1e-4
    )
    twin = measure_update(plain_twin(model), batch, generator(2), dtype="float64", **given).update
    assert exact["decoder.mlp"] == pytest.approx(twin["decoder.mlp"], rel=1e-9)
    assert exact["total"] != pytest.approx(twin["total"], rel=1e-5)


def test_open_gates_are_refused_where_the_gradient_is_not_that_of_f():
    model = opened(0.1)
    batch = random_batch(model.spec, generator(1), sequences=2, tokens=4)
    with pytest.raises(InputError, match="gates that damp the stream must be 0"):
        measure_update(model, batch, generator(2))


@pytest.mark.parametrize(
    "choices",
    [{"norm_after": True}, {"norm_before": True, "parallel": Parallel.ONE_NORM}],
)
def test_wirings_that_cannot_be_damped_are_refused(choices):
    with pytest.raises(InputError, match="a damped stream needs blocks in sequence"):
        Wiring(damped=True, **choices)
