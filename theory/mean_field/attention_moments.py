"""What softmax attention makes of second moments, with the deviation from a uniform average.

A head's logits are ℓ_iσ = y_i W_q W_kᵀ z_σᵀ/√d'. Their covariance is s² K_ij Z_σσ' with
s² = σ_q² σ_k² d²; what keys share drops out of the softmax, so query i sees n_i logits of variance
v_i = s² K_ii D, D the keys' second moment that tells them apart
(`theory.moments.token_gram.told_apart`), and two queries' logits have covariance c_ij = s² K_ij D.
Values and cotangents meet the weights as

    Σ_σ a_iσ a_jσ             → mixed = E A Z Aᵀ, and E AᵀBA
    Σ_σσ' a_iσ a_jσ' Ž_σσ' Z_σσ'   → response (Ž: centred by both queries' weights)

in units of D and D². For two queries whose logits have the variance v each and the covariance c,
q(c) = E Σ_σ a_σ b_σ and R(c) = E tr J_a J_bᵀ with J = diag(a) − a aᵀ obey dq/dc = R. Both ends are
known, q(0) = 1/n, R(0) = (1 − q(v))²/(n − 1) and q(v), R(v) of one query, and between them q is a
monotone cubic; −c takes the inverse of n q. It is scaled by n/m where queries see n ≤ m keys.

Finite widths enter to first order. As E f(x) over a quantity's own fluctuation, through two points
one standard deviation from its mean: a head's |W_k q_i|² by √(2/d' + 2/d); the correlation ρ of two
queries by (1 − ρ²)/√d, and by W_q and W_k that of their logits by (1 − ρ²) √(1/d' + 2/d). And as
shares of one direction in d: keys are 1/d aligned with the query's own, where the weights are
tilted, and 1/d with the value's. For the same reason cotangents know the keys that they belong to:
E δ_σ·δ_σ' z_σ·z_σ' is not the product of the two, and the cotangents that a key receives by its
value and by its logit have (1/d) E Σ a_σ² (ℓ_σ − ℓ̄) in common.
"""

from collections.abc import Callable
from dataclasses import dataclass

from theory.moments.softmax_moments import SoftmaxMoments
from theory.moments.token_gram import (
    Gram,
    Number,
    averaged,
    correlations,
    diagonal,
    square_root,
    told_apart,
)

Softmax = Callable[[int, Number, Number], SoftmaxMoments]
"""Moments by number of keys, variance of the logits and spread of the keys' lengths."""


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
    """E Σ_σ a_iσ a_jσ − 1/max(n_i, n_j), with what value and logit have in common."""
    response: Gram
    """E of the logits' response in units of D², for the cotangent of the queries."""
    aligned: Gram
    """E K_ij times that response: what the gradients of W_q and W_k have."""
    onto_keys: Gram
    """E K_ij times the response of single keys, in units of D."""
    known_own: Gram
    """E δ_σ·δ_σ z_σ·z_σ of the cotangents on keys beyond the product, over keys σ."""
    known_beside: Gram
    """The same of pairs of keys."""


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
    spreads: tuple[tuple[Number, ...], tuple[Number, ...]] | None = None,
) -> AttentionMoments:
    """Expectations over W_q and W_k, given the Grams of queries and keys.

    Parameters
    ----------
    queries, keys
        Grams per coordinate; keys are also the values.
    seen
        Keys that each query sees, the first of them (`theory.moments.token_gram.visible`).
    logit_scale
        s² = σ_q² σ_k² d².
    softmax
        Moments by number and variance of the logits.
    fluctuations
        Finite widths.
    spreads
        Relative variance of each query's and each key's length², 0 behind a layer norm and unless
        given.

    Examples
    --------
    >>> from theory.moments.softmax_moments import moments
    >>> from theory.moments.token_gram import exchangeable
    >>> one = exchangeable(4, 1.0)
    >>> found = attention_moments(one, one, (4,) * 4, 1.0, moments, Fluctuations())
    >>> round(found.mixed[0][0], 3), round(found.mixed[0][1], 3)
    (0.392, 0.25)
    """
    apart = told_apart(keys)
    rho = correlations(queries)
    roots = [square_root(own) for own in diagonal(queries)]
    base = averaged(keys, seen)
    vary, longer = spreads or ((0,) * len(queries), (0,) * len(keys))

    def pair(i: int, j: int) -> dict[str, Number]:
        n, m = sorted((seen[i], seen[j]))
        length = roots[i] * roots[j]
        unit = logit_scale * apart[n] * length
        own, weights = fluctuations.width, fluctuations.width + fluctuations.head
        deviation = 0 if i == j else (1 - rho[i][j] ** 2) * square_root(own + weights)
        found = [
            _query_pair(
                n,
                unit,
                r,
                # What of the logits' correlation is the queries' own, not the weights'.
                rho[i][j] + (own / (own + weights) * (r - rho[i][j]) if own else 0),
                softmax,
                fluctuations,
                (vary[i], sum(longer[:n]) / n),
                same=i == j,
            )
            for r in two_points(rho[i][j], deviation)
        ]
        mean = {name: sum(one[name] for one in found) / len(found) * n / m for name in found[0]}
        scales = {
            "mixed": apart[n],
            "aligned": length,
            "onto_keys": length,
            "known_own": apart[n],
            "known_beside": apart[n],
        }
        mean |= {name: scale * mean[name] for name, scale in scales.items()}
        return mean | {"mixed": base[i][j] + mean["mixed"]}

    size = range(len(seen))
    lower = [[pair(i, j) for j in range(i + 1)] for i in size]
    pairs = [[lower[max(i, j)][min(i, j)] for j in size] for i in size]
    return AttentionMoments(
        seen,
        apart,
        **{name: tuple(tuple(entry[name] for entry in row) for row in pairs) for name in _NAMES},
    )


