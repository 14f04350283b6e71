"""The training loss: cross-entropy with label smoothing over non-padding tokens.

With smoothing ε and V classes, a token y with logits z costs
ℓ(y) = log Σ_c e^(z_c) − (1 − ε) z_y − (ε/V) Σ_c z_c, and a batch costs the mean over its tokens.
The gradient by the logits is q − (1 − ε) e_y − ε/V with q = softmax z. This is the only step of
training that touches arrays of V numbers per token. They are memory-bound, so one buffer is reused:
the forward pass overwrites the logits with e^(z − max z), and the backward pass overwrites that
with the gradient.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from numerics.data.batches import TextBatch
from numerics.data.tokenizer import PADDING


@dataclass(frozen=True)
class SentenceLosses:
    """Summed loss and token count of each sentence of a data set, in its order."""

    loss_N: Float[Tensor, " N"]
    tokens_N: Int[Tensor, " N"]

    @property
    def mean(self) -> float:
        """Loss per token."""
        return float(self.loss_N.sum() / self.tokens_N.sum())


def token_losses(
    logits_BTV: Float[Tensor, "B T V"],
    expected_BT: Int[Tensor, "B T"],
    smoothing: float,
    *,
    consume: bool = False,
) -> Float[Tensor, "B T"]:
    """Loss ℓ(y) of every token; 0 where padding is expected.

    Parameters
    ----------
    logits_BTV, expected_BT, smoothing
        z, y and ε.
    consume
        Whether the logits may be overwritten; only for logits that nothing else reads.

    Examples
    --------
    >>> logits = torch.zeros(1, 2, 8)
    >>> token_losses(logits, torch.tensor([[5, 0]]), 0.1)  # log 8 under uniform probabilities
    tensor([[2.0794, 0.0000]])
    """
    losses: Any = _SmoothedCrossEntropy.apply(
        logits_BTV.flatten(0, 1), expected_BT.flatten(), smoothing, consume
    )
    return losses.view_as(expected_BT)


class _SmoothedCrossEntropy(torch.autograd.Function):
    """The loss of every token and its gradient by the logits, in one buffer; 0 for padding."""

    @staticmethod
    def forward(
        ctx: Any, logits_NV: Tensor, expected_N: Tensor, smoothing: float, consume: bool
    ) -> Float[Tensor, " N"]:
        z_NV = logits_NV.to(_at_least_float32(logits_NV))
        weighted_N = (1 - smoothing) * z_NV.gather(1, expected_N[:, None])[:, 0]
        if smoothing:
            weighted_N += smoothing * z_NV.mean(-1)
        top_N1 = z_NV.amax(-1, keepdim=True)
        own = consume or z_NV is not logits_NV
        powers_NV = (z_NV.sub_(top_N1) if own else z_NV - top_N1).exp_()
        sums_N = powers_NV.sum(-1)
        ctx.save_for_backward(expected_N, sums_N)
        ctx.powers_NV, ctx.smoothing, ctx.dtype = powers_NV, smoothing, logits_NV.dtype
        losses_N = sums_N.log() + top_N1[:, 0] - weighted_N
        return losses_N.masked_fill_(expected_N == PADDING, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        (c_N,) = cotangents
        expected_N, sums_N = ctx.saved_tensors
        if ctx.powers_NV is None:
            raise RuntimeError(
                "a training loss is differentiated once: its backward writes over it"
            )
        c_N1 = c_N.masked_fill(expected_N == PADDING, 0)[:, None]
        slopes_NV, ctx.powers_NV = ctx.powers_NV.mul_(c_N1 / sums_N[:, None]), None
        if ctx.smoothing:
            slopes_NV -= c_N1 * (ctx.smoothing / slopes_NV.shape[1])
        slopes_NV.scatter_add_(1, expected_N[:, None], c_N1 * (ctx.smoothing - 1))
        return slopes_NV.to(ctx.dtype), None, None, None


def _at_least_float32(x: Tensor) -> torch.dtype:
    """The dtype of the logarithms: half precision is too coarse for sums over V terms."""
    return torch.promote_types(x.dtype, torch.float32)


def batch_loss(model: nn.Module, batch: TextBatch, smoothing: float) -> Float[Tensor, ""]:
    """Mean of ℓ(y) over the tokens of a batch, teacher-forced."""
    logits_BTV = model(batch.source_BS, batch.target_BT, batch.padding_BS)
    losses_BT = token_losses(logits_BTV, batch.expected_BT, smoothing, consume=True)
    return losses_BT.sum() / batch.tokens


@torch.no_grad()
def sentence_losses(model: nn.Module, batches: list[TextBatch], smoothing: float) -> SentenceLosses:
    """Sum ℓ over each sentence, without dropout; the sums are float64 on the CPU."""
    training = model.training
    model.eval()
    losses, tokens = [], []
    for batch in batches:
        logits_BTV = model(batch.source_BS, batch.target_BT, batch.padding_BS)
        found_BT = token_losses(logits_BTV, batch.expected_BT, smoothing, consume=True)
        losses.append(found_BT.cpu().double().sum(1))
        tokens.append((batch.expected_BT != PADDING).sum(1).cpu())
    model.train(training)
    return SentenceLosses(torch.cat(losses), torch.cat(tokens))
