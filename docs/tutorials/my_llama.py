"""A decoder in the manner of Llama: RMS norms, rotary positions, a gated MLP, no biases."""

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """Attention and a gated MLP, each added to the stream."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.q, self.k = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.v, self.o = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.gate, self.up = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """x + attention, then x + MLP."""
        batch, tokens, width = x.shape
        read = self.norm1(x)
        q, k, v = (
            part(read).view(batch, tokens, self.heads, -1).transpose(1, 2)
            for part in (self.q, self.k, self.v)
        )
        q, k = turned(q, cos, sin), turned(k, cos, sin)
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(seen.transpose(1, 2).reshape(batch, tokens, width))
        read = self.norm2(x)
        return x + self.down(functional.silu(self.gate(read)) * self.up(read))


def turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Pairs of coordinates rotated by their position's angles."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Llama(nn.Module):
    """Token ids to logits."""

    def __init__(self, layers: int, width: int = 64, heads: int = 4, vocabulary: int = 128) -> None:
        super().__init__()
        self.size = width // heads
        self.tokens = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(Block(width, heads, 172) for _ in range(layers))
        self.norm, self.head = nn.RMSNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits of the next token."""
        frequencies = 10_000.0 ** (-torch.arange(0, self.size, 2) / self.size)
        angles = torch.arange(ids.shape[1])[:, None] * frequencies
        x = self.tokens(ids)
        for block in self.blocks:
            x = block(x, angles.cos(), angles.sin())
        return self.head(self.norm(x))


def make(layers: int) -> tuple[Llama, torch.Tensor]:
    """The factory that the commands call with each depth: a model and a batch."""
    ids = torch.randint(128, (2, 16), generator=torch.Generator().manual_seed(0))
    return Llama(layers), ids
