"""Multi-head attention, Eq. 5 of T-Fixup, with the 1/√d' of practice.

Attn(a, b, c) = softmax(b q kᵀ aᵀ / √d') c v wᵀ per head. The softmax is written out because the
fused kernels have no second derivative, which lim ‖Δf‖/η needs; training needs none and turns them
on (`fuse_attention`). They differ from the written form by rounding, and where a query may see no
key: there the written form is NaN, and the fused one 0.

Today's traits are off by default: fewer heads of keys and values than of queries (grouped heads),
RMS norm of queries and keys, rotary positions, another power of d', a norm before w.

Shape suffixes: B batch, T query tokens, S key tokens, D width, H heads, K = D / H.
"""

from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.models.norms import AnyNorm, Norm, NormKind, NormTraits
from numerics.models.positions import rotated
from theory.errors import InputError


class QKNorm(StrEnum):
    """Over what the queries and keys are normalised, by RMS norm with a gain."""

    ABSENT = "absent"
    HEAD = "head"
    """Each head's K coordinates (Qwen3)."""
    ALL = "all"
    """The whole vector before it is split into heads (OLMo 2)."""


@dataclass(frozen=True)
class AttentionTraits:
    """What attention does beside Eq. 5; the default is Eq. 5."""

    key_heads: int | None = None
    """Heads of keys and values, each read by heads/key_heads heads of queries; ``None`` is all."""
    qk_norm: QKNorm = QKNorm.ABSENT
    """Whether queries and keys are normalised."""
    power: float = -0.5
    """The logits are multiplied by d' to this power: -1/2 in practice, 0 in T5, -1 in μP."""
    rotary_base: float = 10000.0
    """Longest wavelength ÷ 2π of rotary positions, where the model has them."""

    def __post_init__(self) -> None:
        if self.key_heads is not None and self.key_heads < 1:
            raise InputError(f"key_heads must be at least 1, got {self.key_heads}")
        if not 0 < self.rotary_base < float("inf"):
            raise InputError(f"rotary_base must be positive and finite, got {self.rotary_base}")
        if not abs(self.power) < float("inf"):
            raise InputError(f"power must be finite, got {self.power}")


PLAIN_ATTENTION = AttentionTraits()
"""Eq. 5 and nothing else."""


