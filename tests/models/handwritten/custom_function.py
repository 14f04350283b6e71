"""Products inside a custom `autograd.Function`, as fused kernels have them; queries after keys."""

import math
from typing import Any

import torch
from torch import Tensor, nn


class PackedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x @ weight.T

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = grad_outputs
        x, weight = ctx.saved_tensors
        return gradient @ weight, gradient.flatten(0, 1).T @ x.flatten(0, 1)


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.kqv = nn.Parameter(torch.randn(3 * width, width) / math.sqrt(width))
        self.out = nn.Parameter(torch.zeros(width, width))
        self.up = nn.Parameter(torch.randn(8 * width, width) / math.sqrt(width))
        self.down = nn.Parameter(torch.zeros(width, 4 * width))
        self.alpha = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        packed = PackedProduct.apply(x, self.kqv).view(batch, length, 3, self.heads, -1)
        k, q, v = packed.permute(2, 0, 3, 1, 4)
        scores = torch.einsum("bhkd,bhqd->bhkq", k, q) / math.sqrt(k.shape[-1])
        mask = torch.ones(length, length, dtype=torch.bool).tril(-1)
        weights = scores.masked_fill(mask, float("-inf")).softmax(dim=2)
        y = torch.einsum("bhkq,bhkd->bqhd", weights, v).flatten(2)
        x = x + self.alpha[0] * PackedProduct.apply(y, self.out)
        up, gate = PackedProduct.apply(x, self.up).unflatten(-1, (-1, 2)).unbind(-1)
        return x + self.alpha[1] * PackedProduct.apply(up * torch.sigmoid(gate), self.down)


class Custom(nn.Module):
    def __init__(self, layers: int, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, width)
        self.blocks = nn.ModuleList(Block(width, 4) for _ in range(layers))
        self.head = nn.Linear(width, 64, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def make(layers: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return Custom(layers), torch.randint(0, 64, (2, 8))
