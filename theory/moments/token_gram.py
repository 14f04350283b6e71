"""Second moments of the tokens of a sequence, as Gram matrices, and how averages transform them.

The *Gram* of vectors y_1 … y_t is the t × t matrix K_ij = E y_i·y_j, with the mean over weights and
tokens. Streams are counted per coordinate, hence divided by d. Cotangents are counted in total. The
diagonal holds each token's own second moment; the other entries hold what two tokens share.

Uniform attention averages over the keys that a query sees: A_ij = 1/n_i for n_i visible keys. In a
causal decoder n_i = i, counted from 1. Elsewhere n_i is the number of keys. The Gram of the
averages and that of cotangents B pulled back through them are

    A K Aᵀ   and   AᵀBA.

Both are computed exactly for every position: causal averages of t independent tokens have a total
second moment of Σ 1/i = H_t, not of t · 1/t.

Entries are Python floats or SymPy expressions.
"""

from collections.abc import Callable, Sequence
from math import cos

import sympy as sp

from theory.derivations.number import Number
from theory.errors import require_positive

Gram = tuple[tuple[Number, ...], ...]


def exchangeable(tokens: int, square: Number, product: Number = 0) -> Gram:
    """Gram of tokens of which none is special: K_ii = square, K_ij = product.

    Examples
    --------
    >>> exchangeable(2, 1.0, 0.25)
    ((1.0, 0.25), (0.25, 1.0))
    """
    require_positive(tokens=tokens)
    span = range(tokens)
    return tuple(tuple(square if i == j else product for j in span) for i in span)


