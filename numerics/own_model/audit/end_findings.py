"""Findings about a model's two ends: the first loss, tied tables, and inputs that drown the tokens.

On random targets the first loss is the mean over tokens of log Σ exp(zᵢ) − mean zᵢ for logits z. It
is ln V where all logits are 0, and about ln V + s²/2 where they are N(0, s²) with a small s.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from numerics.own_model.audit.comparison import AuditRow
from numerics.own_model.audit.finding import Finding
from numerics.own_model.audit.laws import too
from numerics.recipes.ends import Ends, Input
from numerics.recipes.place import ModelSizes

EXCESS = 1.5
"""First loss above ln V from which on it is a finding: logits of standard deviation √3."""
DROWNED = 0.1
"""Share of the tokens in the input's mean square below which it is a finding."""


@dataclass(frozen=True)
class UntrainedLoss:
    """The loss before any training, on random targets."""

    loss: float
    log_vocabulary: float
    """ln V, the loss of a model that knows nothing."""
    logits: float
    """Standard deviation of the logits of one token."""
    predicted: float
    """The loss of V independent N(0, s²) logits with that s: without the tokens' own logits."""


def first_loss(rows: Sequence[AuditRow], ends: Ends) -> UntrainedLoss | None:
    """First loss on random targets; ``None`` where the output is not a head's logits."""
    heads = [row for row in rows if row.place.role == "head"]
    if not heads or ends.output is None or ends.output.dim() < 2:
        return None
    vocabulary = heads[-1].place.fans[1]
    logits = ends.output.double()
    if logits.shape[-1] != vocabulary or vocabulary < 2:
        return None
    loss = float((logits.logsumexp(-1) - logits.mean(-1)).mean())
    if not math.isfinite(loss):
        return None
    # By the quartiles: one logit, as of the token itself under a tied head, does not move them.
    quartiles = logits.quantile(torch.tensor([0.25, 0.75], dtype=torch.float64), dim=-1)
    spread = float((quartiles[1] - quartiles[0]).mean()) / 1.3489795
    return UntrainedLoss(loss, math.log(vocabulary), spread, expected_loss(vocabulary, spread))


def expected_loss(vocabulary: int, spread: float, draws: int = 16) -> float:
    """First loss of independent N(0, s²) logits, E log Σ exp(zᵢ), sampled with its own seed.

    Examples
    --------
    >>> round(expected_loss(1000, 16.0)), round(expected_loss(32128, 1.0), 1)
    (50, 10.9)
    """
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(draws, vocabulary, generator=g, dtype=torch.float64) * spread
    return float(logits.logsumexp(-1).mean())


def end_findings(
    rows: Sequence[AuditRow], ends: Ends, setting: ModelSizes, ties: Sequence[str]
) -> Iterator[Finding]:
    """Findings about a first loss far above ln V, tied tables at odds, and drowned tokens."""
    yield from _loss(rows, first_loss(rows, ends), setting)
    for sentence in ties:
        row = next(r for r in rows if sentence.startswith(r.place.name))
        agrees = row.agrees
        if not agrees:
            yield Finding("tied", f"{sentence} Found: std {row.sample.std:.4g}.", (row.place.name,))
    tables = {row.place.name for row in rows if row.place.role == "embedding"}
    for stream in ends.inputs:
        yield from _drowned(stream, tables, {row.place.name for row in rows if row.agrees})


def _loss(
    rows: Sequence[AuditRow], first: UntrainedLoss | None, setting: ModelSizes
) -> Iterator[Finding]:
    if first is None:
        return
    head = next(row for row in rows if row.place.role == "head")
    # A tied head gives every token a large logit for itself, which is no fault of its size.
    loss = first.predicted if head.place.tied else first.loss
    if loss < first.log_vocabulary + EXCESS:
        return
    wanted = setting.d_model**-0.5
    factor = head.sample.std / wanted
    text = (
        f"First loss {first.loss:.4g} on random targets, ln V = {first.log_vocabulary:.4g}. The "
        f"logits have std {first.logits:.3g}, which alone gives {first.predicted:.4g}. "
        f"{head.place.name} has std {head.sample.std:.4g}; a head that reads a normalised stream "
        f"needs 1/√d = {wanted:.4g}"
    )
    text += f", it is {too(factor)}." if abs(factor - 1) > 0.1 else "."
    if head.place.tied:
        text += (
            " The same tensor is the embedding: give it the head's std and multiply the embedded "
            f"tokens by √d = {setting.d_model**0.5:.4g}, or multiply the logits by 1/√d."
        )
    if head.agrees:
        text += " The recipe asks for this number."
    yield Finding(
        "first-loss", text, (head.place.name,), head.sample.std, wanted, factor, not head.agrees
    )


def _drowned(stream: tuple[Input, ...], tables: set[str], agreeing: set[str]) -> Iterator[Finding]:
    tokens = sum(item.share for item in stream if item.name in tables)
    if len(stream) < 2 or tokens >= DROWNED or tokens == 0:
        return
    largest = max(stream, key=lambda item: item.share)
    own = next(item for item in stream if item.name in tables)
    yield Finding(
        "inputs",
        f"Tokens are {tokens:.3g} of the input's mean square, about 1/{1 / tokens:.0f}: "
        f"{largest.name} has RMS {largest.mean_square**0.5:.3g} beside the tokens' "
        f"{own.mean_square**0.5:.3g} and drowns them.",
        (own.name,),
        tokens,
        0.5,
        fault=own.name not in agreeing,
    )
