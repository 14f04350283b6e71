"""The rule put to predictors whose outcome is known by construction."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from numerics.data.batches import batches, encode
from numerics.data.generated import generated_corpus
from numerics.data.tokenizer import BEGIN, train_tokenizer
from numerics.training.objective import SentenceLosses, sentence_losses
from numerics.training.outcome import (
    RunOutcome,
    judge,
    ratio_estimate,
    unigram_logits,
    unigram_losses,
)

V, SMOOTHING = 300, 0.1
CORPUS = generated_corpus(2000, 200, seed=0)
TOKENIZER = train_tokenizer(CORPUS.train, V)
TRAIN, HELD_OUT = (encode(part, TOKENIZER) for part in (CORPUS.train, CORPUS.validation))
BATCHES = list(batches(HELD_OUT, 512))
COUNTS = torch.from_numpy(np.bincount(np.concatenate(TRAIN.targets), minlength=V))
UNIGRAM = unigram_losses(COUNTS, [batch.expected_BT for batch in BATCHES], SMOOTHING)


class Table(nn.Module):
    """Predicts from a table: by nothing, by position, or by the token before."""

    def __init__(self, by: str, scale: float = 1.0) -> None:
        super().__init__()
        self.by, self.scale = by, scale
        rows = V if by == "token" else max(map(len, (*TRAIN.targets, *HELD_OUT.targets)))
        counts = torch.zeros(rows, V, dtype=torch.float64)
        for row in TRAIN.targets:
            here = np.r_[BEGIN, row[:-1]] if by == "token" else np.arange(len(row))
            counts[torch.from_numpy(here), torch.from_numpy(row)] += 1
        if by == "nothing":
            counts = counts.sum(0, keepdim=True).expand(rows, V)
        prior = 20 * (COUNTS + 1) / (COUNTS + 1).sum()
        p = (counts + prior) / (counts + prior).sum(1, keepdim=True)
        self.logits = ((1 - SMOOTHING) * p + SMOOTHING / V).log()

    def forward(self, source: Tensor, target: Tensor, padding: Tensor) -> Tensor:
        del source, padding
        place = target if self.by == "token" else torch.arange(target.shape[1]).expand_as(target)
        return self.scale * self.logits[place]


def outcome_of(model: nn.Module) -> RunOutcome:
    losses = sentence_losses(model, BATCHES, SMOOTHING)
    return judge(losses, UNIGRAM, V, finite=True).outcome


def test_unigram_frequencies_are_stuck():
    losses = sentence_losses(Table("nothing"), BATCHES, SMOOTHING)
    assert losses.mean == pytest.approx(UNIGRAM.mean, rel=1e-3)
    assert outcome_of(Table("nothing")) is RunOutcome.STUCK


def test_knowing_the_position_alone_is_stuck():
    model = sentence_losses(Table("position"), BATCHES, SMOOTHING)
    assert model.mean < UNIGRAM.mean
    assert outcome_of(Table("position")) is RunOutcome.STUCK


def test_using_the_context_is_trained():
    assert outcome_of(Table("token")) is RunOutcome.TRAINED


def test_wild_confidence_is_diverged_and_chance_is_not():
    assert outcome_of(Table("nothing", scale=0.0)) is RunOutcome.STUCK
    assert outcome_of(Table("nothing", scale=10.0)) is RunOutcome.DIVERGED


def test_a_loss_that_is_not_finite_is_diverged():
    good = sentence_losses(Table("token"), BATCHES, SMOOTHING)
    assert judge(good, UNIGRAM, V, finite=True).outcome is RunOutcome.TRAINED
    assert judge(good, UNIGRAM, V, finite=False).outcome is RunOutcome.DIVERGED
    for value in (math.nan, math.inf):
        bad = SentenceLosses(good.loss_N + value, good.tokens_N)
        assert judge(bad, UNIGRAM, V, finite=True).outcome is RunOutcome.DIVERGED


def test_the_margin_decides_with_its_interval():
    def shifted(share: float) -> RunOutcome:
        losses = SentenceLosses(UNIGRAM.loss_N * (1 - share), UNIGRAM.tokens_N)
        return judge(losses, UNIGRAM, V, finite=True).outcome

    assert shifted(0.09) is RunOutcome.STUCK
    assert shifted(0.11) is RunOutcome.TRAINED
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 200, len(UNIGRAM.loss_N)))
    losses = SentenceLosses(UNIGRAM.loss_N * 0.89 + noise - noise.mean(), UNIGRAM.tokens_N)
    assert judge(losses, UNIGRAM, V, finite=True).outcome is RunOutcome.STUCK


def test_the_baseline_is_the_best_constant_prediction():
    def loss_on_training_targets(logits: Tensor) -> float:
        smoothed = (1 - SMOOTHING) * COUNTS / COUNTS.sum() + SMOOTHING / V
        return -float((smoothed * logits.log_softmax(0)).sum())

    best = unigram_logits(COUNTS, SMOOTHING)
    torch.testing.assert_close(best.exp().sum().item(), 1.0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        other = best + 0.3 * torch.randn(V, generator=generator, dtype=torch.float64)
        assert loss_on_training_targets(other) > loss_on_training_targets(best)


def test_the_interval_covers_the_mean_of_new_sentences():
    """Over 200 samples of 50 sentences about 95 % of the intervals hold the long-run ratio."""
    rng = np.random.default_rng(0)

    def covers() -> bool:
        n = rng.integers(3, 30, size=50)
        sums = n * 2.0 + rng.normal(0, 5, 50)
        found = ratio_estimate(torch.from_numpy(sums), torch.from_numpy(n))
        return found.low <= 2.0 <= found.high

    assert 0.9 <= np.mean([covers() for _ in range(200)]) <= 0.99


def test_worse_than_chance_is_not_trained_because_the_unigram_is_worse_still():
    """The training text's frequencies cost 4.41 on another text, log V = 3.22, the model 3.52."""
    tokens = torch.full((400,), 10)
    model, unigram = (SentenceLosses(loss * tokens, tokens) for loss in (3.52, 4.41))
    found = judge(model, unigram, 25, finite=True)
    assert found.outcome is RunOutcome.STUCK
    assert found.gain.value == pytest.approx(math.log(25) - 3.52)
    assert "above log V" in found.reason
    better = SentenceLosses(2.8 * tokens, tokens)
    assert judge(better, unigram, 25, finite=True).outcome is RunOutcome.TRAINED


