"""A decoder that reads a memory of another width through `nn.MultiheadAttention`."""

import torch
from torch import Tensor, nn


class Layer(nn.Module):
    def __init__(self, width: int, memory: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.cross = nn.MultiheadAttention(width, heads, kdim=memory, vdim=memory, batch_first=True)
        self.linear1 = nn.Linear(width, 48)
        self.linear2 = nn.Linear(48, width)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        y = self.norms[0](x)
        mask = torch.full((x.shape[1], x.shape[1]), float("-inf")).triu(1)
        x = x + self.self_attention(y, y, y, attn_mask=mask, need_weights=False)[0]
        x = x + self.cross(self.norms[1](x), memory, memory)[0]
        return x + self.linear2(torch.relu(self.linear1(self.norms[2](x))))


class Reader(nn.Module):
    def __init__(self, layers: int, width: int = 32, memory: int = 24) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, width)
        self.positions = nn.Parameter(torch.randn(16, width) * 0.02)
        self.layers = nn.ModuleList(Layer(width, memory, 4) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 64, bias=False)

    def forward(self, ids: Tensor, memory: Tensor) -> Tensor:
        x = self.embed(ids) + self.positions[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x, memory)
        return self.head(self.norm(x))


def make(layers: int) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    return Reader(layers), (torch.randint(0, 64, (2, 8)), torch.randn(2, 5, 24))
