"""What the watch measures of a real step, against finite differences and sums by hand."""

import pytest
import torch
from torch import nn

from numerics.models import ModelSpec
from numerics.models.attention import Attention
from numerics.models.tokens import random_batch
from numerics.own_model.workflow.step_watch import StepWatch, learning_rate
from numerics.schemes import build
from numerics.signals.coherence import alignment, set_coherence_
from theory.errors import InputError


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.down(torch.relu(self.up(self.norm2(x))))


def stack(layers=2, width=16):
    return nn.Sequential(*(Block(width) for _ in range(layers))).double()


@pytest.fixture
def inputs():
    return torch.randn(2, 5, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def stepped(model, inputs, optimizer):
    """One real step; the watch's values, and the weights before and after."""
    opened = StepWatch(inputs).before(model)
    old = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.zero_grad()
    model(inputs).square().mean().backward()
    optimizer.step()
    new = {name: p.detach().clone() for name, p in model.named_parameters()}
    return opened.after(model, learning_rate(optimizer)), old, new


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_update_is_the_finite_difference_along_the_real_step(inputs, name):
    torch.manual_seed(0)
    model = stack()
    made = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[name]
    optimizer = made(model.parameters(), lr=1e-2)
    stepped(model, inputs, optimizer)  # so that AdamW has moments
    found, old, new = stepped(model, inputs, optimizer)

    def moved(size):
        """The norm of f(θ + size · s) − f(θ − size · s), over 2 size, with s the step over η."""
        ends = []
        for sign in (1, -1):
            at = {n: old[n] + sign * size * (new[n] - old[n]) / 1e-2 for n in old}
            ends.append(torch.func.functional_call(model, at, (inputs,)))
        return float((ends[0] - ends[1]).norm() / (2 * size))

    assert found["update/total"] == pytest.approx(moved(1e-6), rel=1e-5)
    assert found["update/total"] != pytest.approx(moved(3e-1), rel=1e-5)  # no limit, another value
    roles = [key for key in found if key.startswith("update/")]
    assert {"update/q", "update/v", "update/out", "update/w_in", "update/w_out"} <= set(roles)


def test_the_rate_divides_out(inputs):
    """Two rates, one step: SGD's step over η does not depend on η."""
    values = []
    for rate in (1e-2, 1e-4):
        torch.manual_seed(0)
        model = stack()
        found, _, _ = stepped(model, inputs, torch.optim.SGD(model.parameters(), lr=rate))
        values.append(found["update/total"])
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_norm_inputs_are_those_of_a_forward_by_hand(inputs):
    torch.manual_seed(0)
    model = stack()
    seen = {}
    for name, part in model.named_modules():
        if isinstance(part, nn.LayerNorm):

            def read(_, args, name=name):
                seen[name] = float(args[0].detach().norm()) / args[0].numel() ** 0.5

            part.register_forward_pre_hook(read)
    model(inputs)
    seen = dict(seen)  # of the model at θ, not of the step's own forward
    found, _, _ = stepped(model, inputs, torch.optim.SGD(model.parameters(), lr=1e-2))
    assert {k: v for k, v in found.items() if k.startswith("norm_input")} == pytest.approx(
        {f"norm_input/{name}": value for name, value in seen.items()}
    )
    assert len(seen) == 4


def test_coherence_is_that_of_the_products():
    generator = torch.Generator().manual_seed(0)
    spec = ModelSpec(2, 2)
    model = build("tfixup", spec, generator)
    for part in model.modules():
        if isinstance(part, Attention):
            set_coherence_(part, 0.5, 0.3, generator)
    batch = random_batch(spec, generator)
    arguments = (batch.source_BS, batch.target_BT)
    opened = StepWatch(arguments).before(model)
    found = opened.after(model, 0.0)
    for name in ("encoder", "decoder"):
        wanted = alignment(model, name).coherence
        assert wanted > 0.3
        assert found[f"coherence/{name}"] == pytest.approx(wanted, rel=1e-5)


def test_a_rate_of_zero_has_no_update_and_the_rest(inputs):
    model = stack()
    found = StepWatch(inputs).before(model).after(model, 0.0)
    assert not [key for key in found if key.startswith("update")]
    assert [key for key in found if key.startswith("norm_input")]


def test_the_model_is_only_read(inputs):
    torch.manual_seed(0)
    model = stack().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    StepWatch(inputs).before(model).after(model, 1.0)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(part.training for part in model.modules())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("every", [0, -1, True])
def test_every_is_a_positive_integer(every):
    with pytest.raises(InputError, match="every must be an integer of at least 1"):
        StepWatch(torch.ones(1), every)
