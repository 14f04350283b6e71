"""A mixture of experts in three-axis parameters, a router that chooses two, and a shared expert."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.models.handwritten.nano_gpt import SelfAttention


class Experts(nn.Module):
    def __init__(self, width: int, experts: int, hidden: int) -> None:
        super().__init__()
        self.router = nn.Linear(width, experts, bias=False)
        self.w1 = nn.Parameter(torch.randn(experts, width, 2 * hidden) * 0.1)
        self.w2 = nn.Parameter(torch.randn(experts, hidden, width) * 0.1)
        self.shared_in = nn.Linear(width, hidden)
        self.shared_out = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        weights, chosen = F.softmax(self.router(flat), dim=-1).topk(2, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)
        y = torch.zeros_like(flat)
        for expert in range(self.w1.shape[0]):
            token, place = torch.where(chosen == expert)
            up, gate = (flat[token] @ self.w1[expert]).chunk(2, dim=-1)
            result = (up * F.silu(gate)) @ self.w2[expert]
            y.index_add_(0, token, result * weights[token, place, None])
        shared = self.shared_out(F.gelu(self.shared_in(flat)))
        return (y + shared).view_as(x)


class Layer(nn.Module):
    def __init__(self, width: int, experts: int) -> None:
        super().__init__()
        self.norm_1 = nn.RMSNorm(width)
        self.attention = SelfAttention(width, 4)
        self.norm_2 = nn.RMSNorm(width)
        self.experts = Experts(width, experts, 24)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm_1(x))
        return x + self.experts(self.norm_2(x))


class Mixture(nn.Module):
    def __init__(self, layers: int, width: int = 32, experts: int = 6) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, width)
        self.layers = nn.ModuleList(Layer(width, experts) for _ in range(layers))
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, 64, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def make(layers: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return Mixture(layers), torch.randint(0, 64, (2, 8))
