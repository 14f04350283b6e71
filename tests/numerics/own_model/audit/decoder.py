"""A decoder written by hand in many dialects: the models of the audit's cases."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shape:
    """Sizes and dialect of a decoder."""

    layers: int = 4
    d: int = 64
    heads: int = 4
    d_ff: int = 128
    vocabulary: int = 200
    gated: bool = False
    packed: bool = False
    bias: bool = True
    tied: bool = False
    norm: str = "before"
    """before, on-stream, none or mis-wired."""
    final_norm: bool = True
    shortcut: float = 1.0
    multiplier: float = 1.0
    positions: bool = True
    embedding_multiplier: float = 1.0
    padding: int | None = None


class Attention(nn.Module):
    """Causal self-attention with q, k, v apart or packed."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        d, self.heads, self.packed = shape.d, shape.heads, shape.packed
        if shape.packed:
            self.qkv = nn.Linear(d, 3 * d, bias=shape.bias)
        else:
            self.wq, self.wk, self.wv = (nn.Linear(d, d, bias=shape.bias) for _ in range(3))
        self.wo = nn.Linear(d, d, bias=shape.bias)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(x).chunk(3, -1) if self.packed else (self.wq(x), self.wk(x), self.wv(x))
        q, k, v = (p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in parts)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.wo(mixed.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """w2(act(w1 x)) or w2(silu(w1 x) · w3 x)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.w1 = nn.Linear(shape.d, shape.d_ff, bias=shape.bias)
        self.w2 = nn.Linear(shape.d_ff, shape.d, bias=shape.bias)
        self.w3 = nn.Linear(shape.d, shape.d_ff, bias=shape.bias) if shape.gated else None

    def forward(self, x: Tensor) -> Tensor:
        if self.w3 is None:
            return self.w2(F.gelu(self.w1(x)))
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class Block(nn.Module):
    """Attention and MLP, each with its norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.attn, self.mlp = Attention(shape), MLP(shape)
        if shape.norm != "none":
            self.norm1, self.norm2 = nn.LayerNorm(shape.d), nn.LayerNorm(shape.d)

    def forward(self, x: Tensor) -> Tensor:
        for branch, name in ((self.attn, "norm1"), (self.mlp, "norm2")):
            norm = getattr(self, name, nn.Identity())
            a, m = self.shape.shortcut, self.shape.multiplier
            if self.shape.norm == "mis-wired":
                x = norm(x)
                x = x + branch(x)
            elif self.shape.norm == "before":
                x = _times(a, x) + _times(m, branch(norm(x)))
            else:
                x = _times(a, x) + _times(m, branch(x))
                x = norm(x)
        return x


def _times(factor: float, x: Tensor) -> Tensor:
    return x if factor == 1 else factor * x


class Decoder(nn.Module):
    """Embedding, blocks, norm, head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.wte = nn.Embedding(shape.vocabulary, shape.d, padding_idx=shape.padding)
        self.wpe = nn.Embedding(32, shape.d) if shape.positions else None
        self.h: Any = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        before = shape.norm in ("before", "mis-wired")
        self.norm = nn.LayerNorm(shape.d) if before and shape.final_norm else None
        self.head = nn.Linear(shape.d, shape.vocabulary, bias=False)
        if shape.tied:
            self.head.weight = self.wte.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = _times(self.shape.embedding_multiplier, self.wte(ids))
        if self.wpe is not None:
            x = x + self.wpe(torch.arange(ids.shape[1]))
        for block in self.h:
            x = block(x)
        return self.head(x if self.norm is None else self.norm(x))


def decoder(seed: int = 0, **changes: object) -> Decoder:
    """A decoder with torch's own weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Decoder(Shape(**changes))  # pyright: ignore[reportArgumentType]


def draw_gpt2_(model: Decoder, std: float = 0.02, seed: int = 0) -> Decoder:
    """GPT-2's rule written out by names, as its users write it."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("bias"):
                p.zero_()
            elif p.dim() == 2:
                out = name.endswith(("wo.weight", "w2.weight"))
                p.normal_(0.0, std / math.sqrt(2 * model.shape.layers) if out else std, generator=g)
    return model