class Attention(nn.Module):
    """Attention of queries ``y`` over a memory, or over ``y`` itself.

    ``in_proj`` stacks q, k, v row-wise so that self-attention is one matrix product; ``out_proj``
    is the paper's w. With grouped heads q, k and v are three parameters, ``q_proj``, ``k_proj``,
    ``v_proj``. Entries are left unset: a scheme draws them. ``rotary`` is for self-attention.
    """

    def __init__(
        self,
        d_model: int,
        heads: int,
        *,
        biases: bool,
        traits: AttentionTraits = PLAIN_ATTENTION,
        rotary: bool = False,
        inner_norm: AnyNorm | None = None,
    ) -> None:
        super().__init__()
        self.traits = traits
        self.heads, self.rotary = heads, rotary
        self.key_heads = key_heads = traits.key_heads or heads
        self.fused = False
        own = d_model // heads
        grouped = key_heads != heads
        if grouped:
            for letter, count in (("q", heads), ("k", key_heads), ("v", key_heads)):
                matrix = nn.Parameter(torch.empty(count * own, d_model))
                self.register_parameter(f"{letter}_proj", matrix)
        else:
            self.in_proj = nn.Parameter(torch.empty(3 * d_model, d_model))
        self.out_proj = nn.Parameter(torch.empty(d_model, d_model))
        if grouped:
            for letter, count in (("q", heads), ("k", key_heads), ("v", key_heads)):
                bias = nn.Parameter(torch.zeros(count * own)) if biases else None
                self.register_parameter(f"{letter}_bias", bias)
        else:
            self.in_bias = nn.Parameter(torch.zeros(3 * d_model)) if biases else None
        self.out_bias = nn.Parameter(torch.zeros(d_model)) if biases else None
        self.q_norm, self.k_norm = (
            _qk_norm(traits.qk_norm, own, count) for count in (heads, key_heads)
        )
        self.inner_norm = inner_norm

    def forward(
        self,
        y_BTD: Float[Tensor, "B T D"],
        memory_BSD: Float[Tensor, "B S D"] | None = None,
        blocked: Bool[Tensor, "*B1T S"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Attend; ``blocked`` is true where a query must not see a key."""
        q_BHTK, k_BHSK, v_BHSK = self.heads_of(y_BTD, memory_BSD)
        power = self.traits.power
        mixed = _fused if self.fused else _written
        mixed_BHTK = mixed(q_BHTK, k_BHSK, v_BHSK, blocked, power)
        mixed_BTD = mixed_BHTK.transpose(-2, -3).flatten(-2)
        if self.inner_norm is not None:
            mixed_BTD = self.inner_norm(mixed_BTD)
        return F.linear(mixed_BTD, self.out_proj, self.out_bias)

    def heads_of(
        self, y_BTD: Float[Tensor, "B T D"], memory_BSD: Float[Tensor, "B S D"] | None
    ) -> tuple[Float[Tensor, "B H T K"], Float[Tensor, "B H S K"], Float[Tensor, "B H S K"]]:
        """Queries, keys and values by head, as the softmax meets them."""
        q, k, v = self._projected(y_BTD, memory_BSD)
        if self.q_norm is not None and self.k_norm is not None:
            q = self.q_norm(q.unflatten(-1, (-1, self.q_norm.width))).flatten(-2)
            k = self.k_norm(k.unflatten(-1, (-1, self.k_norm.width))).flatten(-2)
        q_BHTK = self._split(q, self.heads)
        k_BHSK, v_BHSK = (self._split(part, self.key_heads) for part in (k, v))
        if self.rotary:
            q_BHTK, k_BHSK = (rotated(x, self.traits.rotary_base) for x in (q_BHTK, k_BHSK))
        if self.key_heads != self.heads:
            group = self.heads // self.key_heads
            k_BHSK, v_BHSK = (x.repeat_interleave(group, dim=-3) for x in (k_BHSK, v_BHSK))
        return q_BHTK, k_BHSK, v_BHSK

    def _projected(
        self, y_BTD: Float[Tensor, "B T D"], memory_BSD: Float[Tensor, "B S D"] | None
    ) -> tuple[Tensor, ...]:
        d = y_BTD.shape[-1]
        if self.key_heads != self.heads:
            read = (y_BTD, *(2 * (y_BTD if memory_BSD is None else memory_BSD,)))
            return tuple(
                F.linear(x, getattr(self, f"{letter}_proj"), getattr(self, f"{letter}_bias"))
                for letter, x in zip("qkv", read, strict=True)
            )
        if memory_BSD is None:
            return F.linear(y_BTD, self.in_proj, self.in_bias).chunk(3, dim=-1)
        bias_q, bias_kv = (
            (None, None) if self.in_bias is None else (self.in_bias[:d], self.in_bias[d:])
        )
        q = F.linear(y_BTD, self.in_proj[:d], bias_q)
        return q, *F.linear(memory_BSD, self.in_proj[d:], bias_kv).chunk(2, dim=-1)

    def require_own_heads(self, what: str) -> None:
        """Refuse grouped heads where every head's keys and values must be its own.

        Raises
        ------
        InputError
            Naming what needs them.
        """
        if self.key_heads != self.heads:
            raise InputError(
                f"{what} needs keys and values of every head's own, got {self.key_heads} heads of "
                f"keys for {self.heads}"
            )

    @property
    def value_matrix(self) -> Float[Tensor, "D D"]:
        """The matrix v of every head of queries, row-wise; the heads of a group share theirs."""
        if self.key_heads == self.heads:
            return self.in_proj[2 * self.out_proj.shape[0] :]
        grouped = self._parameters["v_proj"]
        assert grouped is not None
        grouped = grouped.unflatten(0, (self.key_heads, -1))
        return grouped.repeat_interleave(self.heads // self.key_heads, dim=0).flatten(0, 1)

    def _split(self, x_BTD: Float[Tensor, "B T D"], heads: int) -> Float[Tensor, "B H T K"]:
        return x_BTD.unflatten(-1, (heads, -1)).transpose(-2, -3)


def _qk_norm(where: QKNorm, own: int, heads: int) -> Norm | None:
    """RMS norm over one head of width ``own``, or over all."""
    if where is QKNorm.ABSENT:
        return None
    return Norm(NormTraits(NormKind.RMS), own if where is QKNorm.HEAD else heads * own)


def _written(
    q_BHTK: Float[Tensor, "B H T K"],
    k_BHSK: Float[Tensor, "B H S K"],
    v_BHSK: Float[Tensor, "B H S K"],
    blocked: Bool[Tensor, "*B1T S"] | None,
    power: float,
) -> Float[Tensor, "B H T K"]:
    logits_BHTS = q_BHTK @ k_BHSK.transpose(-1, -2) * q_BHTK.shape[-1] ** power
    if blocked is not None:
        logits_BHTS = logits_BHTS.masked_fill(blocked, float("-inf"))
    return logits_BHTS.softmax(dim=-1) @ v_BHSK


def _fused(
    q_BHTK: Float[Tensor, "B H T K"],
    k_BHSK: Float[Tensor, "B H S K"],
    v_BHSK: Float[Tensor, "B H S K"],
    blocked: Bool[Tensor, "*B1T S"] | None,
    power: float,
) -> Float[Tensor, "B H T K"]:
    # torch's mask is true where a key is seen, the opposite of ours.
    seen = None if blocked is None else ~blocked
    scale = None if power == -0.5 else q_BHTK.shape[-1] ** power
    return F.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSK, attn_mask=seen, scale=scale)


def fuse_attention(model: nn.Module) -> None:
    """Give every attention of a model torch's fused kernel, which is faster to train with.

    The kernel has no forward-mode derivative and no second derivative.

    Examples
    --------
    >>> block = Attention(8, 2, biases=False)
    >>> fuse_attention(block)
    >>> block.fused
    True
    """
    for part in model.modules():
        if isinstance(part, Attention):
            part.fused = True
