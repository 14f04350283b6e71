"""Attention with matrices, T-Fixup's Eq. 5 in full: its output, exact Jacobian and update gain.

Queries y ∈ R^(T×d) read a memory m ∈ R^(n×d) through heads h = 1…H with q, k, v ∈ R^(d×d') and w ∈
R^(d'×d). With c = 1/√d', and t an index of rows,

    A = softmax(c y q kᵀ mᵀ),   G = Σ_h A m v w ∈ R^(T×d),   X = A m,   W = v w,
    Δ_t = m − 1 X_t,   C_t = Σ_j A_tj Δ_tjᵀ Δ_tj (attended covariance),   b_t = c y_t q kᵀ.

An SGD step on (m, q, k, v, w) against g = ∂L/∂G changes G by −η J Jᵀ g + O(η²). The update gain of
the scalar case becomes the *update operator* J Jᵀ (Td × Td). Its trace is the mean change over
random directions g. Logits may carry any fixed bias, such as masks or relative positions. An
instance hence gives the weights A themselves, as rationals, so that every derivative is exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import sympy as sp

from theory.errors import InputError

BLOCKS = ("v", "w", "m", "q", "k")


@dataclass(frozen=True)
class Head:
    """One head's matrices and its attention weights."""

    q: sp.ImmutableMatrix
    k: sp.ImmutableMatrix
    v: sp.ImmutableMatrix
    w: sp.ImmutableMatrix
    weights: sp.ImmutableMatrix
    """The attention weights A (T × n), whose rows sum to 1."""

    @property
    def product(self) -> sp.ImmutableMatrix:
        """The product of the value and output matrices: W = v w."""
        return self.v * self.w


@dataclass(frozen=True)
class MatrixAttention:
    """An attention block at a point."""

    memory: sp.ImmutableMatrix
    query: sp.ImmutableMatrix
    heads: tuple[Head, ...]
    c: sp.Expr
    """The factor 1/√d' on the logits."""

    def __post_init__(self) -> None:
        for head in self.heads:
            for row in range(head.weights.rows):
                total = sp.simplify(sum(head.weights[row, :]))
                if total != 1:
                    raise InputError(f"attention weights must sum to 1 in a row, got {total}")

    @property
    def width(self) -> int:
        """The width d of a token."""
        return self.memory.cols

    @property
    def queries(self) -> int:
        """The number T of queries."""
        return self.query.rows


def squared(matrix: sp.Matrix) -> sp.Expr:
    """Squared Frobenius norm ‖M‖_F², the sum of squared entries.

    Examples
    --------
    >>> squared(sp.Matrix([[1, 2], [0, 3]]))
    14
    """
    return sp.Add(*(entry**2 for entry in matrix))


def _times(*factors: tuple[sp.Matrix, sp.Matrix]) -> tuple[sp.Matrix, sp.Matrix]:
    """Product rule for pairs (value, slope)."""
    value, rate = factors[0]
    for other, other_rate in factors[1:]:
        value, rate = value * other, value * other_rate + rate * other
    return value, rate


def slope(at: MatrixAttention, head: int | None, block: str, direction: sp.Matrix) -> sp.Matrix:
    """Derivative dG along a direction in one parameter of ``head``, or in the memory with ``None``.

    Exact forward differentiation: every intermediate is a pair (value, slope), products follow the
    product rule, exp' = exp and the softmax the quotient rule.
    """
    still = sp.zeros(*at.memory.shape)
    memory = (at.memory, direction if block == "m" else still)
    flipped = (memory[0].T, memory[1].T)
    total = sp.zeros(at.queries, at.width)
    for index, part in enumerate(at.heads):
        own = {
            name: (value, direction if (index, name) == (head, block) else 0 * value)
            for name, value in (("q", part.q), ("k", part.k.T), ("v", part.v), ("w", part.w))
        }
        if (index, "k") == (head, block):
            own["k"] = (part.k.T, direction.T)
        query = (at.query, 0 * at.query)
        logit_rate = at.c * _times(query, own["q"], own["k"], flipped)[1]
        raised = part.weights.multiply_elementwise(logit_rate)
        for t in range(at.queries):
            # exp(l)/Σ exp(l) has slope A l' − A Σ A l'.
            change = raised[t, :] - part.weights[t, :] * sum(raised[t, :])
            weights = (part.weights[t, :], change)
            total[t, :] += _times(weights, memory, own["v"], own["w"])[1]
    return total


def directions(at: MatrixAttention, block: str) -> Iterator[tuple[int | None, sp.Matrix]]:
    """Every unit direction of a block of parameters, with its head."""
    owners = [(None, at.memory)] if block == "m" else []
    if block != "m":
        owners = [(index, getattr(head, block)) for index, head in enumerate(at.heads)]
    for owner, matrix in owners:
        for row in range(matrix.rows):
            for column in range(matrix.cols):
                unit = sp.zeros(matrix.rows, matrix.cols)
                unit[row, column] = 1
                yield owner, unit


@cache
def jacobian(at: MatrixAttention, block: str) -> sp.ImmutableMatrix:
    """The Jacobian J restricted to a block of parameters.

    It has Td rows in the order of the output's rows, and one column per parameter.
    """
    columns = [
        sp.Matrix(slope(at, head, block, unit)).reshape(at.queries * at.width, 1)
        for head, unit in directions(at, block)
    ]
    return sp.ImmutableMatrix(sp.Matrix.hstack(*columns))