def sinusoids(tokens: int, width: int) -> Gram:
    """Gram of the sinusoidal positions of Vaswani et al.; its diagonal is 1/2.

    p_i·p_j/d = (1/d) Σ_m cos((i − j) 10000^(−2m/d)).

    Examples
    --------
    >>> round(sinusoids(2, 64)[0][1], 4)
    0.4831
    """
    rates = [10000 ** (-2 * m / width) for m in range(width // 2)]
    by_distance = [sum(cos(gap * rate) for rate in rates) / width for gap in range(tokens)]
    return tuple(tuple(by_distance[abs(i - j)] for j in range(tokens)) for i in range(tokens))


def combine(first: Number, a: Gram, second: Number, b: Gram) -> Gram:
    """Gram of a sum of uncorrelated terms: ``first`` · a + ``second`` · b."""
    return tuple(
        tuple(first * x + second * y for x, y in zip(row, other, strict=True))
        for row, other in zip(a, b, strict=True)
    )


def entrywise(function: Callable[..., Number], *grams: Gram) -> Gram:
    """Apply ``function`` to corresponding entries."""
    return tuple(
        tuple(function(*entries) for entries in zip(*rows, strict=True))
        for rows in zip(*grams, strict=True)
    )


def diagonal(gram: Gram) -> tuple[Number, ...]:
    """Second moment K_ii of every token."""
    return tuple(row[i] for i, row in enumerate(gram))


def trace(gram: Gram) -> Number:
    """Sum of the tokens' second moments: Σ_i K_ii."""
    return sum(diagonal(gram))


def total(gram: Gram) -> Number:
    """Second moment of the sum of all tokens: Σ_ij K_ij = E‖Σ_i y_i‖²."""
    return sum(sum(row) for row in gram)


def inner(a: Gram, b: Gram) -> Number:
    """Energy of a gradient summed over tokens: Σ_ij a_ij b_ij = E‖Σ_i x_i ⊗ δ_i‖².

    Examples
    --------
    >>> inner(exchangeable(2, 1, 3), exchangeable(2, 5, 7))
    52
    """
    return sum(
        x * y for row, other in zip(a, b, strict=True) for x, y in zip(row, other, strict=True)
    )


def visible(queries: int, keys: int, *, causal: bool) -> tuple[int, ...]:
    """Number of keys that each query sees: 1, 2, …, t if ``causal``, else all.

    Examples
    --------
    >>> visible(3, 3, causal=True), visible(2, 5, causal=False)
    ((1, 2, 3), (5, 5))
    """
    return tuple(range(1, queries + 1)) if causal else (keys,) * queries


def averaged(gram: Gram, seen: Sequence[int]) -> Gram:
    """Gram of uniform averages, A K Aᵀ.

    Entry ij is the mean of K over the first n_i rows and n_j columns.

    Examples
    --------
    >>> averaged(exchangeable(4, 1.0), (4, 4))[0]
    (0.25, 0.25)
    >>> diagonal(averaged(exchangeable(3, 1.0), (1, 2, 3)))
    (1.0, 0.5, 0.333333)
    """
    sums = _corner_sums(gram)
    return tuple(tuple(sums[n][m] / (n * m) for m in seen) for n in seen)


def pulled_back(cotangents: Gram, seen: Sequence[int], keys: int) -> Gram:
    """Gram of cotangents pulled back through uniform averages, AᵀBA.

    Entry kl is Σ_ij B_ij/(n_i n_j) over the queries i that see k and j that see l.

    Examples
    --------
    >>> pulled_back(exchangeable(2, 1.0), (2, 2), 2)
    ((0.5, 0.5), (0.5, 0.5))
    """
    size = max(keys, *seen)
    by_count: list[list[Number]] = [[0] * (size + 1) for _ in range(size + 1)]
    for n, row in zip(seen, cotangents, strict=True):
        for m, entry in zip(seen, row, strict=True):
            by_count[n][m] += entry / (n * m)
    # Turn entries by number of keys into sums over all n ≥ k and m ≥ l.
    for n in range(size, 0, -1):
        for m in range(size, 0, -1):
            if n < size:
                by_count[n][m] += by_count[n + 1][m]
            if m < size:
                by_count[n][m] += by_count[n][m + 1]
            if n < size and m < size:
                by_count[n][m] -= by_count[n + 1][m + 1]
    return tuple(tuple(by_count[k][1 : keys + 1]) for k in range(1, keys + 1))


def centred_second_moment(gram: Gram) -> tuple[Number, ...]:
    """Second moment of the first n tokens beyond what they share, for n = 0, 1, …, t.

    It is the mean diagonal entry minus the mean off-diagonal entry. A shift common to all keys
    cancels in the softmax and in V − V̄. Logits and their gradients hence depend on this moment
    only. It is 0 for a single token.

    Examples
    --------
    >>> centred_second_moment(exchangeable(3, 1.0, 0.25))
    (0, 0, 0.75, 0.75)
    """
    sums = _corner_sums(gram)
    own: Number = gram[0][0]
    found: list[Number] = [0, 0]
    for n in range(2, len(gram) + 1):
        own += gram[n - 1][n - 1]
        found.append(own / n - (sums[n][n] - own) / (n * (n - 1)))
    return tuple(found)


def centred_gram(weights: Gram, seen: Sequence[int], keys: int) -> Gram:
    """Gram of the centred part of exchangeable keys, summed over pairs of queries.

    Σ_ij w_ij C_n over queries i, j, with n = min(n_i, n_j). On the first n keys,
    C_n = I/n − (J − I)/(n (n − 1)), J all ones. C_n has unit trace, and its rows sum to 0. For
    n = 1 it is 0.

    Examples
    --------
    >>> centred_gram(((1.0,),), (2,), 3)
    ((0.5, -0.5, 0), (-0.5, 0.5, 0), (0, 0, 0))
    """
    beside: list[Number] = [0] * (keys + 1)
    own: list[Number] = [0] * (keys + 1)
    for n_i, row in zip(seen, weights, strict=True):
        for n_j, weight in zip(seen, row, strict=True):
            n = min(n_i, n_j)
            if n > 1:
                own[n] += weight / n
                beside[n] += weight / (n * (n - 1))
    for n in range(keys - 1, 0, -1):
        own[n] += own[n + 1]
        beside[n] += beside[n + 1]
    span = range(1, keys + 1)
    return tuple(tuple(own[k] if k == m else -beside[max(k, m)] or 0 for m in span) for k in span)


def split_gram(own: Gram, beside: Gram, seen: Sequence[int], keys: int) -> Gram:
    """Gram over keys with a given sum of its diagonal and a given sum of its other entries.

    Σ_ij (own_ij I/n + beside_ij (J − I)/(n (n − 1))) over queries i, j with n = min(n_i, n_j) keys.
    The diagonal adds up to the sum of ``own``, the other entries to the sum of ``beside``.

    Examples
    --------
    >>> split_gram(((1.0,),), ((3.0,),), (2,), 2)
    ((0.5, 1.5), (1.5, 0.5))
    """
    counts = tuple(tuple(min(n, m) for m in seen) for n in seen)
    even = entrywise(lambda a, b, n: (a + b) / n if n > 1 else 0, own, beside, counts)
    # a I/n + b (J − I)/(n (n − 1)) = (a + b) J/n² + (a − (a + b)/n) C_n
    tilted = entrywise(lambda a, e, n: a - e if n > 1 else 0, own, even, counts)
    return combine(1, _spread_evenly(even, seen, keys), 1, centred_gram(tilted, seen, keys))


def _spread_evenly(weights: Gram, seen: Sequence[int], keys: int) -> Gram:
    """Distribute weights evenly over the first n = min(n_i, n_j) keys.

    Σ_ij w_ij J_n/n with J_n all ones on those keys.
    """
    by_count: list[Number] = [0] * (keys + 1)
    for n_i, row in zip(seen, weights, strict=True):
        for n_j, weight in zip(seen, row, strict=True):
            by_count[min(n_i, n_j)] += weight / min(n_i, n_j)
    for n in range(keys - 1, 0, -1):
        by_count[n] += by_count[n + 1]
    span = range(1, keys + 1)
    return tuple(tuple(by_count[max(k, m)] for m in span) for k in span)


def correlations(gram: Gram) -> Gram:
    """Gram behind a layer norm: the correlations K_ij/√(K_ii K_jj).

    Examples
    --------
    >>> correlations(exchangeable(2, 4.0, 1.0))
    ((1, 0.25), (0.25, 1))
    """
    roots = [square_root(row[i]) for i, row in enumerate(gram)]
    return tuple(
        tuple(1 if i == j else entry / (roots[i] * roots[j]) for j, entry in enumerate(row))
        for i, row in enumerate(gram)
    )


def rescaled(gram: Gram, factors: Sequence[Number]) -> Gram:
    """Gram of tokens whose second moments are multiplied by f: √f_i K_ij √f_j."""
    roots = [square_root(factor) for factor in factors]
    return tuple(
        tuple(roots[i] * entry * roots[j] for j, entry in enumerate(row))
        for i, row in enumerate(gram)
    )


def square_root(x: Number) -> Number:
    """Square root of a float or an expression."""
    return sp.sqrt(x) if isinstance(x, sp.Expr) else x**0.5


def _corner_sums(gram: Gram) -> list[list[Number]]:
    """Sums of the first n rows and m columns, for all n and m."""
    width = len(gram[0])
    sums: list[list[Number]] = [[0] * (width + 1)]
    for row in gram:
        running: Number = 0
        line: list[Number] = [0]
        for m, entry in enumerate(row, start=1):
            running += entry
            line.append(running + sums[-1][m])
        sums.append(line)
    return sums
