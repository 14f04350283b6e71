"""What remains of Theorem 3.1 for a single direction of the output: norms and eigenvalues.

The update operator J Jᵀ (Td × Td, ``matrix.py``) moves the output by −η J Jᵀ g. For a fixed shape
its largest eigenvalue is Θ(1/L) whenever its trace is:

    Q̄ / (nTd) ≤ λ_max ≤ tr J Jᵀ ≤ (H/κ)(1 + 3c²B⁸) Q̄.                                (1)

The smallest eigenvalue need not be. Two equal queries give G two equal rows. A v with X v = 0 and v
w = 0 leaves only wᵀw, which may be singular. With one head the operator is bounded from below by

    J Jᵀ ⪰ X Xᵀ ⊗ wᵀw + (X v)(X v)ᵀ ⊗ I + (1/n) 1 1ᵀ ⊗ WᵀW,                          (2)

which for one query is at least ‖X‖² σ_min(w)² + ‖X v‖² + σ_min(W)²/n. Norms as in
``matrix_norms.py``.
"""

import random
from collections.abc import Callable, Iterable

import sympy as sp

from theory.attention.matrix import (
    Head,
    MatrixAttention,
    attended,
    instance,
    jacobian,
    operator,
    squared,
)
from theory.attention.matrix_norms import printed_terms
from theory.attention.theorem31 import L
from theory.derivations.derivation import Derivation, Step, dominated, equation
from theory.derivations.orders import order_step
from theory.derivations.statements import LoewnerOrder

_value, _output, _memory = sp.symbols("value output memory", nonnegative=True)
d = sp.Symbol("d", integer=True, positive=True)
_largest, _smallest, _trace = sp.symbols("lambda_max lambda_min trace", nonnegative=True)
n, T = sp.symbols("n T", integer=True, positive=True)


def kronecker(left: sp.Matrix, right: sp.Matrix) -> sp.Matrix:
    """The Kronecker product of two matrices: block (i, j) is left_ij times right.

    Examples
    --------
    >>> kronecker(sp.Matrix([[1, 2]]), sp.eye(2))
    Matrix([
    [1, 0, 2, 0],
    [0, 1, 0, 2]])
    """
    return sp.Matrix(sp.BlockMatrix([[entry * right for entry in row] for row in left.tolist()]))


def lower_operators(at: MatrixAttention) -> tuple[sp.Matrix, sp.Matrix, sp.Matrix]:
    """The three operators of (2), for an instance with one head."""
    (head,) = at.heads
    x = attended(at, head)
    ones = sp.ones(at.queries, at.queries)
    return (
        kronecker(x * x.T, head.w.T * head.w),
        kronecker((x * head.v) * (x * head.v).T, sp.eye(at.width)),
        kronecker(ones, head.product.T * head.product),
    )


def _single() -> tuple[MatrixAttention, ...]:
    """Instances with one head; the last has X = 0."""
    one, even = sp.ImmutableMatrix([[1]]), sp.ImmutableMatrix([[sp.Rational(1, 2)] * 2])
    flat = Head(0 * one, 0 * one, one, one, even)
    return (
        instance(2, 2, 3, 1, 1),
        instance(2, 1, 2, 2, 1),
        MatrixAttention(sp.ImmutableMatrix([1, -1]), one, (flat,), sp.S.One),
    )


def _exact_blocks(statement: sp.Basic) -> bool:
    """Compare J_v J_vᵀ + J_w J_wᵀ with a sum of the two operators."""
    for at in _single():
        exact = sum(
            (jacobian(at, block) * jacobian(at, block).T for block in "vw"),
            sp.zeros(at.queries * at.width),
        )
        value, output, _ = lower_operators(at)
        weights = [statement.args[1].coeff(symbol) for symbol in (_value, _output)]
        if exact != weights[0] * value + weights[1] * output:
            return False
    return True


def _in_loewner_order(statement: sp.Basic) -> bool:
    """Decide exactly whether J Jᵀ minus the claimed operators has no negative eigenvalue."""
    claimed = statement.args[0]
    for at in _single():
        parts = dict(zip((_value, _output, _memory), lower_operators(at), strict=True))
        below = sum(
            (claimed.coeff(name).subs(n, at.memory.rows) * part for name, part in parts.items()),
            sp.zeros(at.queries * at.width),
        )
        if not (operator(at) - below).is_positive_semidefinite:
            return False
    return True


def operator_steps() -> tuple[Step, ...]:
    """Derive the lower bound (2) on the update operator."""
    return (
        Step(
            "J_v J_vᵀ + J_w J_wᵀ = X Xᵀ ⊗ wᵀw + (X v)(X v)ᵀ ⊗ I (exact)",
            equation(sp.Symbol("J_v J_v^T + J_w J_w^T"), _value + _output),
            _exact_blocks,
            equation(sp.Symbol("J_v J_v^T + J_w J_w^T"), _value + 2 * _output),
        ),
        Step(
            "J Jᵀ is at least these plus (1/n) 1 1ᵀ ⊗ WᵀW (eigenvalues, exact)",
            LoewnerOrder(_value + _output + _memory / n, sp.Symbol("J J^T")),
            _in_loewner_order,
            LoewnerOrder(_value + _output + _memory, sp.Symbol("J J^T")),
            "at rational instances, exactly",
        ),
    )


