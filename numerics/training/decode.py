"""Translation: greedy and beam search with a length penalty.

A hypothesis y = y_1 … y_n ends with END, and its score is log p(y | x)/n^α. Beam search keeps the k
best unfinished hypotheses of each length and looks at their 2k best continuations. A continuation
that ends is finished if it is among the first k. A sentence is done when k hypotheses are finished,
or when no unfinished one can still win. A sentence of S source tokens gets at most 2S + 10 target
tokens, the last of them END. Beam search with k = 1 is greedy search.

Suffixes: B sentences, K hypotheses, S source tokens, T target tokens, V vocabulary.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from numerics.data.tokenizer import BEGIN, END, PADDING
from numerics.models.tokens import output_table
from numerics.models.transformer import Transformer
from theory.errors import InputError, require_positive

NEVER = (PADDING, BEGIN)
"""Tokens that no translation holds."""


@dataclass(frozen=True)
class Hypothesis:
    """A finished translation."""

    tokens: tuple[int, ...]
    """Target tokens without BEGIN and END."""
    score: float
    """log p/n^α, END counted in n."""


def greedy(
    model: Transformer, source_BS: Int[Tensor, "B S"], padding_BS: Bool[Tensor, "B S"]
) -> list[Hypothesis]:
    """The likeliest next token, again and again."""
    return beam_search(model, source_BS, padding_BS, beam=1, length_penalty=1.0)


@torch.no_grad()
def beam_search(
    model: Transformer,
    source_BS: Int[Tensor, "B S"],
    padding_BS: Bool[Tensor, "B S"],
    *,
    beam: int,
    length_penalty: float,
    limit: int | None = None,
) -> list[Hypothesis]:
    """The best finished hypothesis of each sentence.

    Parameters
    ----------
    model
        A Transformer in evaluation mode.
    source_BS, padding_BS
        Source tokens, and true where they are padding.
    beam
        k ≥ 1.
    length_penalty
        α ≥ 0: 0 compares log p, 1 compares log p per token; T-Fixup has 0.3.
    limit
        Most target tokens, END included; 2S + 10 of each sentence unless given.

    Raises
    ------
    InputError
        If k < 1, α < 0 or the model has not both stacks.
    """
    require_positive(beam=beam)
    if not length_penalty >= 0:
        raise InputError(f"length_penalty must be at least 0, got {length_penalty}")
    if not (model.spec.has_encoder and model.spec.has_decoder):
        raise InputError(f"translation needs encoder-decoder, got {model.spec.architecture.value}")
    hidden = padding_BS[:, None, None, :]
    memory_BSD = model.encode(model.embed_source(source_BS), hidden)
    own_limits = (2 * (~padding_BS).sum(1) + 10).tolist()
    limits = own_limits if limit is None else [limit] * len(source_BS)
    searches = [_Search(beam, length_penalty, most) for most in limits]
    open_searches = list(range(len(searches)))
    while open_searches:
        prefixes = [searches[b].prefixes for b in open_searches]
        rows = torch.tensor(
            [b for b, own in zip(open_searches, prefixes, strict=True) for _ in own]
        )
        target = torch.tensor([prefix for own in prefixes for prefix in own])
        rows, target = rows.to(source_BS.device), target.to(source_BS.device)
        log_p = next_log_p(model, memory_BSD[rows], hidden[rows], target).double().cpu()
        start = 0
        for b, own in zip(open_searches, prefixes, strict=True):
            searches[b].extend(log_p[start : start + len(own)])
            start += len(own)
        open_searches = [b for b in open_searches if not searches[b].done]
    return [search.best() for search in searches]


def next_log_p(
    model: Transformer,
    memory_BSD: Float[Tensor, "B S D"],
    hidden: Bool[Tensor, "B 1 1 S"],
    target_BT: Int[Tensor, "B T"],
) -> Float[Tensor, "B V"]:
    """Log probabilities of the next token given x and the tokens so far.

    They are −∞ for padding and BEGIN.
    """
    features_BTD = model.decode(memory_BSD, model.embed_target(target_BT), hidden)
    logits_BV = F.linear(features_BTD[:, -1], output_table(model))
    logits_BV[:, list(NEVER)] = float("-inf")
    return logits_BV.log_softmax(-1)


class _Search:
    """The beam of one sentence."""

    def __init__(self, beam: int, length_penalty: float, limit: int) -> None:
        self.beam, self.alpha, self.limit = beam, length_penalty, limit
        self.prefixes: list[list[int]] = [[BEGIN]]
        self.log_p = torch.zeros(1, dtype=torch.float64)
        self.finished: list[Hypothesis] = []
        self.done = False

    def extend(self, next_KV: Float[Tensor, "K V"]) -> None:
        """Append one token to every hypothesis."""
        length = len(self.prefixes[0])
        total_KV = self.log_p[:, None] + next_KV
        if length == self.limit:
            total_KV = total_KV[:, END : END + 1]
        vocabulary = total_KV.shape[1]
        flat = total_KV.flatten()
        values, places = flat.topk(min(2 * self.beam, len(flat)))
        alive: list[tuple[list[int], float]] = []
        for rank, (value, place) in enumerate(zip(values.tolist(), places.tolist(), strict=True)):
            prefix = self.prefixes[place // vocabulary]
            token = END if length == self.limit else place % vocabulary
            if value == float("-inf"):
                break
            if token != END and len(alive) < self.beam:
                alive.append(([*prefix, token], value))
            elif token == END and rank < self.beam:
                self.finished.append(Hypothesis(tuple(prefix[1:]), value / length**self.alpha))
        self.prefixes = [prefix for prefix, _ in alive]
        self.log_p = torch.tensor([value for _, value in alive], dtype=torch.float64)
        self.done = not alive or len(self.finished) >= self.beam or self._settled()

    def _settled(self) -> bool:
        """Whether no unfinished hypothesis can win: log p only falls, n is at most the limit."""
        if not self.finished:
            return False
        return float(self.log_p.max()) / self.limit**self.alpha <= self.best().score

    def best(self) -> Hypothesis:
        """The finished hypothesis with the highest score."""
        return max(self.finished, key=lambda hypothesis: hypothesis.score)
