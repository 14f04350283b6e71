"""The rule that says how a run ended: trained, stuck or diverged.

The *baseline* is the loss of the best predictor that ignores its input, measured on the same
validation tokens under the same loss as the model's. There are two such predictors, and the better
one counts. The *unigram* knows the frequencies p of the training targets, with one added to every
count. With smoothing ε and V classes it predicts q = (1 − ε) p + ε/V, which minimises the training
loss among constant q. The *uniform* predictor q = 1/V costs log V. It wins on text that is unlike
the training text.

The rule, for the validation loss after the last step:

- *diverged*: a training or validation loss was not finite, or the validation loss exceeds log V by
  more than `DIVERGED_MARGIN` nats per token;
- *trained*: the gain (baseline minus model loss) exceeds `STUCK_MARGIN` of the baseline, for the
  whole 95 % interval of the gain;
- *stuck*: neither of these; the model does no better than one that ignores its input.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numerics.data.tokenizer import PADDING
from numerics.training.objective import SentenceLosses, token_losses

DIVERGED_MARGIN = 1.0
"""Nats above log V: a model that is this far below chance is not on its way to anything."""
STUCK_MARGIN = 0.10
"""Share of the baseline's loss. A predictor that knows the position but no word, such as a
sentence's first token, gains 0.06 (Multi30k and the generated data alike); the margin is wider."""


class RunOutcome(StrEnum):
    """How a run ended."""

    TRAINED = "trained"
    STUCK = "stuck"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class LossEstimate:
    """A mean over tokens with its 95 % interval; sentences are the independent units."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class RunJudgement:
    """The outcome of a run with everything the rule looked at."""

    outcome: RunOutcome
    reason: str
    """One line with the numbers that decided."""
    validation: LossEstimate
    """Validation loss per token."""
    gain: LossEstimate
    """Baseline's loss minus validation loss, paired by sentence."""
    unigram_loss: float
    uniform_loss: float


def unigram_logits(counts_V: Int[Tensor, " V"], smoothing: float) -> Float[Tensor, " V"]:
    """Logits of the smoothed unigram baseline, log q with q = (1 − ε) p + ε/V.

    Examples
    --------
    >>> unigram_logits(torch.tensor([0, 2]), 0.0).exp()
    tensor([0.2500, 0.7500], dtype=torch.float64)
    """
    p_V = (counts_V.double() + 1) / (counts_V.sum() + len(counts_V))
    return ((1 - smoothing) * p_V + smoothing / len(counts_V)).log()


def unigram_losses(
    counts_V: Int[Tensor, " V"], expected: list[Int[Tensor, "_ _"]], smoothing: float
) -> SentenceLosses:
    """Losses of the unigram baseline summed by sentence, for padded batches of expected tokens."""
    logits_V = unigram_logits(counts_V, smoothing)
    # A constant prediction has one loss per token type, so a table of V losses is looked up.
    every = torch.arange(len(counts_V))[None]
    table_V = token_losses(logits_V.expand(1, len(counts_V), -1), every, smoothing)[0]
    losses = [table_V[expected_BT].sum(1) for expected_BT in expected]
    tokens = [(expected_BT != PADDING).sum(1) for expected_BT in expected]
    return SentenceLosses(torch.cat(losses), torch.cat(tokens))


def ratio_estimate(sums_N: Float[Tensor, " N"], tokens_N: Int[Tensor, " N"]) -> LossEstimate:
    """Ratio of two sums, R = Σ s_i / Σ n_i, with the delta method's 95 % interval.

    Examples
    --------
    >>> sums = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    >>> ratio_estimate(sums, torch.tensor([1, 2, 3]))  # every sentence has the same ratio
    LossEstimate(value=1.0, low=1.0, high=1.0)
    """
    n, total = len(sums_N), float(tokens_N.sum())
    value = float(sums_N.sum()) / total
    scatter = float((sums_N - value * tokens_N).square().sum())
    half = 1.96 * math.sqrt(scatter * n / max(n - 1, 1)) / total
    return LossEstimate(value, value - half, value + half)


def best_constant(unigram_loss: float, uniform_loss: float) -> tuple[float, str]:
    """The loss of the best predictor that ignores its input, and its name.

    Examples
    --------
    >>> best_constant(4.41, 3.22)  # frequencies of another text are worse than none
    (3.22, 'log V')
    """
    if uniform_loss < unigram_loss:
        return uniform_loss, "log V"
    return unigram_loss, "the unigram loss"


def judge(
    model: SentenceLosses, unigram: SentenceLosses, vocabulary: int, *, finite: bool
) -> RunJudgement:
    """Apply the rule to the losses on the validation sentences.

    Parameters
    ----------
    model, unigram
        Losses of the model and of the unigram baseline on the same sentences.
    vocabulary
        V.
    finite
        Whether every training loss was finite.
    """
    validation = ratio_estimate(model.loss_N, model.tokens_N)
    uniform = math.log(vocabulary)
    baseline, name = best_constant(unigram.mean, uniform)
    theirs_N = unigram.loss_N if baseline == unigram.mean else uniform * unigram.tokens_N
    gain = ratio_estimate(theirs_N - model.loss_N, model.tokens_N)
    margin = STUCK_MARGIN * baseline
    if not (finite and math.isfinite(validation.value)):
        outcome, reason = RunOutcome.DIVERGED, "a loss was not finite"
    elif validation.value > uniform + DIVERGED_MARGIN:
        outcome = RunOutcome.DIVERGED
        reason = (
            f"validation loss {validation.value:.4g} exceeds log V = {uniform:.4g} "
            f"by more than {DIVERGED_MARGIN:g}"
        )
    elif gain.low > margin:
        outcome = RunOutcome.TRAINED
        reason = f"{gain.value:.4g} below {name}, more than the margin {margin:.4g}"
    else:
        outcome = RunOutcome.STUCK
        unsure = gain.value > margin
        decided = f"{gain.low:.4g} at the interval's lower end, " if unsure else ""
        reason = f"{gain.value:.4g} below {name}, {decided}within the margin {margin:.4g}"
        if gain.value < 0:
            reason = f"{-gain.value:.4g} above {name}"
    return RunJudgement(outcome, reason, validation, gain, unigram.mean, uniform)


def outcome_so_far(
    model: SentenceLosses, unigram: SentenceLosses, vocabulary: int, *, finite: bool
) -> RunOutcome:
    """The outcome that the run would have if it ended now."""
    return judge(model, unigram, vocabulary, finite=finite).outcome
