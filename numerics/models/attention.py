"""Multi-head attention, Eq. 5 of T-Fixup, with the 1/√d' of practice.

Attn(a, b, c) = softmax(b q kᵀ aᵀ / √d') c v wᵀ per head. The softmax is written out because the
fused kernels have no second derivative, which lim ‖Δf‖/η needs; training needs none and turns them
on (`fuse_attention`). They differ from the written form by rounding, and where a query may see no
key: there the written form is NaN, and the fused one 0.

Shape suffixes: B batch, T query tokens, S key tokens, D width, H heads, K = D / H.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Attention of queries ``y`` over a memory, or over ``y`` itself.

    ``in_proj`` stacks q, k, v row-wise so that self-attention is one matrix product; ``out_proj``
    is the paper's w. Entries are left unset: a scheme draws them.
    """

    def __init__(self, d_model: int, heads: int, *, biases: bool) -> None:
        super().__init__()
        self.heads = heads
        self.fused = False
        self.in_proj = nn.Parameter(torch.empty(3 * d_model, d_model))
        self.out_proj = nn.Parameter(torch.empty(d_model, d_model))
        self.in_bias = nn.Parameter(torch.zeros(3 * d_model)) if biases else None
        self.out_bias = nn.Parameter(torch.zeros(d_model)) if biases else None

    def forward(
        self,
        y_BTD: Float[Tensor, "B T D"],
        memory_BSD: Float[Tensor, "B S D"] | None = None,
        blocked: Bool[Tensor, "*B1T S"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Attend; ``blocked`` is true where a query must not see a key."""
        d = y_BTD.shape[-1]
        if memory_BSD is None:
            q, k, v = F.linear(y_BTD, self.in_proj, self.in_bias).chunk(3, dim=-1)
        else:
            bias_q, bias_kv = (
                (None, None) if self.in_bias is None else (self.in_bias[:d], self.in_bias[d:])
            )
            q = F.linear(y_BTD, self.in_proj[:d], bias_q)
            k, v = F.linear(memory_BSD, self.in_proj[d:], bias_kv).chunk(2, dim=-1)
        q_BHTK, k_BHSK, v_BHSK = (self._split(part) for part in (q, k, v))
        mixed = _fused if self.fused else _written
        mixed_BHTK = mixed(q_BHTK, k_BHSK, v_BHSK, blocked)
        return F.linear(mixed_BHTK.transpose(-2, -3).flatten(-2), self.out_proj, self.out_bias)

    def _split(self, x_BTD: Float[Tensor, "B T D"]) -> Float[Tensor, "B H T K"]:
        return x_BTD.unflatten(-1, (self.heads, -1)).transpose(-2, -3)


def _written(
    q_BHTK: Float[Tensor, "B H T K"],
    k_BHSK: Float[Tensor, "B H S K"],
    v_BHSK: Float[Tensor, "B H S K"],
    blocked: Bool[Tensor, "*B1T S"] | None,
) -> Float[Tensor, "B H T K"]:
    logits_BHTS = q_BHTK @ k_BHSK.transpose(-1, -2) * q_BHTK.shape[-1] ** -0.5
    if blocked is not None:
        logits_BHTS = logits_BHTS.masked_fill(blocked, float("-inf"))
    return logits_BHTS.softmax(dim=-1) @ v_BHSK


def _fused(
    q_BHTK: Float[Tensor, "B H T K"],
    k_BHSK: Float[Tensor, "B H S K"],
    v_BHSK: Float[Tensor, "B H S K"],
    blocked: Bool[Tensor, "*B1T S"] | None,
) -> Float[Tensor, "B H T K"]:
    # torch's mask is true where a key is seen, the opposite of ours.
    seen = None if blocked is None else ~blocked
    return F.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSK, attn_mask=seen)


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
