"""How softmax attention transforms second moments, beyond a uniform average.

A head's logits are ℓ_iσ = y_i W_q W_kᵀ z_σᵀ/√d'. Their covariance is s² K_ij Z_σσ' with
s² = σ_q² σ_k² d². Whatever all keys share cancels in the softmax. Hence query i sees n_i logits of
variance v_i = s² K_ii D, and the logits of two queries have covariance c_ij = s² K_ij D. D is the
centred second moment of the keys (`theory.moments.token_gram.centred_second_moment`). The weights
a enter through two sums, in units of D and of D²:

    Σ_σ a_iσ a_jσ                 gives `mixed` = E A Z Aᵀ and, backward, E AᵀBA
    Σ_σσ' a_iσ a_jσ' Ž_σσ' Z_σσ'  gives `response`; Ž is Z centred by both queries' weights

Two queries whose logits have variance v each and covariance c share

    q(c) = E Σ_σ a_σ b_σ,   R(c) = E tr J_a J_bᵀ,   J = diag(a) − a aᵀ,   dq/dc = R.

Both ends are known: q(0) = 1/n and R(0) = (1 − q(v))²/(n − 1); q(v) and R(v) are those of a single
query. Between the ends q is a monotone cubic. At −c, n q takes its inverse. Where the queries see
n ≤ m keys, the result is scaled by n/m.

Finite-width corrections are of first order in 1/d. They come in three kinds.

1. A *fluctuating quantity* is averaged with the two-point rule E f(x) ≈ ½ f(μ − s) + ½ f(μ + s):

       |W_k q_i|² of a head, relative to its mean   s = √(2/d' + 2/d)
       the correlation ρ of two queries             s = (1 − ρ²)/√d
       the correlation of their logits              s = (1 − ρ²) √(1/d' + 2/d)

2. *Alignment*: a share 1/d of each key lies along the query, where the weights are tilted, and a
   share 1/d along the value.
3. *Dependence of cotangents on keys*: E δ_σ·δ_σ' z_σ·z_σ' is not the product of the two means. The
   cotangent that a key receives as a value and the one that it receives through its logit have
   covariance (1/d) E Σ a_σ² (ℓ_σ − ℓ̄).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from theory.derivations.number import Number
from theory.moments.softmax_moments import SoftmaxMoments
from theory.moments.token_gram import (
    Gram,
    averaged,
    centred_second_moment,
    correlations,
    diagonal,
    square_root,
)

Softmax = Callable[[int, Number, Number], SoftmaxMoments]
"""Maps number of keys, variance of the logits and spread of the keys' length² to moments."""


@dataclass(frozen=True)
class Fluctuations:
    """The inverse of each width that limits self-averaging; infinite width is all zeros."""

    width: Number = 0
    """1/d, d the width of the residual stream."""
    head: Number = 0
    """1/d', d' the width of one head."""
    hidden: Number = 0
    """1/d_ff, d_ff the hidden width of an MLP."""


@dataclass(frozen=True)
class AttentionMoments:
    """Expectations over the weights of one attention block; entries ij are pairs of queries."""

    seen: tuple[int, ...]
    """n_i: the number of keys that query i sees."""
    centred: tuple[Number, ...]
    """D: entry n is the centred second moment of the first n keys."""
    mixed: Gram
    """E A Z Aᵀ per coordinate: the Gram of the averages that the queries read."""
    overlap_excess: Gram
    """E Σ_σ a_iσ a_jσ − 1/max(n_i, n_j), plus the covariance of a key's value and its logit."""
    response: Gram
    """E of the logits' response in units of D²; the cotangent on the queries has it."""
    aligned: Gram
    """E K_ij times that response; the gradients of W_q and W_k have it."""
    onto_keys: Gram
    """E K_ij times the response of single keys in units of D; the cotangent on keys has it."""
    excess_diagonal: Gram
    """Σ_σ of E δ_σ·δ_σ z_σ·z_σ beyond the product of the two means, over single keys σ."""
    excess_off_diagonal: Gram
    """The same sum over pairs of distinct keys."""


