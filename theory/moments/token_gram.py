"""Second moments of a sequence of tokens: Gram matrices, and what averages make of them.

A *Gram* of t vectors y_1 … y_t of a sequence is the t × t matrix K_ij = E y_i·y_j, over the draw of
the weights and of the tokens; streams are counted per coordinate (divided by d), cotangents in
total. The diagonal is the tokens' own second moment, what lies beside it is what they share.

Uniform attention averages over what a query sees: A_ij = 1/n_i for the n_i visible keys, n_i = i in
a causal decoder (counted from 1) and the memory's length s otherwise. Then A K Aᵀ is the averages'
Gram, and AᵀBA the Gram of cotangents B pulled back through the average. Both are computed exactly
for every position: a causal average of t independent tokens has the total second moment
Σ 1/i = H_t, not t · 1/t.

Entries are Python floats or SymPy expressions.
"""

from collections.abc import Callable, Sequence
from math import cos

import sympy as sp

from theory.errors import require_positive

Number = float | sp.Expr
Gram = tuple[tuple[Number, ...], ...]


def exchangeable(tokens: int, square: Number, product: Number = 0) -> Gram:
    """K_ii = square, K_ij = product: tokens of which none is special.

    Examples
    --------
    >>> exchangeable(2, 1.0, 0.25)
    ((1.0, 0.25), (0.25, 1.0))
    """
    require_positive(tokens=tokens)
    span = range(tokens)
    return tuple(tuple(square if i == j else product for j in span) for i in span)


