"""Attention and MLP side by side, with one matrix into both and one matrix out of both."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FusedBlock(nn.Module):
    """In the manner of PaLM and ViT-22B: x + W_out·[attention; MLP] of one norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.sizes = [width, width, width, 4 * width]
        self.norm = nn.LayerNorm(width)
        self.fused_in = nn.Linear(width, sum(self.sizes), bias=False)
        self.fused_out = nn.Linear(5 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v, hidden = self.fused_in(self.norm(x)).split(self.sizes, dim=-1)
        batch, length, width = q.shape
        q, k, v = (t.view(batch, length, self.heads, -1).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y.transpose(1, 2).reshape(batch, length, width)
        return x + self.fused_out(torch.cat([y, F.gelu(hidden)], dim=-1))


class FusedParallel(nn.Module):
    def __init__(self, layers: int, width: int = 32, heads: int = 4) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, width)
        self.blocks = nn.ModuleList(FusedBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 64, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def make(layers: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return FusedParallel(layers), torch.randint(0, 64, (2, 8))