def test_an_untrained_model_on_text_unlike_the_training_text_is_not_trained():
    """A head that predicts all tokens alike, where the frequencies mislead."""
    counts = torch.zeros(V, dtype=torch.long)
    counts[-1] = 10_000
    misled = unigram_losses(counts, [batch.expected_BT for batch in BATCHES], SMOOTHING)
    assert misled.mean > math.log(V)

    class Untrained(nn.Module):
        def forward(self, source: Tensor, target: Tensor, padding: Tensor) -> Tensor:
            del source, padding
            return torch.zeros(*target.shape, V, dtype=torch.float64)

    losses = sentence_losses(Untrained(), BATCHES, SMOOTHING)
    assert judge(losses, misled, V, finite=True).outcome is RunOutcome.STUCK


def told(model: list[float], unigram: float, vocabulary: int = 1000, *, finite: bool = True):
    """The judgement on sentences of two tokens with these losses per token."""
    tokens = torch.full((len(model),), 2)
    losses = SentenceLosses(2 * torch.tensor(model, dtype=torch.float64), tokens)
    alike = torch.full((len(model),), 2 * unigram, dtype=torch.float64)
    return judge(losses, SentenceLosses(alike, tokens), vocabulary, finite=finite)


def test_the_reason_names_the_number_that_decided():
    # The unigram's 4 is below log 1000 = 6.9; the margin is a tenth of it.
    sure = told([3.0, 3.0, 3.0], 4.0)
    assert (sure.outcome, sure.reason) == (
        RunOutcome.TRAINED,
        "1 below the unigram loss, more than the margin 0.4",
    )
    unsure = told([2.0, 4.9, 3.0], 4.0)
    half = 1.96 * math.sqrt((1.3**2 + 1.6**2 + 0.3**2) / 2 / 3)
    assert unsure.gain.low == pytest.approx(0.7 - half)
    assert unsure.outcome is RunOutcome.STUCK
    assert unsure.reason == (
        f"0.7 below the unigram loss, {0.7 - half:.4g} at the interval's lower end, within the "
        "margin 0.4"
    )
    near = told([3.8, 3.8], 4.0)
    assert near.reason == "0.2 below the unigram loss, within the margin 0.4"
    assert told([4.5, 4.5], 4.0).reason == "0.5 above the unigram loss"
    assert told([4.0, 4.0], 4.0).reason == "0 below the unigram loss, within the margin 0.4"
    assert told([6.0, 6.0], 9.0).reason == "0.9078 below log V, more than the margin 0.6908"
    edge = math.log(1000) + 1
    assert told([edge - 1e-6] * 2, 4.0).outcome is RunOutcome.STUCK
    gone = told([edge + 0.001] * 2, 4.0)
    assert gone.outcome is RunOutcome.DIVERGED
    assert gone.reason == "validation loss 7.909 exceeds log V = 6.908 by more than 1"
    for broken in (told([1.0, 1.0], 4.0, finite=False), told([math.inf, 1.0], 4.0)):
        assert (broken.outcome, broken.reason) == (RunOutcome.DIVERGED, "a loss was not finite")
    assert (sure.unigram_loss, sure.uniform_loss) == (4.0, math.log(1000))
    assert sure.validation.value == 3.0
