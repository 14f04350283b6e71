"""RMS norm, SwiGLU, grouped heads and rotations, all layers' matrices in three-axis banks."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Banked(nn.Module):
    """Layer l reads `qkv[l]`, `out[l]`, `up[l]`, `down[l]`; there is no module for a layer."""

    def __init__(self, layers: int, width: int = 32, heads: int = 4, kv_heads: int = 2) -> None:
        super().__init__()
        self.layers, self.heads, self.kv_heads = layers, heads, kv_heads
        self.size = width // heads
        rows = (heads + 2 * kv_heads) * self.size
        self.embed = nn.Parameter(torch.randn(64, width))
        self.qkv = nn.Parameter(torch.randn(layers, rows, width) * 0.1)
        self.out = nn.Parameter(torch.zeros(layers, width, width))
        self.up = nn.Parameter(torch.randn(layers, width, 4 * width) * 0.1)  # (in, out)
        self.down = nn.Parameter(torch.zeros(layers, 2 * width, width))
        self.head = nn.Parameter(torch.zeros(width, 64))

    def forward(self, ids: Tensor) -> Tensor:
        x = F.embedding(ids, self.embed)
        for layer in range(self.layers):
            x = x + self.attention(F.rms_norm(x, x.shape[-1:]), layer)
            x = x + self.mlp(F.rms_norm(x, x.shape[-1:]), layer)
        return F.rms_norm(x, x.shape[-1:]) @ self.head

    def attention(self, x: Tensor, layer: int) -> Tensor:
        batch, length, width = x.shape
        packed = F.linear(x, self.qkv[layer]).view(batch, length, -1, self.size)
        q, k, v = packed.split([self.heads, self.kv_heads, self.kv_heads], dim=2)
        q, k, v = (self.turned(t).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return F.linear(y.transpose(1, 2).reshape(batch, length, width), self.out[layer])

    def turned(self, x: Tensor) -> Tensor:
        angles = torch.outer(torch.arange(x.shape[1]), 0.1 ** torch.arange(self.size // 2))
        first, second = x.chunk(2, dim=-1)
        cos, sin = angles.cos()[:, None], angles.sin()[:, None]
        return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)

    def mlp(self, x: Tensor, layer: int) -> Tensor:
        gate, up = (x @ self.up[layer]).chunk(2, dim=-1)
        return (F.silu(gate) * up) @ self.down[layer]


def make(layers: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return Banked(layers), torch.randint(0, 64, (2, 8))
