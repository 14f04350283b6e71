"""What softmax attention makes of second moments, with the deviation from a uniform average.

A head's logits are ℓ_iσ = y_i W_q W_kᵀ z_σᵀ/√d'. Their covariance is s² K_ij Z_σσ' with
s² = σ_q² σ_k² d²; what keys share drops out of the softmax, so query i sees n_i logits of variance
v_i = s² K_ii D, D the keys' second moment that tells them apart (`theory.token_gram.told_apart`),
and two queries' logits have covariance c_ij = s² K_ij D. Values and cotangents meet the weights as

    Σ_σ a_iσ a_jσ             → mixed = E A Z Aᵀ, and E AᵀBA
    Σ_σσ' a_iσ a_jσ' Ž_σσ' Z_σσ'   → response (Ž: centred by both queries' weights)

in units of D and D². Two queries use the moments at variance c_ij in place of v_i, exact to first
order, scaled by n/m when they see n ≤ m keys.

Finite widths enter to first order, as E f(x) over a quantity's own fluctuation, through two points
one standard deviation from its mean: ‖q_i‖² of a head of width d' by √(2/d'); the correlation ρ of
two queries by (1 − ρ²)/√d; and keys are 1/d aligned with the query's own direction, where the
weights are tilted.
"""

from collections.abc import Callable
from dataclasses import dataclass

from theory.softmax_moments import SoftmaxMoments
from theory.token_gram import (
    Gram,
    Number,
    averaged,
    correlations,
    diagonal,
    square_root,
    told_apart,
)

Softmax = Callable[[int, Number], SoftmaxMoments]


@dataclass(frozen=True)
class Fluctuations:
    """One over each width that limits self-averaging; all 0 is the limit of infinite width."""

    width: Number = 0
    """1/d."""
    head: Number = 0
    """1/d' of a head."""
    hidden: Number = 0
    """1/d_ff."""


@dataclass(frozen=True)
class AttentionMoments:
    """Expectations over the weights of one attention block; entries ij are pairs of queries."""

    seen: tuple[int, ...]
    """n_i, how many keys each query sees."""
    apart: tuple[Number, ...]
    """D of the first n keys, by n."""
    mixed: Gram
    """E A Z Aᵀ per coordinate: what the queries read."""
    excess: Gram
    """E Σ_σ a_iσ a_jσ − 1/max(n_i, n_j)."""
    response: Gram
    """E of the logits' response in units of D², for the cotangent of the queries."""
    aligned: Gram
    """E K_ij times that response: what the gradients of W_q and W_k have."""
    onto_keys: Gram
    """E K_ij times the response of single keys, in units of D."""


@dataclass(frozen=True)
class _Pair:
    mixed: Number
    excess: Number
    response: Number
    aligned: Number
    onto_keys: Number


def two_points(mean: Number, deviation: Number) -> tuple[Number, ...]:
    """Points whose average is E f of a quantity that fluctuates a little.

    Examples
    --------
    >>> two_points(1.0, 0.5), two_points(1.0, 0)
    ((0.5, 1.5), (1.0,))
    """
    return (mean - deviation, mean + deviation) if deviation else (mean,)


def attention_moments(
    queries: Gram,
    keys: Gram,
    seen: tuple[int, ...],
    logit_scale: Number,
    softmax: Softmax,
    fluctuations: Fluctuations,
    spread: tuple[Number, ...] | None = None,
) -> AttentionMoments:
    """Expectations over W_q and W_k, given the Grams of queries and keys.

    Parameters
    ----------
    queries, keys
        Grams per coordinate; keys are also the values.
    seen
        Keys that each query sees, the first of them (`theory.token_gram.visible`).
    logit_scale
        s² = σ_q² σ_k² d².
    softmax
        Moments by number and variance of the logits.
    fluctuations
        Finite widths.
    spread
        Relative variance of each token's length², where no layer norm makes it 0.

    Examples
    --------
    >>> from theory.softmax_moments import moments
    >>> from theory.token_gram import exchangeable
    >>> one = exchangeable(4, 1.0)
    >>> found = attention_moments(one, one, (4,) * 4, 1.0, moments, Fluctuations())
    >>> round(found.mixed[0][0], 3), round(found.mixed[0][1], 3)
    (0.392, 0.25)
    """
    apart = told_apart(keys)
    rho = correlations(queries)
    roots = [square_root(own) for own in diagonal(queries)]
    base = averaged(keys, seen)

    def pair(i: int, j: int) -> _Pair:
        n, m = sorted((seen[i], seen[j]))
        length = roots[i] * roots[j]
        vary = None if spread is None else spread[i]
        deviation = 0 if i == j else (1 - rho[i][j] ** 2) * square_root(fluctuations.width)
        found = [
            _query_pair(n, logit_scale * apart[n] * length, r, softmax, fluctuations, vary)
            for r in two_points(rho[i][j], deviation)
        ]
        mean = [sum(column) / len(found) * n / m for column in zip(*found, strict=True)]
        return _Pair(
            base[i][j] + mean[0] * apart[n], mean[1], mean[2], mean[3] * length, mean[4] * length
        )

    size = range(len(seen))
    lower = [[pair(i, j) for j in range(i + 1)] for i in size]
    pairs = [[lower[max(i, j)][min(i, j)] for j in size] for i in size]

    def gram(name: str) -> Gram:
        return tuple(tuple(getattr(entry, name) for entry in row) for row in pairs)

    return AttentionMoments(
        seen, apart, *(gram(n) for n in ("mixed", "excess", "response", "aligned", "onto_keys"))
    )


def _query_pair(
    n: int,
    unit: Number,
    rho: Number,
    softmax: Softmax,
    fluctuations: Fluctuations,
    spread: Number | None,
) -> tuple[Number, ...]:
    """(mixed − base, excess, response, aligned, onto_keys) at a logit covariance of ρ ``unit``."""
    if n == 1:
        return (0,) * 5
    deviation = square_root(2 * fluctuations.head + (spread or 0))
    found = [softmax(n, rho * unit * x) for x in two_points(1, deviation)]
    square, tilt, beside, response = (
        sum(getattr(item, name) for item in found) / len(found)
        for name in ("square", "tilt", "beside", "response")
    )
    # Behind a layer norm all keys have one length, so only σ ≠ σ' terms fluctuate.
    along = beside if spread is None else tilt - square
    lengths = 0 if spread is None else 2 * response
    aligned = response + fluctuations.width * ((1 - square) ** 2 + lengths)
    excess = square - 1 / n
    return (
        excess + fluctuations.width * along, excess, aligned, rho * aligned, rho * response
    )  # fmt: skip