_NAMES = (
    *("mixed", "excess", "response", "aligned", "onto_keys"),
    *("known_own", "known_beside"),
)
"""The Grams of `AttentionMoments`."""


def shared(n: int, alone: SoftmaxMoments, rho: Number, variance: Number) -> tuple[Number, Number]:
    """q and R of two queries whose logits are correlated by ρ, from the moments of one.

    Examples
    --------
    >>> from theory.moments.softmax_moments import moments
    >>> one = moments(16, 1.0)
    >>> [round(value, 4) for value in (one.square, one.response)]
    [0.1325, 0.0935]
    >>> [round(value, 4) for value in shared(16, one, 1.0, 1.0)]
    [0.1325, 0.0935]
    >>> [round(value, 4) for value in shared(16, one, 0.5, 1.0)]  # by sampling 0.0919, 0.0685
    [0.0921, 0.069]
    """
    start, rise = 1 / n, alone.square - 1 / n
    if rise == 0:
        return start, alone.response
    if rho < 0:
        q, slope = shared(n, alone, -rho, variance)
        return start**2 / q, slope * (start / q) ** 2
    # A cubic whose slopes are at most three times its rise is monotone (Fritsch and Carlson).
    first = min(variance * (1 - alone.square) ** 2 / (n - 1), 3 * rise)
    last = min(variance * alone.response, 3 * rise)
    bend, twist = 3 * rise - 2 * first - last, first + last - 2 * rise
    q = start + rho * (first + rho * (bend + rho * twist))
    return q, (first + rho * (2 * bend + rho * 3 * twist)) / variance


def _query_pair(
    n: int,
    unit: Number,
    rho: Number,
    alike: Number,
    softmax: Softmax,
    fluctuations: Fluctuations,
    spreads: tuple[Number, Number],
    *,
    same: bool,
) -> dict[str, Number]:
    """Moments of queries alike by ``alike``, logits by ρ at variance ``unit``, without the base."""
    if n == 1:
        return dict.fromkeys(_NAMES, 0)
    epsilon = fluctuations.width
    of_query, of_key = spreads
    # Gaussian keys, whose lengths² vary by 2/d, have Gaussian logits.
    beyond = of_key - 2 * epsilon
    found = []
    for head in two_points(1, square_root(2 * fluctuations.head + 2 * epsilon)):
        for length in two_points(1, square_root(of_query)):
            v = unit * head * length
            item = softmax(n, v, beyond)
            square, response = item.square, item.response
            # To first order in 1/d: along the query, with and without σ = σ', and along the value.
            own, beside = item.tilt - item.beside - item.square, item.beside
            if not same:
                square, response = shared(n, item, rho, v)
                apart = 2 * item.stretch / n
                own = rho * own + (1 - rho) * apart
                beside = rho * beside - (1 - rho) * apart
            own, beside = of_key / 2 * own, epsilon * beside
            response += epsilon * (item.along - item.along_own)
            response += of_key / 2 * (item.along_own - item.response)
            logit_own = of_key / 2 * (item.single + item.along_own - item.response)
            logit_beside = epsilon * (item.paired + item.along - item.along_own)
            excess = square - 1 / n
            aligned = response + logit_own + logit_beside
            found.append(
                {
                    "mixed": excess + own + beside,
                    "excess": excess + 2 * epsilon * rho * v * item.lean,
                    "response": aligned,
                    "aligned": alike * aligned * (length if same else 1),
                    "onto_keys": alike * response * (length if same else 1),
                    "known_own": own + rho * v * logit_own,
                    "known_beside": beside + rho * v * logit_beside,
                }
            )
    return {name: sum(one[name] for one in found) / len(found) for name in _NAMES}
