"""The training loss: cross-entropy with label smoothing over non-padding tokens.

With smoothing ε and V classes a token y costs, under predicted probabilities q,
ℓ(y) = −(1 − ε) log q_y − (ε/V) Σ_c log q_c; a batch costs the mean over its tokens.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

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
    # Over the last dimension: over the middle one log-softmax takes twice as long.
    losses = F.cross_entropy(
        logits_BTV.flatten(0, 1),
        expected_BT.flatten(),
        ignore_index=PADDING,
        reduction="none",
        label_smoothing=smoothing,
    )
    return losses.view_as(expected_BT)


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
