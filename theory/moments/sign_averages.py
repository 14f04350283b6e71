"""Moments of a branch with random weights, computed exactly by averaging over every sign.

Some statements need only independence, symmetry and variance of the weights. For them, weights ±s
with all signs equally likely serve as well as Gaussian ones, and expectations become finite sums of
exact numbers. The ReLU branch is f(x) = W_2 relu(W_1 x). W_1 has size h × d, W_2 has size d × h,
and all entries are ±1.
"""

from dataclasses import dataclass
from itertools import product

import sympy as sp

SignVector = tuple[int, ...]


@dataclass(frozen=True)
class ReluMoments:
    """Exact means over all signs of W_1 and W_2, with J = ∂f/∂x."""

    output: sp.Rational
    """Second moment of the branch's output: E‖f(x)‖²."""
    backward: sp.Rational
    """Second moment of a cotangent pulled back: E‖Jᵀu‖²."""
    forward: sp.Rational
    """Second moment of a tangent pushed forward: E‖J u‖²."""
    crossed: sp.Rational
    """E⟨u, Jᵀu⟩. A shortcut next to the branch adds it twice."""


def _dot(first: SignVector, second: SignVector) -> int:
    return sum(a * b for a, b in zip(first, second, strict=True))


def sign_averaged_relu(x: SignVector, u: SignVector, hidden: int) -> ReluMoments:
    """Moments of the ReLU branch at input ``x`` and direction ``u``, averaged over all signs.

    Examples
    --------
    >>> sign_averaged_relu((1, 3), (2, 1), 1)
    ReluMoments(output=10, backward=5, forward=5, crossed=0)
    """
    totals, count = [0, 0, 0, 0], 0
    rows = list(product((1, -1), repeat=len(x)))
    for first in product(rows, repeat=hidden):
        active = [int(_dot(row, x) > 0) for row in first]
        for columns in product(rows, repeat=hidden):  # of W_2
            output = _masked(columns, first, active, x)
            forward = _masked(columns, first, active, u)
            backward = _masked(first, columns, active, u)
            found = (_dot(output, output), _dot(backward, backward), _dot(forward, forward))
            totals = [a + b for a, b in zip(totals, (*found, _dot(u, backward)), strict=True)]
            count += 1
    return ReluMoments(*(sp.Rational(total, count) for total in totals))


def _masked(
    outer: tuple[SignVector, ...], inner: tuple[SignVector, ...], active: list[int], x: SignVector
) -> SignVector:
    """Sum over the hidden units k that are active: Σ_k outer_k active_k ⟨inner_k, x⟩."""
    weights = [_dot(row, x) * on for row, on in zip(inner, active, strict=True)]
    return tuple(
        sum(weight * vector[index] for vector, weight in zip(outer, weights, strict=True))
        for index in range(len(x))
    )


def sign_average(expression: sp.Expr, *signs: sp.Symbol) -> sp.Expr:
    """Mean of ``expression`` over all assignments of ±1 to ``signs``.

    Examples
    --------
    >>> a, b, e = sp.symbols("a b e")
    >>> sign_average((a + e * b) ** 2, e)
    a**2 + b**2
    """
    total = sp.expand(expression)
    for sign in signs:
        total = sp.expand(total.subs(sign, 1) + total.subs(sign, -1)) / 2
    return sp.expand(total)
