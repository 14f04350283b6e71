"""Modules that write out their operations: the tangent is torch's own, masked logits included."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from numerics.own_model.measurement.conditions import measuring
from numerics.own_model.measurement.function import module_function
from numerics.own_model.measurement.tangents import tangents


class Masked(nn.Module):
    """Attention whose masked logits are multiplied by a temperature that is no parameter."""

    temperature: Tensor

    def __init__(self, *, masked_first: bool) -> None:
        super().__init__()
        self.masked_first = masked_first
        self.query, self.key = nn.Linear(6, 6), nn.Linear(6, 6)
        self.gain = nn.Parameter(torch.ones(6))
        self.register_buffer("temperature", torch.full((5,), 0.7))

    def forward(self, x: Tensor) -> Tensor:
        """Softmax of masked logits, and an RMS norm written out."""
        x = self.gain * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))
        logits = self.query(x) @ self.key(x).transpose(-2, -1) / 6**0.5
        hidden = torch.ones(5, 5, dtype=torch.bool).triu(1)
        if self.masked_first:
            logits = logits.masked_fill(hidden, float("-inf")) * self.temperature
        else:
            logits = (logits * self.temperature).masked_fill(hidden, float("-inf"))
        return logits.softmax(-1) @ (0.5 * x * (1 + torch.tanh(x)))


@pytest.mark.parametrize("together", [False, True], ids=["one step", "two steps at once"])
@pytest.mark.parametrize("masked_first", [False, True])
def test_the_tangent_is_torchs(masked_first, together):
    torch.manual_seed(0)
    module, x = Masked(masked_first=masked_first).double(), torch.randn(2, 5, 6).double()
    with measuring():
        function = module_function(module, x, dtype=torch.float64)
        steps = [
            {name: torch.randn_like(value) for name, value in function.parameters.items()}
            for _ in range(1 + together)
        ]
        found = tangents(function, steps, torch.ones(function.shape, dtype=torch.float64))
    assert found.method == "forward"
    held = {name: value.detach() for name, value in module.named_parameters()}
    for step, own in zip(steps, found.values, strict=True):
        plain = jvp(lambda theta: functional_call(module, theta, (x,)), (held,), (step,))[1]
        torch.testing.assert_close(own.reshape(plain.shape), plain, rtol=1e-12, atol=1e-14)
