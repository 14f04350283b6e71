"""The update gain of attention with matrices: five partial derivatives and a trace.

Notation as in ``matrix.py``. For one head and row t of the output, with D = diag(A_t), the
derivatives by v, w, m, q and k are

    dG = X_t dv w,   X_t v dw,   A_t dm W + b_t dmᵀ D Δ_t W,
    c y_t dq kᵀ C_t W,   c y_t q dkᵀ C_t W.

The squared norms of these maps add up to K = tr J Jᵀ. At d = T = H = 1 and c = 1 it is the scalar
update gain of ``scalar.py``.
"""

from collections.abc import Mapping

import sympy as sp

from theory.attention import scalar as attention
from theory.attention import theorem31
from theory.attention.matrix import (
    BLOCKS,
    Head,
    MatrixAttention,
    attended,
    covariance,
    deviations,
    directions,
    gain_parts,
    instance,
    jacobian,
    q_bar,
    slope,
    squared,
)
from theory.derivations.derivation import StatementCheck, Step, covers, equation

_c, _d = sp.symbols("c d", positive=True)
PARTS = sp.symbols("S_v S_w S_m S_q S_k", nonnegative=True)
"""Symbols for tr J Jᵀ by block, in the order of ``BLOCKS``."""
K, Q = sp.symbols("K Qbar", nonnegative=True)
_words = sp.symbols("X v w y q kT C Delta A", commutative=False)
_moves = sp.symbols("dv dw dm dmT dq dkT", commutative=False)
SHAPES = ((1, 1, 2, 1, 1), (2, 2, 3, 1, 1), (2, 1, 2, 2, 2), (3, 2, 2, 1, 2))
"""Shapes (d, d', n, T, H) of the rational instances."""


def instances() -> tuple[MatrixAttention, ...]:
    """Rational points of several shapes, and two at which one bound is nearly reached."""
    one = sp.ImmutableMatrix([[1]])
    even = sp.ImmutableMatrix([[sp.Rational(1, 2)] * 2])
    zero, two = 0 * one, 2 * one
    opposite = sp.ImmutableMatrix([1, -1])
    flat = MatrixAttention(opposite, one, (Head(zero, zero, one, one, even),), sp.S.One)
    steep = MatrixAttention(opposite, two, (Head(two, two, one, one, even),), sp.S.One)
    return (*(instance(*shape) for shape in SHAPES), flat, steep)


def _evaluate(expression: sp.Expr, values: Mapping[sp.Symbol, sp.Matrix]) -> sp.Matrix:
    """Evaluate a noncommutative polynomial with matrices for its letters."""
    total: sp.Matrix | None = None
    for term in sp.Add.make_args(sp.expand(expression)):
        numbers, letters = term.args_cnc()
        matrix = values[letters[0]]
        for letter in letters[1:]:
            matrix = matrix * values[letter]
        matrix = sp.Mul(*numbers).subs(values) * matrix
        total = matrix if total is None else total + matrix
    assert total is not None
    return total


def _letters(
    at: MatrixAttention, head: Head, row: int, direction: sp.Matrix
) -> dict[sp.Symbol, sp.Matrix]:
    x, v, w, y, q, k_t, cov, delta, weights = _words
    moved = {move: direction.T if move.name.endswith("T") else direction for move in _moves}
    return moved | {
        x: attended(at, head)[row, :],
        v: head.v,
        w: head.w,
        y: at.query[row, :],
        q: head.q,
        k_t: head.k.T,
        cov: covariance(at, head, row),
        delta: sp.diag(*head.weights[row, :]) * deviations(at, head, row),
        weights: head.weights[row, :],
        _c: at.c,
    }


def _is_partial(block: str) -> StatementCheck:
    """Compare a formula for row t of dG with exact derivatives, along every unit direction."""

    def check(statement: sp.Basic) -> bool:
        for at in instances()[:3]:
            for owner, unit in directions(at, block):
                exact = slope(at, owner, block, unit)
                heads = at.heads if owner is None else (at.heads[owner],)
                for row in range(at.queries):
                    claimed = sum(
                        (
                            _evaluate(statement.args[1], _letters(at, head, row, unit))
                            for head in heads
                        ),
                        sp.zeros(1, at.width),
                    )
                    if exact[row, :] != claimed:
                        return False
        return True

    return check