def operator(at: MatrixAttention) -> sp.Matrix:
    """The update operator J Jᵀ over all five blocks."""
    parts = [jacobian(at, block) for block in BLOCKS]
    return sum((part * part.T for part in parts), sp.zeros(at.queries * at.width))


def attended(at: MatrixAttention, head: Head) -> sp.Matrix:
    """What the queries read: X = A m (T × d)."""
    return head.weights * at.memory


def deviations(at: MatrixAttention, head: Head, row: int) -> sp.Matrix:
    """Deviations of the memory from the token that query t reads: Δ_t = m − 1 X_t (n × d)."""
    mean = attended(at, head)[row, :]
    return at.memory - sp.ones(at.memory.rows, 1) * mean


def covariance(at: MatrixAttention, head: Head, row: int) -> sp.Matrix:
    """Attended covariance of query t: C_t = Δ_tᵀ diag(A_t) Δ_t (d × d)."""
    delta = deviations(at, head, row)
    return delta.T * sp.diag(*head.weights[row, :]) * delta


def memory_partial(at: MatrixAttention, row: int, token: int) -> sp.Matrix:
    """Derivative of output t by token j: ∂G_t/∂m_j = Σ_h A_tj Wᵀ (I + Δ_tjᵀ b_t) (d × d)."""
    total = sp.zeros(at.width, at.width)
    for head in at.heads:
        reach = at.c * at.query[row, :] * head.q * head.k.T
        tilt = sp.eye(at.width) + deviations(at, head, row)[token, :].T * reach
        total += head.weights[row, token] * head.product.T * tilt
    return total


def gain_parts(at: MatrixAttention) -> dict[str, sp.Expr]:
    """The trace tr J Jᵀ by block of parameters, in closed form.

    v: Σ_h ‖X‖² ‖w‖²; w: d Σ_h ‖X v‖²; m: Σ_tj ‖Σ_h A_tj Wᵀ (I + Δ_tjᵀ b_t)‖²;
    q: c² Σ_h Σ_t ‖y_t‖² ‖kᵀ C_t W‖²; k: c² Σ_h Σ_t ‖y_t q‖² ‖C_t W‖². All norms are Frobenius.

    Examples
    --------
    >>> one, half = sp.ImmutableMatrix([[1]]), sp.ImmutableMatrix([[sp.Rational(1, 2)] * 2])
    >>> head = Head(one, one, one, one, half)
    >>> gain_parts(MatrixAttention(sp.ImmutableMatrix([1, -1]), one, (head,), sp.S.One))
    {'v': 0, 'w': 0, 'm': 1, 'q': 1, 'k': 1}
    """
    rows, tokens = range(at.queries), range(at.memory.rows)
    parts: dict[str, sp.Expr] = {block: sp.S.Zero for block in BLOCKS}
    for head in at.heads:
        x, w = attended(at, head), head.product
        parts["v"] += squared(x) * squared(head.w)
        parts["w"] += at.width * squared(x * head.v)
        for t in rows:
            spread, y = covariance(at, head, t) * w, at.query[t, :]
            parts["q"] += at.c**2 * squared(y) * squared(head.k.T * spread)
            parts["k"] += at.c**2 * squared(y * head.q) * squared(spread)
    parts["m"] = sp.Add(*(squared(memory_partial(at, t, j)) for t in rows for j in tokens))
    return parts


def q_bar(at: MatrixAttention) -> sp.Expr:
    """The sum of squares that bounds the gain: Q̄ = T ‖Σ_h W‖² + Σ_h (‖X‖² ‖w‖² + d ‖X v‖²).

    All norms are Frobenius.
    """
    parts = gain_parts(at)
    whole = sum((head.product for head in at.heads), sp.zeros(at.width, at.width))
    return at.queries * squared(whole) + parts["v"] + parts["w"]


def _rational_matrix(rows: int, columns: int, seed: int) -> sp.ImmutableMatrix:
    return sp.ImmutableMatrix(
        rows,
        columns,
        lambda i, j: sp.Rational((7 * i + 11 * j + 5 * seed + i * j * seed) % 13 - 6, 2 + seed % 3),
    )


def _stochastic(rows: int, columns: int, seed: int) -> sp.ImmutableMatrix:
    positive = sp.Matrix(rows, columns, lambda i, j: 1 + (3 * i + 5 * j + 7 * seed + i * j) % 8)
    return sp.ImmutableMatrix(rows, columns, lambda i, j: positive[i, j] / sum(positive[i, :]))


def instance(
    width: int, inner: int, tokens: int, queries: int, heads: int, seed: int = 1
) -> MatrixAttention:
    """An attention block of any shape with rational entries; equal arguments give equal blocks.

    Examples
    --------
    >>> block = instance(2, 1, 3, 2, 2)
    >>> block.memory.shape, len(block.heads), sum(block.heads[0].weights[0, :])
    ((3, 2), 2, 1)
    """
    drawn = tuple(
        Head(
            _rational_matrix(width, inner, seed + 4 * h + 1),
            _rational_matrix(width, inner, seed + 4 * h + 2),
            _rational_matrix(width, inner, seed + 4 * h + 3),
            _rational_matrix(inner, width, seed + 4 * h + 4),
            _stochastic(queries, tokens, seed + h),
        )
        for h in range(heads)
    )
    memory, query = (
        _rational_matrix(tokens, width, seed),
        _rational_matrix(queries, width, seed + 9),
    )
    return MatrixAttention(memory, query, drawn, sp.Rational(2, 3))
