"""Attention written out in four operations that all have a fast forward derivative.

torch's math attention has a forward derivative as well, but goes through a softmax that is taken
apart operation by operation: half of the time of a whole forward derivative.
"""

import torch
from torch import Tensor


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention without dropout, softmax(scale · Q Kᵀ + mask) V.

    It is 0 in rows in which everything is masked.

    Examples
    --------
    >>> q, k, v = torch.randn(3, 1, 2, 4, 8).unbind(0)
    >>> fused = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    >>> torch.allclose(attention(q, k, v, is_causal=True), fused, atol=1e-6)
    True
    """
    del dropout_p
    if enable_gqa and key.shape[-3] != query.shape[-3]:
        groups = query.shape[-3] // key.shape[-3]
        key, value = (x.repeat_interleave(groups, -3) for x in (key, value))
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    # The overload for numbers: torch 2.13 takes ten times as long for that of tensors.
    scores = torch.ops.aten.mul.Scalar(query, factor) @ key.transpose(-2, -1)
    hidden = None
    if is_causal:
        shape = scores.shape[-2:]
        hidden = torch.ones(shape, dtype=torch.bool, device=scores.device).triu(1)
    if attn_mask is not None and attn_mask.dtype is torch.bool:
        hidden = ~attn_mask if hidden is None else hidden | ~attn_mask
    elif attn_mask is not None:
        gone = torch.isneginf(attn_mask)
        kept = attn_mask.masked_fill(gone, 0.0)
        scores = scores + attn_mask if bool(kept.any()) else scores
        hidden = gone if hidden is None else hidden | gone
    if hidden is None:
        return scores.softmax(-1) @ value
    weights = scores.masked_fill(hidden, float("-inf")).softmax(-1)
    empty = hidden.all(-1, keepdim=True)
    if bool(empty.any()):
        # Such a row is softmax of −∞ only: uniform over finite scores first, then set to zero.
        weights = scores.masked_fill(hidden & ~empty, float("-inf")).softmax(-1)
        weights = weights.masked_fill(empty, 0.0)
    return weights @ value
