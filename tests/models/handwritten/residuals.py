"""Residual streams with something more than x + F(x), some of which must be refused."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.models.handwritten.layouts import (
    HEADS,
    VOCABULARY,
    WIDTH,
    Layers,
    attend,
    heads,
    linears,
)


def encoder_layer() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(WIDTH, HEADS, 64, batch_first=True, norm_first=True)


class Rescaled(Layers):
    """(x + F(x))·√½ after every branch."""

    def build(self, layers: int) -> None:
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(layers))
        self.enter, self.leave = linears(layers, WIDTH, 64), linears(layers, 64, WIDTH)

    def layer(self, x: Tensor, i: int) -> Tensor:
        y = self.leave[i](F.gelu(self.enter[i](self.norms[i](x))))
        return (x + y) * math.sqrt(0.5)


class Injected(Layers):
    """The embedding mixed in before each layer and added at the end, the first layer's values mixed
    into all others, an adapter behind the MLP: none of these is a branch."""

    def build(self, layers: int) -> None:
        self.q, self.k = linears(layers, WIDTH, WIDTH), linears(layers, WIDTH, WIDTH)
        self.v, self.out = linears(layers, WIDTH, WIDTH), linears(layers, WIDTH, WIDTH)
        self.enter, self.leave = linears(layers, WIDTH, 64), linears(layers, 64, WIDTH)
        self.down, self.up = linears(layers, WIDTH, 4), linears(layers, 4, WIDTH)
        self.mix = nn.Parameter(torch.ones(layers, 2))
        self.values = nn.Parameter(torch.full((layers,), 0.5))

    def norm(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:])

    def forward(self, *batch: Tensor) -> Tensor:
        x = start = self.norm(self.embed(batch[0]))
        first: Tensor | None = None
        for i in range(self.layers):
            x = self.mix[i, 0] * x + self.mix[i, 1] * start
            q, k, v = (heads(m[i](self.norm(x))) for m in (self.q, self.k, self.v))
            first = v if first is None else first
            v = (1 - self.values[i]) * v + self.values[i] * first
            y = attend(self.norm(q), self.norm(k), v)
            x = x + self.out[i](y.transpose(1, 2).flatten(2))
            y = self.leave[i](F.relu(self.enter[i](self.norm(x))).square())
            x = x + (y + self.up[i](F.relu(self.down[i](y))))
        return self.head(self.norm(x + start))


class Hourglass(Layers):
    """A shortened stream with layers of its own inside one branch of the outer stream."""

    def build(self, layers: int) -> None:
        self.outer = encoder_layer()
        self.inner = nn.ModuleList(encoder_layer() for _ in range(layers))
        self.expand = nn.Linear(WIDTH, 2 * WIDTH)

    def forward(self, *batch: Tensor) -> Tensor:
        x = self.outer(self.embed(batch[0]))
        y = x.unflatten(1, (-1, 2)).mean(2)
        for layer in self.inner:
            y = layer(y)
        x = x + self.expand(y).view(x.shape)
        return self.head(self.outer(x))


class Highway(Layers):
    """t·F(x) + (1 − t)·x with a gate t that depends on x."""

    def build(self, layers: int) -> None:
        self.gate, self.map = linears(layers, WIDTH, WIDTH), linears(layers, WIDTH, WIDTH)

    def layer(self, x: Tensor, i: int) -> Tensor:
        t = torch.sigmoid(self.gate[i](x))
        return t * torch.relu(self.map[i](x)) + (1 - t) * x


class Joint(Layers):
    """Two streams of two kinds of tokens with one attention over both."""

    def build(self, layers: int) -> None:
        self.enter = nn.Linear(5, WIDTH)
        self.qkv_a, self.qkv_b = linears(layers, WIDTH, 96), linears(layers, WIDTH, 96)
        self.out_a, self.out_b = linears(layers, WIDTH, WIDTH), linears(layers, WIDTH, WIDTH)

    def forward(self, *batch: Tensor) -> Tensor:
        ids, image = batch
        a, b = self.embed(ids), self.enter(image)
        for i in range(self.layers):
            packed = [self.qkv_a[i](F.layer_norm(a, (WIDTH,)))]
            packed.append(self.qkv_b[i](F.layer_norm(b, (WIDTH,))))
            q, k, v = (heads(t) for t in torch.cat(packed, 1).chunk(3, -1))
            y = attend(q, k, v).transpose(1, 2).flatten(2)
            a = a + self.out_a[i](y[:, : a.shape[1]])
            b = b + self.out_b[i](y[:, a.shape[1] :])
        return self.head(torch.cat([a, b], 1))


class Latents(Layers):
    """Trained latents that read the batch once and then themselves."""

    def build(self, layers: int) -> None:
        self.latents = nn.Parameter(torch.randn(5, WIDTH))
        self.enter = nn.Linear(10, 24)
        self.norm_q, self.norm_k = nn.LayerNorm(WIDTH), nn.LayerNorm(24)
        self.read = nn.MultiheadAttention(WIDTH, HEADS, kdim=24, vdim=24, batch_first=True)
        self.blocks = nn.ModuleList(encoder_layer() for _ in range(layers))

    def forward(self, *batch: Tensor) -> Tensor:
        memory = self.norm_k(self.enter(batch[0]))
        y = self.latents.expand(len(memory), -1, -1)
        y = y + self.read(self.norm_q(y), memory, memory, need_weights=False)[0]
        for block in self.blocks:
            y = block(y)
        return self.head(y.mean(1))


class Conditioned(Layers):
    """Norms and branches modulated by a condition, all of whose matrices begin at zero."""

    def build(self, layers: int) -> None:
        self.condition = nn.Sequential(nn.Linear(3, WIDTH), nn.SiLU())
        self.modulation = linears(layers, WIDTH, 6 * WIDTH)
        self.attention = nn.ModuleList(
            nn.MultiheadAttention(WIDTH, HEADS, batch_first=True) for _ in range(layers)
        )
        self.enter, self.leave = linears(layers, WIDTH, 64), linears(layers, 64, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, elementwise_affine=False)
        for module in self.modulation:
            assert isinstance(module, nn.Linear)
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)

    def forward(self, *batch: Tensor) -> Tensor:
        ids, condition = batch
        x, c = self.embed(ids), self.condition(condition)
        for i in range(self.layers):
            a, b, g, d, e, f = self.modulation[i](c)[:, None].chunk(6, -1)
            y = self.norm(x) * (1 + a) + b
            x = x + g * self.attention[i](y, y, y, need_weights=False)[0]
            x = x + f * self.leave[i](F.gelu(self.enter[i](self.norm(x) * (1 + d) + e)))
        return self.head(self.norm(x))


def make(kind: type[Layers], layers: int = 2) -> tuple[nn.Module, object]:
    ids = torch.randint(0, VOCABULARY, (2, 8))
    batches: dict[type[Layers], object] = {
        Joint: (ids, torch.randn(2, 6, 5)),
        Latents: torch.randn(2, 7, 10),
        Conditioned: (ids, torch.randn(2, 3)),
    }
    return kind(layers), batches.get(kind, ids)
