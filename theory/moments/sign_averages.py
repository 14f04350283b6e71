"""Branches with symmetric random weights, averaged exactly over every sign.

For a statement that needs only the weights' independence, symmetry and variance, weights ±s with
all signs equally likely are as good as any: expectations become finite sums of exact numbers. The
ReLU branch is f(x) = W_2 relu(W_1 x) with W_1 of size h × d, W_2 of size d × h and entries ±1.
"""

from dataclasses import dataclass
from itertools import product

import sympy as sp

Vector = tuple[int, ...]


@dataclass(frozen=True)
class ReluMoments:
    """Means over all signs of W_1 and W_2, exact."""

    output: sp.Rational
    """E‖f(x)‖²."""
    backward: sp.Rational
    """E‖Jᵀu‖², J = ∂f/∂x."""
    forward: sp.Rational
    """E‖J u‖²."""
    crossed: sp.Rational
    """E⟨u, Jᵀu⟩, what a shortcut beside the branch adds twice."""


def _dot(first: Vector, second: Vector) -> int:
    return sum(a * b for a, b in zip(first, second, strict=True))


def relu_moments(x: Vector, u: Vector, hidden: int) -> ReluMoments:
    """Moments of the ReLU branch at input ``x`` and direction ``u``.

    Examples
    --------
    >>> relu_moments((1, 3), (2, 1), 1)
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
    outer: tuple[Vector, ...], inner: tuple[Vector, ...], active: list[int], x: Vector
) -> Vector:
    """Σ_k outer_k on_k ⟨inner_k, x⟩ over the hidden units k."""
    weights = [_dot(row, x) * on for row, on in zip(inner, active, strict=True)]
    return tuple(
        sum(weight * vector[index] for vector, weight in zip(outer, weights, strict=True))
        for index in range(len(x))
    )


def sign_average(expression: sp.Expr, *signs: sp.Symbol) -> sp.Expr:
    """Mean of ``expression`` over every assignment of ±1 to ``signs``.

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
