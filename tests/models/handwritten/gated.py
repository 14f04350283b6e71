"""A residual through the gates of a GRU, in the manner of GTrXL: no addition x + F(x)."""

import torch
from torch import Tensor, nn

from tests.models.handwritten.nano_gpt import SelfAttention


class Gate(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.w = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(3))
        self.u = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(3))
        self.bias = nn.Parameter(torch.full((width,), 2.0))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        r = torch.sigmoid(self.w[0](y) + self.u[0](x))
        z = torch.sigmoid(self.w[1](y) + self.u[1](x) - self.bias)
        h = torch.tanh(self.w[2](y) + self.u[2](r * x))
        return (1 - z) * x + z * h


class Gated(nn.Module):
    def __init__(self, layers: int, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, width)
        self.attentions = nn.ModuleList(SelfAttention(width, 4) for _ in range(layers))
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, width))
            for _ in range(layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * layers))
        self.gates = nn.ModuleList(Gate(width) for _ in range(2 * layers))
        self.head = nn.Linear(width, 64)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for i, (attention, mlp) in enumerate(zip(self.attentions, self.mlps, strict=True)):
            x = self.gates[2 * i](x, attention(self.norms[2 * i](x)).relu())
            x = self.gates[2 * i + 1](x, mlp(self.norms[2 * i + 1](x)).relu())
        return self.head(x)


def make(layers: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return Gated(layers), torch.randint(0, 64, (2, 8))
