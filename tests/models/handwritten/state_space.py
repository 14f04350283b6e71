"""One branch a layer in the manner of Mamba: a gated state space with a skip of its own inside."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class StateSpace(nn.Module):
    def __init__(self, width: int, states: int = 4) -> None:
        super().__init__()
        self.inner, self.states, self.rank = 2 * width, states, 4
        self.in_proj = nn.Linear(width, 2 * self.inner, bias=False)
        self.conv1d = nn.Conv1d(self.inner, self.inner, 4, groups=self.inner, padding=3)
        self.x_proj = nn.Linear(self.inner, self.rank + 2 * states, bias=False)
        self.dt_proj = nn.Linear(self.rank, self.inner)
        self.A_log = nn.Parameter(torch.log(torch.arange(1.0, states + 1)).repeat(self.inner, 1))
        self.D = nn.Parameter(torch.ones(self.inner))
        self.out_proj = nn.Linear(self.inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        value, gate = self.in_proj(x).chunk(2, dim=-1)
        value = F.silu(self.conv1d(value.transpose(1, 2))[..., :length].transpose(1, 2))
        sizes = [self.rank, self.states, self.states]
        step, inward, outward = self.x_proj(value).split(sizes, dim=-1)
        step = F.softplus(self.dt_proj(step))
        decay = torch.exp(step[..., None] * -self.A_log.exp())
        drive = (step * value)[..., None] * inward[:, :, None]
        state = torch.zeros(x.shape[0], self.inner, self.states)
        outputs = []
        for t in range(length):
            state = decay[:, t] * state + drive[:, t]
            outputs.append((state * outward[:, t, None]).sum(-1))
        y = torch.stack(outputs, dim=1) + value * self.D
        return self.out_proj(y * F.silu(gate))


class Mamba(nn.Module):
    def __init__(self, layers: int, width: int = 16) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, width)
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(layers))
        self.mixers = nn.ModuleList(StateSpace(width) for _ in range(layers))
        self.norm_f = nn.RMSNorm(width)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for norm, mixer in zip(self.norms, self.mixers, strict=True):
            x = x + mixer(norm(x))
        return F.linear(self.norm_f(x), self.embed.weight)


def make(layers: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return Mamba(layers), torch.randint(0, 64, (2, 6))