def two_points(mean: Number, deviation: Number) -> tuple[Number, ...]:
    """Average a function over a small fluctuation: E f(x) ≈ ½ f(μ − s) + ½ f(μ + s).

    Returns the points μ − s and μ + s, or μ alone if s = 0.

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
        Number of keys that each query sees, from the first (`theory.moments.token_gram.visible`).
    logit_scale
        s² = σ_q² σ_k² d².
    softmax
        Moments by number and variance of the logits and spread of the keys.
    fluctuations
        Finite widths.
    spreads
        Relative variance of each query's and each key's length². It is 0 behind a layer norm, and
        where this argument is not given.

    Examples
    --------
    >>> from theory.moments.softmax_moments import moments
    >>> from theory.moments.token_gram import exchangeable
    >>> one = exchangeable(4, 1.0)
    >>> found = attention_moments(one, one, (4,) * 4, 1.0, moments, Fluctuations())
    >>> round(found.mixed[0][0], 3), round(found.mixed[0][1], 3)
    (0.392, 0.25)
    """
    centred = centred_second_moment(keys)
    rho = correlations(queries)
    roots = [square_root(own) for own in diagonal(queries)]
    base = averaged(keys, seen)
    vary, longer = spreads or ((0,) * len(queries), (0,) * len(keys))

    @cache  # Most pairs are alike: tokens drawn alike differ in how many keys they see.
    def beyond_average(
        n: int, m: int, length: Number, alike: Number, of_query: Number, *, same: bool
    ) -> dict[str, Number]:
        unit = logit_scale * centred[n] * length
        own, weights = fluctuations.width, fluctuations.width + fluctuations.head
        deviation = 0 if same else (1 - alike**2) * square_root(own + weights)
        found = [
            _query_pair(
                n,
                unit,
                r,
                # The deviation of the logits' correlation has two causes: the queries and W_q, W_k.
                # This is the correlation of the queries alone.
                alike + (own / (own + weights) * (r - alike) if own else 0),
                softmax,
                fluctuations,
                (of_query, sum(longer[:n]) / n),
                same=same,
            )
            for r in two_points(alike, deviation)
        ]
        mean = {name: sum(one[name] for one in found) / len(found) * n / m for name in found[0]}
        scales = {
            "mixed": centred[n],
            "aligned": length,
            "onto_keys": length,
            "excess_diagonal": centred[n],
            "excess_off_diagonal": centred[n],
        }
        return mean | {name: scale * mean[name] for name, scale in scales.items()}

    def pair(i: int, j: int) -> dict[str, Number]:
        n, m = sorted((seen[i], seen[j]))
        length = roots[i] * roots[j]
        found = beyond_average(n, m, length, rho[i][j], vary[i], same=i == j)
        return found | {"mixed": base[i][j] + found["mixed"]}

    size = range(len(seen))
    lower = [[pair(i, j) for j in range(i + 1)] for i in size]
    pairs = [[lower[max(i, j)][min(i, j)] for j in size] for i in size]
    return AttentionMoments(
        seen,
        centred,
        **{name: tuple(tuple(entry[name] for entry in row) for row in pairs) for name in _NAMES},
    )


_NAMES = (
    *("mixed", "overlap_excess", "response", "aligned", "onto_keys"),
    *("excess_diagonal", "excess_off_diagonal"),
)
"""The Grams of `AttentionMoments`."""


def shared(n: int, alone: SoftmaxMoments, rho: Number, variance: Number) -> tuple[Number, Number]:
    """How far two queries attend to the same keys: q and R at logits' correlation ρ.

    q(ρ v) is a cubic in ρ between the known values and slopes at 0 and at v; R is its slope.

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
    if rho < 0:  # n q(−c) = 1/(n q(c)), and R(−c) is its derivative
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
    """Moments of one pair of queries, without the uniform average.

    ``alike`` is the queries' correlation, ``rho`` that of their logits, ``unit`` the logits'
    variance.
    """
    if n == 1:
        return dict.fromkeys(_NAMES, 0)
    epsilon = fluctuations.width
    of_query, of_key = spreads
    # Gaussian keys have length² of relative variance 2/d and Gaussian logits; only more counts.
    beyond = of_key - 2 * epsilon
    found = []
    for head in two_points(1, square_root(2 * fluctuations.head + 2 * epsilon)):
        for length in two_points(1, square_root(of_query)):
            v = unit * head * length
            item = softmax(n, v, beyond)
            square, response = item.square, item.response
            # Correction 2, alignment with the query: terms with σ = σ' and terms with σ ≠ σ'.
            beside = item.query_tilt_off_diagonal
            own = item.query_tilt - beside - item.square
            if not same:
                square, response = shared(n, item, rho, v)
                # Uncorrelated queries: one tilts the weights that the other averages with.
                tilted = 2 * item.logit_excess / n
                own = rho * own + (1 - rho) * tilted
                beside = rho * beside - (1 - rho) * tilted
            own, beside = of_key / 2 * own, epsilon * beside
            on_query = item.query_response_diagonal
            response += epsilon * (item.query_response - on_query)
            response += of_key / 2 * (on_query - item.response)
            # The same for the value, in the gradient by the logits.
            logit_own = of_key / 2 * (item.value_response_diagonal + on_query - item.response)
            logit_beside = epsilon * (
                item.value_response_off_diagonal + item.query_response - on_query
            )
            excess = square - 1 / n
            aligned = response + logit_own + logit_beside
            found.append(
                {
                    "mixed": excess + own + beside,
                    # Correction 3, by Stein's lemma.
                    "overlap_excess": excess + 2 * epsilon * rho * v * item.value_logit_covariance,
                    "response": aligned,
                    "aligned": alike * aligned * (length if same else 1),
                    "onto_keys": alike * response * (length if same else 1),
                    "excess_diagonal": own + rho * v * logit_own,
                    "excess_off_diagonal": beside + rho * v * logit_beside,
                }
            )
    return {name: sum(one[name] for one in found) / len(found) for name in _NAMES}
