"""Further dialects of the hand-written decoder, for mistakes that need one."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.numerics.own_model.audit.decoder import MLP, Attention, Decoder, Shape


class Conv1D(nn.Module):
    """A linear layer that stores (in, out), as GPT-2's does."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


class TransposedMLP(nn.Module):
    """w2(gelu(w1 x)) of transposed matrices."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.w1, self.w2 = Conv1D(shape.d, shape.d_ff), Conv1D(shape.d_ff, shape.d)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.gelu(self.w1(x)))


class GroupedAttention(Attention):
    """Fewer heads of k and v than of q, rotated positions."""

    def __init__(self, shape: Shape, groups: int = 2) -> None:
        super().__init__(shape)
        self.groups, width = groups, shape.d // shape.heads * groups
        self.wk, self.wv = (nn.Linear(shape.d, width, bias=shape.bias) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        q = rotated(self.wq(x).unflatten(-1, (self.heads, -1)).transpose(1, 2))
        k = rotated(self.wk(x).unflatten(-1, (self.groups, -1)).transpose(1, 2))
        v = self.wv(x).unflatten(-1, (self.groups, -1)).transpose(1, 2)
        k, v = (y.repeat_interleave(self.heads // self.groups, 1) for y in (k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.wo(mixed.transpose(1, 2).flatten(2))


def rotated(x: Tensor) -> Tensor:
    """Rotary positions."""
    half = x.shape[-1] // 2
    rates = 10_000.0 ** (-torch.arange(half) / half)
    angles = torch.arange(x.shape[-2])[:, None] * rates
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()), -1)


class QKNormAttention(Attention):
    """q and k normalised head by head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.q_norm, self.k_norm = (nn.RMSNorm(shape.d // shape.heads) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        parts = (self.wq(x), self.wk(x), self.wv(x))
        q, k, v = (p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in parts)
        mixed = F.scaled_dot_product_attention(self.q_norm(q), self.k_norm(k), v, is_causal=True)
        return self.wo(mixed.transpose(1, 2).flatten(2))


class LowRank(nn.Module):
    """A linear layer plus B A x, as in LoRA."""

    def __init__(self, base: nn.Linear, rank: int = 4) -> None:
        super().__init__()
        self.base = base
        self.a = nn.Parameter(torch.zeros(rank, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + (x @ self.a.T) @ self.b.T


class Adapted(nn.Module):
    """A linear layer plus B A x, with the two matrices in modules of their own, as in PEFT."""

    def __init__(self, base: nn.Linear, rank: int = 4) -> None:
        super().__init__()
        self.base = base
        self.lora_A = nn.ModuleDict({"x": nn.Linear(base.in_features, rank, bias=False)})
        self.lora_B = nn.ModuleDict({"x": nn.Linear(rank, base.out_features, bias=False)})

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.lora_B["x"](self.lora_A["x"](x))


class Experts(nn.Module):
    """Every expert on every token, weighted by a router."""

    def __init__(self, shape: Shape, experts: int = 4) -> None:
        super().__init__()
        self.router = nn.Linear(shape.d, experts, bias=False)
        self.experts = nn.ModuleList(MLP(shape) for _ in range(experts))

    def forward(self, x: Tensor) -> Tensor:
        weights = self.router(x).softmax(-1)
        return sum(
            (weights[..., i : i + 1] * expert(x) for i, expert in enumerate(self.experts)),
            torch.zeros_like(x),
        )


def dialect(
    attention: type[nn.Module] | None = None, mlp: type[nn.Module] | None = None, **changes: object
) -> Decoder:
    """A decoder whose blocks have other parts; positions are rotated where k and v are grouped."""
    shape = Shape(**changes)  # pyright: ignore[reportArgumentType]
    model = Decoder(shape)
    for block in model.h:
        if attention is not None:
            block.attn = attention(shape)
        if mlp is not None:
            block.mlp = mlp(shape)
    return model


def draw_(model: nn.Module, std: float = 0.02, writers: float | None = None) -> nn.Module:
    """N(0, std) of every matrix, the writers' own, zeros in the biases, gains left at 1."""
    layers = len(model.h) if isinstance(model, Decoder) else 1
    written = std * (2 * layers) ** -0.5 if writers is None else writers
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() > 1:
                out = name.endswith(("wo.weight", "w2.weight", "wo.base.weight"))
                p.normal_(0.0, written if out else std)
            elif name.endswith("bias"):
                p.zero_()
    return model