def partial_steps() -> tuple[Step, ...]:
    """Derive row t of dG in each block of parameters; Δ is short for diag(A_t) Δ_t."""
    x, v, w, y, q, k_t, cov, delta, weights = _words
    dv, dw, dm, dm_t, dq, dk_t = _moves
    forms = {
        "v": (x * dv * w, 2 * x * dv * w),
        "w": (x * v * dw, -x * v * dw),
        "m": (weights * dm * v * w + _c * y * q * k_t * dm_t * delta * v * w, weights * dm * v * w),
        "q": (_c * y * dq * k_t * cov * v * w, -_c * y * dq * k_t * cov * v * w),
        "k": (_c * y * q * dk_t * cov * v * w, y * q * dk_t * cov * v * w),
    }
    return tuple(
        Step(
            f"row t of dG for a step d{block}, one head (exact, every unit direction)",
            equation(sp.Symbol(f"dG_{block}"), form),
            _is_partial(block),
            equation(sp.Symbol(f"dG_{block}"), false),
        )
        for block, (form, false) in forms.items()
    )


def _is_trace(statement: sp.Basic) -> bool:
    """Compare a formula in the closed-form parts with the squared entries of the Jacobian."""
    for at in instances():
        exact = sum(squared(jacobian(at, block)) for block in BLOCKS)
        closed = gain_parts(at)
        x_v = sum(squared(attended(at, head) * head.v) for head in at.heads)
        named = dict(zip(PARTS, (closed[block] for block in BLOCKS), strict=True))
        named[PARTS[1]] = x_v
        if exact != statement.args[1].subs(named).subs(_d, at.width):
            return False
    return True


@covers("at n = 2, symbolically")
def _is_scalar_case(statement: sp.Basic) -> bool:
    """Compare the matrix formula at d = T = H = 1 and n = 2 with the scalar one, symbolically."""
    size = 2
    memory = sp.symbols("m1:3", real=True)
    first = sp.Symbol("s1", positive=True)
    weights = (first, 1 - first)
    letters = {name: sp.ImmutableMatrix([[getattr(attention, name)]]) for name in "qkvw"}
    head = Head(**letters, weights=sp.ImmutableMatrix([weights]))
    query = sp.ImmutableMatrix([[attention.y]])
    at = MatrixAttention(sp.ImmutableMatrix(memory), query, (head,), sp.S.One)
    mean = sum(p * entry for p, entry in zip(weights, memory, strict=True))
    spread = sum(p * (entry - mean) ** 2 for p, entry in zip(weights, memory, strict=True))
    values = {attention.m[i + 1]: memory[i] for i in range(size)}
    values |= {attention.s[i + 1]: weights[i] for i in range(size)}
    scalar = statement.args[1].subs(attention.n, size).doit().subs(values)
    scalar = scalar.subs({attention.mean: mean, attention.variance: spread})
    matrix = {K: sum(gain_parts(at).values()), Q: q_bar(at)}[statement.args[0]]
    return sp.expand(matrix - scalar) == 0


def gain_steps() -> tuple[Step, ...]:
    """Derive the trace of the update operator, and its scalar case."""
    s_v, s_w, s_m, s_q, s_k = PARTS
    gain = s_v + _d * s_w + s_m + s_q + s_k
    return (
        Step(
            "K = tr J Jᵀ: S_v = Σ‖X‖²‖w‖², S_w = Σ‖X v‖² times d, S_m, S_q, S_k (exact)",
            equation(K, gain),
            _is_trace,
            equation(K, gain.subs(_d, 1)),
        ),
        Step(
            "at d = T = H = 1, c = 1 it is the scalar update gain (n = 2, symbolic)",
            equation(K, attention.gain()),
            _is_scalar_case,
            equation(K, attention.gain() + attention.v**2 * attention.mean**2),
        ),
        Step(
            "and Q̄ is the scalar Q̄",
            equation(Q, theorem31.Q_BAR),
            _is_scalar_case,
            equation(Q, theorem31.Q_BAR - attention.v**2 * attention.mean**2),
        ),
    )
