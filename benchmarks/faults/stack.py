"""A small model of a user's own: what ``tfixup check`` and ``audit`` are given in the campaigns."""

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """x + W₂ relu(W₁ LN(x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """The stream after the block."""
        return x + self.down(torch.relu(self.up(self.norm(x))))


class Stack(nn.Module):
    """Tokens, blocks, a norm, logits."""

    def __init__(self, depth: int, width: int = 8) -> None:
        super().__init__()
        self.tokens = nn.Embedding(11, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 11, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """The logits."""
        x = self.tokens(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def stack(depth: int) -> tuple[nn.Module, Tensor]:
    """The model with ``depth`` blocks, and a batch."""
    return Stack(depth), torch.arange(8).reshape(2, 4)
