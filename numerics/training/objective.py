"""The training loss: cross-entropy with label smoothing over non-padding tokens.

With smoothing ε and V classes a token y costs, under predicted probabilities q,
ℓ(y) = −(1 − ε) log q_y − (ε/V) Σ_c log q_c; a batch costs the mean over its tokens. The gradient
by the logits is q − (1 − ε) e_y − ε/V, written over log q in place: of all steps of training none
but this one moves arrays of V numbers a token, and each new one costs more than its arithmetic.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from numerics.data.batches import Batch
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
    logits_BTV: Float[Tensor, "B T V"], expected_BT: Int[Tensor, "B T"], smoothing: float
) -> Float[Tensor, "B T"]:
    """ℓ(y) at every place, 0 where padding is expected.

    Examples
    --------
    >>> logits = torch.zeros(1, 2, 8)
    >>> token_losses(logits, torch.tensor([[5, 0]]), 0.1)  # log 8 under uniform probabilities
    tensor([[2.0794, 0.0000]])
    """
    losses: Any = _SmoothedCrossEntropy.apply(
        logits_BTV.flatten(0, 1), expected_BT.flatten(), smoothing
    )
    return losses.view_as(expected_BT)


class _SmoothedCrossEntropy(torch.autograd.Function):
    """Logits, expected tokens and ε ↦ ℓ of every token, 0 for padding."""

    @staticmethod
    def forward(
        ctx: Any, logits_NV: Tensor, expected_N: Tensor, smoothing: float
    ) -> Float[Tensor, " N"]:
        logs_NV = torch.log_softmax(logits_NV, -1, dtype=_at_least_float32(logits_NV))
        own_N = logs_NV.gather(1, expected_N[:, None])[:, 0]
        losses_N = -(1 - smoothing) * own_N
        if smoothing:
            losses_N -= smoothing * logs_NV.mean(-1)
        ctx.save_for_backward(expected_N)
        ctx.logs_NV, ctx.smoothing, ctx.dtype = logs_NV, smoothing, logits_NV.dtype
        return losses_N.masked_fill_(expected_N == PADDING, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (c_N,) = cotangents
        (expected_N,) = ctx.saved_tensors
        if ctx.logs_NV is None:
            raise RuntimeError(
                "a training loss is differentiated once: its backward writes over it"
            )
        c_N = c_N.masked_fill(expected_N == PADDING, 0)
        slopes_NV, ctx.logs_NV = ctx.logs_NV.exp_(), None
        if ctx.smoothing:
            slopes_NV -= ctx.smoothing / slopes_NV.shape[1]
        ones_N1 = slopes_NV.new_full((len(expected_N), 1), ctx.smoothing - 1)
        slopes_NV.scatter_add_(1, expected_N[:, None], ones_N1)
        slopes_NV *= c_N[:, None]
        return slopes_NV.to(ctx.dtype), None, None


def _at_least_float32(x: Tensor) -> torch.dtype:
    """The format of the logarithms: half precision is too narrow for sums over V."""
    return torch.promote_types(x.dtype, torch.float32)


def batch_loss(model: nn.Module, batch: Batch, smoothing: float) -> Float[Tensor, ""]:
    """Mean of ℓ(y) over the tokens of a batch, teacher-forced."""
    logits_BTV = model(batch.source_BS, batch.target_BT, batch.padding_BS)
    return token_losses(logits_BTV, batch.expected_BT, smoothing).sum() / batch.tokens


@torch.no_grad()
def sentence_losses(model: nn.Module, batches: list[Batch], smoothing: float) -> SentenceLosses:
    """ℓ summed by sentence, without dropout, accumulated in float64 on the CPU."""
    training = model.training
    model.eval()
    losses, tokens = [], []
    for batch in batches:
        logits_BTV = model(batch.source_BS, batch.target_BT, batch.padding_BS)
        losses.append(token_losses(logits_BTV, batch.expected_BT, smoothing).cpu().double().sum(1))
        tokens.append((batch.expected_BT != PADDING).sum(1).cpu())
    model.train(training)
    return SentenceLosses(torch.cat(losses), torch.cat(tokens))
