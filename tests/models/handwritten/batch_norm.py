"""Post-norm with `BatchNorm1d` over channels, and buffers that a forward in training would move."""

import torch
from torch import Tensor, nn

from tests.models.handwritten.nano_gpt import SelfAttention


class Normed(nn.Module):
    def __init__(self, layers: int, width: int = 32) -> None:
        super().__init__()
        self.enter = nn.Linear(6, width)
        self.attentions = nn.ModuleList(SelfAttention(width, 4) for _ in range(layers))
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))
            for _ in range(layers)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(2 * layers))
        self.head = nn.Linear(width, 1)

    def forward(self, series: Tensor) -> Tensor:
        x = self.enter(series)
        for i, (attention, mlp) in enumerate(zip(self.attentions, self.mlps, strict=True)):
            x = self.norms[2 * i]((x + attention(x)).transpose(1, 2)).transpose(1, 2)
            x = self.norms[2 * i + 1]((x + mlp(x)).transpose(1, 2)).transpose(1, 2)
        return self.head(x.mean(1))


def make(layers: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return Normed(layers), torch.randn(4, 10, 6)
