"""One decoder in the wirings that are mistaken for one another."""

from typing import Literal

import torch
from torch import Tensor, nn

from tests.models.handwritten.nano_gpt import SelfAttention

Order = Literal["pre", "post", "mis-wired", "deepnorm", "rezero", "unused norm", "cloned norm"]


class Wired(nn.Module):
    def __init__(self, order: Order, layers: int, width: int = 32) -> None:
        super().__init__()
        self.order = order
        self.embed = nn.Embedding(64, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * layers))
        self.shortcut_norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * layers))
        self.gates = nn.Parameter(torch.zeros(2 * layers))
        branches: list[nn.Module] = []
        for _ in range(layers):
            branches.append(SelfAttention(width, 4))
            branches.append(nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width)))
        self.branches = nn.ModuleList(branches)
        self.head = nn.Linear(width, 64, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        for i, (norm, branch) in enumerate(zip(self.norms, self.branches, strict=True)):
            x = self.step(x, i, norm, branch)
        return self.head(x)

    def step(self, x: Tensor, i: int, norm: nn.Module, branch: nn.Module) -> Tensor:
        if self.order == "pre":
            return x + branch(norm(x))
        if self.order == "post":
            return norm(x + branch(x))
        if self.order == "mis-wired":
            x = norm(x)
            x += branch(x)
            return x
        if self.order == "deepnorm":
            return norm(2.5 * x + branch(x))
        if self.order == "rezero":
            return x + self.gates[i] * branch(x)
        if self.order == "unused norm":
            norm(x)
            return x + branch(x)
        return self.shortcut_norms[i](x) + branch(norm(x))


def make(order: Order, layers: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return Wired(order, layers), torch.randint(0, 64, (2, 8))