def rank_deficient() -> MatrixAttention:
    """One query and one token with v and w of rank 1 and X v = v w = 0.

    Every norm is that of T-Fixup's scales.
    """
    scale, one = L ** sp.Rational(-1, 2), sp.ImmutableMatrix([[1]])
    first, last = sp.ImmutableMatrix([[1, 0], [0, 0]]), sp.ImmutableMatrix([[0, 0], [0, 1]])
    token = sp.ImmutableMatrix([[1, 0]])
    head = Head(first, first, scale * last, scale * first, one)
    return MatrixAttention(token, token, (head,), sp.S.One)


def _eigenvalue_at(
    at: MatrixAttention,
    extreme: Callable[[Iterable[sp.Expr]], sp.Expr],
    name: sp.Symbol,
    value: sp.Expr,
    false: sp.Expr,
) -> Step:
    def matches(statement: sp.Basic) -> bool:
        eigenvalues = [eigenvalue.subs(L, 7) for eigenvalue in operator(at).eigenvals()]
        return extreme(eigenvalues) == statement.args[1].subs(L, 7)

    which = "largest" if extreme is max else "smallest"
    return Step(
        f"v and w of rank 1 with X v = v w = 0: the {which} eigenvalue",
        equation(name, value),
        matches,
        equation(name, false),
        "from all eigenvalues, exactly",
    )


def _equal_queries() -> Step:
    def moved(statement: sp.Basic) -> bool:
        at = instance(2, 2, 3, 1, 1)
        (head,) = at.heads
        double = Head(
            head.q, head.k, head.v, head.w, sp.ImmutableMatrix([*head.weights.tolist()] * 2)
        )
        twice = MatrixAttention(
            at.memory, sp.ImmutableMatrix([*at.query.tolist()] * 2), (double,), at.c
        )
        difference = sp.Matrix([1, 0, statement.args[0].args[0].coeff(sp.Symbol("u_2")), 0])
        return squared(operator(twice) * difference) == 0

    first, second = sp.symbols("u_1 u_2")
    move = sp.Function("JJT")
    return Step(
        "two equal queries: the direction that distinguishes them never moves (exact)",
        equation(move(first - second), sp.S.Zero),
        moved,
        equation(move(first + second), sp.S.Zero),
    )


def printed_is_false() -> Derivation:
    """Show that the norms do not bound λ_min from below, with one query or with two."""
    at = rank_deficient()
    return Derivation(
        "ours.matrix-spectrum",
        "A direction of the output that does not move",
        (
            order_step("the printed condition, norms of each factor", printed_terms(at), -1, L),
            _eigenvalue_at(at, max, _largest, 1 / L, 2 / L),
            _eigenvalue_at(at, min, _smallest, sp.S.Zero, 1 / L),
            _equal_queries(),
        ),
    )


def _eigenvalues(generator: random.Random) -> dict[sp.Basic, sp.Basic]:
    """Draw four eigenvalues, the first of them the largest, with their sum as the trace."""
    largest = sp.Rational(generator.randint(11, 50), 10)
    others = sum(largest * sp.Rational(generator.randint(0, 10), 10) for _ in range(3))
    return {_largest: largest, _trace: largest + others, T: sp.Integer(2), d: sp.Integer(2)}


def _between(statement: sp.Basic) -> bool:
    """Decide an inequality for Td eigenvalues between 0 and λ_max whose sum is the trace."""
    others = sp.symbols("mu1:4", nonnegative=True)
    size = len(others) + 1
    values = {_trace: _largest + sum(_largest / (1 + other) for other in others), T: size, d: 1}
    return dominated(statement.subs(values))


def largest_eigenvalue() -> Derivation:
    """Derive (1), that λ_max is Θ(1/L) whenever the trace is, and (2)."""
    return Derivation(
        "ours.matrix-spectrum",
        "The largest eigenvalue, and the operator from below",
        (
            *operator_steps(),
            Step(
                "the largest eigenvalue is at least the mean (four eigenvalues, Td = 4)",
                sp.Le(_trace / (T * d), _largest, evaluate=False),
                _between,
                sp.Le(_trace / 2, _largest, evaluate=False),
                given=("four eigenvalues between 0 and λ_max, which is one of them",),
                draw=_eigenvalues,
            ),
            Step(
                "and at most the trace",
                sp.Le(_largest, _trace, evaluate=False),
                _between,
                sp.Le(2 * _largest, _trace, evaluate=False),
                given=("four eigenvalues between 0 and λ_max, which is one of them",),
                draw=_eigenvalues,
            ),
        ),
    )
