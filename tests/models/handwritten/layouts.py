"""Layouts of q, k and v, and ways to add, that users choose freely."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, HEADS, SIZE, VOCABULARY = 32, 4, 8, 64


class Layers(nn.Module):
    """An embedding, layers that a subclass defines, and a head."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = layers
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.build(layers)

    def build(self, layers: int) -> None:
        raise NotImplementedError

    def layer(self, x: Tensor, i: int) -> Tensor:
        raise NotImplementedError

    def forward(self, *batch: Tensor) -> Tensor:
        x = self.embed(batch[0])
        for i in range(self.layers):
            x = self.layer(x, i)
        return self.head(x)


def linears(count: int, fan_in: int, fan_out: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(fan_in, fan_out) for _ in range(count))


def matrices(count: int, *shape: int) -> nn.ParameterList:
    return nn.ParameterList(nn.Parameter(torch.randn(*shape) * 0.1) for _ in range(count))


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def heads(x: Tensor) -> Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


class PerHead(Layers):
    """Three-axis matrices, one per head, contracted by einsum; the MLP's are (in, out)."""

    def build(self, layers: int) -> None:
        self.a = matrices(layers, HEADS, WIDTH, SIZE)
        self.b = matrices(layers, HEADS, WIDTH, SIZE)
        self.c = matrices(layers, HEADS, WIDTH, SIZE)
        self.d = matrices(layers, HEADS, SIZE, WIDTH)
        self.f = matrices(layers, WIDTH, 64)
        self.g = matrices(layers, 64, WIDTH)

    def layer(self, x: Tensor, i: int) -> Tensor:
        n = F.layer_norm(x, (WIDTH,))
        q, k, v = (torch.einsum("btd,hde->bhte", n, w[i]) for w in (self.a, self.b, self.c))
        weights = torch.einsum("bhqe,bhke->bhqk", q, k).div(math.sqrt(SIZE)).softmax(-1)
        x = x + torch.einsum("bhqk,bhke,hed->bqd", weights, v, self.d[i])
        return x + torch.relu(F.layer_norm(x, (WIDTH,)) @ self.f[i]) @ self.g[i]


class Fastest(Layers):
    """q, k, v on the fastest axis, an MLP of convolutions with `glu`, additions in place."""

    def build(self, layers: int) -> None:
        self.qkv = linears(layers, WIDTH, 3 * WIDTH)
        self.out = linears(layers, WIDTH, WIDTH)
        self.enter = nn.ModuleList(nn.Conv1d(WIDTH, 128, 1) for _ in range(layers))
        self.leave = nn.ModuleList(nn.Conv1d(64, WIDTH, 1) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2 * layers))

    def layer(self, x: Tensor, i: int) -> Tensor:
        packed = self.qkv[i](self.norms[2 * i](x)).unflatten(-1, (HEADS, SIZE, 3))
        q, k, v = packed.permute(4, 0, 2, 1, 3)
        y = self.out[i](attend(q, k, v).transpose(1, 2).flatten(2))
        y += x
        z = F.glu(self.enter[i](self.norms[2 * i + 1](y).transpose(1, 2)), dim=1)
        return self.leave[i](z).transpose(1, 2).add_(y)


class AddedProduct(Layers):
    """`torch.addmm` onto the flattened stream, and RMS norm as a quotient of norms."""

    def build(self, layers: int) -> None:
        self.qkv = linears(layers, WIDTH, 3 * WIDTH)
        self.out = matrices(layers, WIDTH, WIDTH)
        self.enter = linears(layers, WIDTH, 64)
        self.leave = matrices(layers, 64, WIDTH)

    def norm(self, x: Tensor) -> Tensor:
        return x / x.norm(dim=-1, keepdim=True) * math.sqrt(WIDTH)

    def layer(self, x: Tensor, i: int) -> Tensor:
        q, k, v = (heads(t) for t in self.qkv[i](self.norm(x)).chunk(3, -1))
        y = attend(q, k, v).transpose(1, 2).reshape(-1, WIDTH)
        x = torch.addmm(x.view(-1, WIDTH), y, self.out[i]).view(x.shape)
        y = F.gelu(self.enter[i](self.norm(x))).flatten(0, 1)
        return torch.addmm(x.view(-1, WIDTH), y, self.leave[i]).view(x.shape)


class Linear(Layers):
    """Attention without a softmax: (φ(q)·(φ(k)ᵀv)) / (φ(q)·Σφ(k))."""

    def build(self, layers: int) -> None:
        self.qkv = linears(layers, WIDTH, 3 * WIDTH)
        self.out = linears(layers, WIDTH, WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(layers))

    def layer(self, x: Tensor, i: int) -> Tensor:
        q, k, v = (heads(t) for t in self.qkv[i](self.norms[i](x)).chunk(3, -1))
        q, k = F.elu(q) + 1, F.elu(k) + 1
        state = torch.einsum("bhnd,bhne->bhde", k, v)
        size = 1 / (torch.einsum("bhnd,bhd->bhn", q, k.sum(2)) + 1e-6)
        y = torch.einsum("bhnd,bhde,bhn->bhne", q, state, size)
        return x + self.out[i](y.transpose(1, 2).flatten(2))


class LowRank(Layers):
    """Low-rank updates beside q's matrix and merged into v's."""

    def build(self, layers: int) -> None:
        self.q, self.k = linears(layers, WIDTH, WIDTH), linears(layers, WIDTH, WIDTH)
        self.v, self.out = matrices(layers, WIDTH, WIDTH), linears(layers, WIDTH, WIDTH)
        self.down_q, self.up_q = matrices(layers, 4, WIDTH), matrices(layers, WIDTH, 4)
        self.down_v, self.up_v = matrices(layers, 4, WIDTH), matrices(layers, WIDTH, 4)

    def layer(self, x: Tensor, i: int) -> Tensor:
        n = F.layer_norm(x, (WIDTH,))
        q = self.q[i](n) + 2 * (n @ self.down_q[i].T) @ self.up_q[i].T
        v = n @ (self.v[i] + 2 * self.up_v[i] @ self.down_v[i]).T
        y = attend(heads(q), heads(self.k[i](n)), heads(v))
        return x + self.out[i](y.transpose(1, 2).flatten(2))


def make(kind: type[Layers], layers: int = 2) -> tuple[nn.Module, Tensor]:
    return kind(layers), torch.randint(0, VOCABULARY, (2, 8))