def sinusoids(tokens: int, width: int) -> Gram:
    """p_i·p_j/d = (1/d) Σ_m cos((i − j) 10000^(−2m/d)): Vaswani et al.'s positions, 1/2 if i = j.

    Examples
    --------
    >>> round(sinusoids(2, 64)[0][1], 4)
    0.4831
    """
    rates = [10000 ** (-2 * m / width) for m in range(width // 2)]
    by_distance = [sum(cos(gap * rate) for rate in rates) / width for gap in range(tokens)]
    return tuple(tuple(by_distance[abs(i - j)] for j in range(tokens)) for i in range(tokens))


def combine(first: Number, a: Gram, second: Number, b: Gram) -> Gram:
    """``first`` · a + ``second`` · b: the Gram of a sum whose terms are uncorrelated."""
    return tuple(
        tuple(first * x + second * y for x, y in zip(row, other, strict=True))
        for row, other in zip(a, b, strict=True)
    )


def entrywise(function: Callable[..., Number], *grams: Gram) -> Gram:
    """``function`` of the corresponding entries."""
    return tuple(
        tuple(function(*entries) for entries in zip(*rows, strict=True))
        for rows in zip(*grams, strict=True)
    )


def diagonal(gram: Gram) -> tuple[Number, ...]:
    """K_ii, every token's own second moment."""
    return tuple(row[i] for i, row in enumerate(gram))


def trace(gram: Gram) -> Number:
    """Σ_i K_ii."""
    return sum(diagonal(gram))


def total(gram: Gram) -> Number:
    """Σ_ij K_ij = E‖Σ_i y_i‖²."""
    return sum(sum(row) for row in gram)


def inner(a: Gram, b: Gram) -> Number:
    """Σ_ij a_ij b_ij: the energy E‖Σ_i x_i ⊗ δ_i‖² of a gradient summed over tokens.

    Examples
    --------
    >>> inner(exchangeable(2, 1, 3), exchangeable(2, 5, 7))
    52
    """
    return sum(
        x * y for row, other in zip(a, b, strict=True) for x, y in zip(row, other, strict=True)
    )


def visible(queries: int, keys: int, *, causal: bool) -> tuple[int, ...]:
    """How many keys each query sees: 1, 2, …, t if ``causal``, else all.

    Examples
    --------
    >>> visible(3, 3, causal=True), visible(2, 5, causal=False)
    ((1, 2, 3), (5, 5))
    """
    return tuple(range(1, queries + 1)) if causal else (keys,) * queries


def averaged(gram: Gram, seen: Sequence[int]) -> Gram:
    """A K Aᵀ: entry ij is the mean of K over the first n_i rows and n_j columns.

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
    """AᵀBA: entry kl is Σ_ij B_ij/(n_i n_j) over the queries i that see k and j that see l.

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
    for n in range(size, 0, -1):
        for m in range(size, 0, -1):
            if n < size:
                by_count[n][m] += by_count[n + 1][m]
            if m < size:
                by_count[n][m] += by_count[n][m + 1]
            if n < size and m < size:
                by_count[n][m] -= by_count[n + 1][m + 1]
    return tuple(tuple(by_count[k][1 : keys + 1]) for k in range(1, keys + 1))


def told_apart(gram: Gram) -> tuple[Number, ...]:
    """Mean diagonal − mean off-diagonal entry of the first n tokens, for n = 0, 1, …, t.

    A shift common to all keys drops out of the softmax and of V − V̄, so this is the second moment
    that attention's logits and their gradients feel. One token alone has nothing to be told from.

    Examples
    --------
    >>> told_apart(exchangeable(3, 1.0, 0.25))
    (0, 0, 0.75, 0.75)
    """
    sums = _corner_sums(gram)
    own: Number = gram[0][0]
    found: list[Number] = [0, 0]
    for n in range(2, len(gram) + 1):
        own += gram[n - 1][n - 1]
        found.append(own / n - (sums[n][n] - own) / (n * (n - 1)))
    return tuple(found)


def contrast(weights: Gram, seen: Sequence[int], keys: int) -> Gram:
    """Σ_ij w_ij C_n over queries i, j, with n = min(n_i, n_j) and C_n = I/n − (1 − I)/(n (n − 1)).

    C_n, on the first n keys, has unit trace and rows that sum to 0: what tells n exchangeable keys
    apart, at unit weight. For n = 1 it is 0.

    Examples
    --------
    >>> contrast(((1.0,),), (2,), 3)
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


def scattered(own: Gram, beside: Gram, seen: Sequence[int], keys: int) -> Gram:
    """Σ_ij (own_ij I/n + beside_ij (1 − I)/(n (n − 1))) over queries i, j, n = min(n_i, n_j) keys.

    The Gram over keys whose diagonal adds up to all of ``own``, the rest to ``beside``.

    Examples
    --------
    >>> scattered(((1.0,),), ((3.0,),), (2,), 2)
    ((0.5, 1.5), (1.5, 0.5))
    """
    counts = tuple(tuple(min(n, m) for m in seen) for n in seen)
    even = entrywise(lambda a, b, n: (a + b) / n if n > 1 else 0, own, beside, counts)
    # C_n + J/n = I: the diagonal gets what C_n gives it, the rest what is left of J.
    tilted = entrywise(lambda a, e, n: a - e if n > 1 else 0, own, even, counts)
    return combine(1, _spread_evenly(even, seen, keys), 1, contrast(tilted, seen, keys))


def _spread_evenly(weights: Gram, seen: Sequence[int], keys: int) -> Gram:
    """Σ_ij w_ij J_n/n, J_n all ones on the first n = min(n_i, n_j) keys."""
    by_count: list[Number] = [0] * (keys + 1)
    for n_i, row in zip(seen, weights, strict=True):
        for n_j, weight in zip(seen, row, strict=True):
            by_count[min(n_i, n_j)] += weight / min(n_i, n_j)
    for n in range(keys - 1, 0, -1):
        by_count[n] += by_count[n + 1]
    span = range(1, keys + 1)
    return tuple(tuple(by_count[max(k, m)] for m in span) for k in span)


def correlations(gram: Gram) -> Gram:
    """K_ij/√(K_ii K_jj): the Gram behind a layer norm, which makes every token's K_ii 1.

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
    """√f_i K_ij √f_j: the Gram of tokens whose second moments are multiplied by f."""
    roots = [square_root(factor) for factor in factors]
    return tuple(
        tuple(roots[i] * entry * roots[j] for j, entry in enumerate(row))
        for i, row in enumerate(gram)
    )


def square_root(x: Number) -> Number:
    """√x of a float or an expression."""
    return sp.sqrt(x) if isinstance(x, sp.Expr) else x**0.5


def _corner_sums(gram: Gram) -> list[list[Number]]:
    """S[n][m] = Σ of the first n rows and m columns."""
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
