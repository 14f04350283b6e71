"""Small models of the real cases, written as their authors write them."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, HEADS, HIDDEN, VOCABULARY = 48, 4, 128, 64
Draw = Callable[[str, nn.Parameter, int], None]


class Attention(nn.Module):
    def __init__(self, d: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.q, self.k, self.v, self.o = (nn.Linear(d, d, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        three = (m(x) for m in (self.q, self.k, self.v))
        q, k, v = (y.unflatten(-1, (HEADS, -1)).transpose(1, 2) for y in three)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.o(mixed.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, d: int, hidden: int, gated: bool) -> None:
        super().__init__()
        self.w1, self.w2 = nn.Linear(d, hidden, bias=False), nn.Linear(hidden, d, bias=False)
        self.w3 = nn.Linear(d, hidden, bias=False) if gated else None

    def forward(self, x: Tensor) -> Tensor:
        if self.w3 is not None:
            return self.w2(F.silu(self.w1(x)) * self.w3(x))
        return self.w2(torch.relu(self.w1(x)))


class Block(nn.Module):
    """One layer; ``wiring``: pre, post, deepnorm, miswired, none or rezero."""

    alpha = 1.0
    """DeepNorm's multiplier of the shortcut."""

    def __init__(self, wiring: str, d: int, *, gated: bool = False, causal: bool = True) -> None:
        super().__init__()
        self.wiring = wiring
        self.attention, self.mlp = Attention(d, causal), MLP(d, HIDDEN * d // WIDTH, gated)
        if wiring in ("pre", "post", "deepnorm", "miswired"):
            self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        if wiring == "rezero":
            self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        for branch, name in ((self.attention, "norm1"), (self.mlp, "norm2")):
            if self.wiring == "pre":
                x = x + branch(getattr(self, name)(x))
            elif self.wiring == "post":
                x = getattr(self, name)(x + branch(x))
            elif self.wiring == "deepnorm":
                x = getattr(self, name)(self.alpha * x + branch(x))
            elif self.wiring == "miswired":
                x = getattr(self, name)(x)
                x = x + branch(x)
            elif self.wiring == "rezero":
                x = x + self.gate * branch(x)
            else:
                x = x + branch(x)
        return x


class Blocks(nn.ModuleList):
    """A list of `Block`, whose type a checker can follow."""

    def __iter__(self) -> Iterator[Block]:
        return super().__iter__()  # type: ignore[return-value]


class Model(nn.Module):
    """Embedding, blocks, a norm where the blocks are Pre-LN, a head."""

    def __init__(
        self,
        layers: int,
        wiring: str = "pre",
        *,
        d: int = WIDTH,
        gated: bool = False,
        causal: bool = True,
        tied: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, d)
        blocks = [Block(wiring, d, gated=gated, causal=causal) for _ in range(layers)]
        self.blocks = Blocks(blocks)
        self.norm = nn.LayerNorm(d) if wiring in ("pre", "miswired") else nn.Identity()
        self.head = nn.Linear(d, VOCABULARY, bias=False)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def tokens(seed: int = 7, sequences: int = 2, length: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(VOCABULARY, (sequences, length), generator=generator)


def gpt2_(model: Model, std: float = 0.08, scaled: tuple[str, ...] = ("o", "w2")) -> Model:
    """GPT-2's 0.02 at this width, and /√(2L) on the matrices named; embeddings of RMS 1."""
    layers = len(model.blocks)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 2:
                leaf = name.split(".")[-2]
                p.normal_(0.0, std / math.sqrt(2 * layers) if leaf in scaled else std)
        model.embedding.weight.normal_()
    return model


def xavier_(model: Model) -> Model:
    """Xavier's matrices and embeddings of RMS 1."""
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() == 2:
                nn.init.xavier_normal_(p)
        model.embedding.weight.normal_()
    return model


def tfixup_(model: Model) -> Model:
    """The solved scales of a single stack without norms: 0.638943 L^(−1/4), embeddings as well."""
    scale = 0.638943 * len(model.blocks) ** -0.25
    xavier_(model)
    with torch.no_grad():
        for name, p in model.named_parameters():
            leaf = name.split(".")[-2] if "." in name else name
            if leaf in ("v", "o", "w1", "w2"):
                p.mul_(scale)
            elif leaf == "embedding":
                p.normal_(0.0, scale)
    return model


def copied_(model: Model) -> Model:
    """All layers equal to the first, in memory of their own."""
    first = model.blocks[0].state_dict()
    for block in model.blocks:
        block.load_state_dict(first)
    return model
