"""Four parallel streams with trained mixing, after hyper-connections: no single stream x + F(x)."""

import torch
from torch import Tensor, nn

from tests.models.handwritten.nano_gpt import SelfAttention


class HyperConnection(nn.Module):
    def __init__(self, branch: nn.Module, width: int, streams: int) -> None:
        super().__init__()
        self.branch = branch
        self.norm = nn.LayerNorm(width)
        self.read = nn.Parameter(torch.ones(streams) / streams)
        self.mix = nn.Parameter(torch.eye(streams))
        self.write = nn.Parameter(torch.ones(streams))

    def forward(self, x: Tensor) -> Tensor:
        read = torch.einsum("n,nbtd->btd", self.read, x)
        mixed = torch.einsum("mn,nbtd->mbtd", self.mix, x)
        return mixed + self.write[:, None, None, None] * self.branch(self.norm(read))


class Streams(nn.Module):
    def __init__(self, layers: int, width: int = 32, streams: int = 4) -> None:
        super().__init__()
        self.streams = streams
        self.embed = nn.Embedding(64, width)
        branches: list[nn.Module] = []
        for _ in range(layers):
            branches.append(SelfAttention(width, 4))
            branches.append(nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width)))
        self.layers = nn.ModuleList(HyperConnection(b, width, streams) for b in branches)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 64)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids).expand(self.streams, -1, -1, -1)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x.sum(0)))


class TwoStreams(nn.Module):
    """Reversible residuals: y1 = x1 + F(x2), y2 = x2 + G(y1)."""

    def __init__(self, layers: int, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * layers))
        self.attentions = nn.ModuleList(SelfAttention(width, 4) for _ in range(layers))
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))
            for _ in range(layers)
        )
        self.head = nn.Linear(2 * width, 64)

    def forward(self, ids: Tensor) -> Tensor:
        first = second = self.embed(ids)
        for i, (attention, mlp) in enumerate(zip(self.attentions, self.mlps, strict=True)):
            first = first + attention(self.norms[2 * i](second))
            second = second + mlp(self.norms[2 * i + 1](first))
        return self.head(torch.cat([first, second], dim=-1))


def make(layers: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return Streams(layers), torch.randint(0, 64, (2, 8))


def make_reversible(layers: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return TwoStreams(layers), torch.randint(0, 64, (2, 8))
