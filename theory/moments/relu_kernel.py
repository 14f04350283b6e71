"""Second moments of ReLU of correlated Gaussians: the arc-cosine kernels of Cho and Saul (2009).

For jointly Gaussian g, h of variance 1 and correlation ρ,

    E ReLU(g) ReLU(h) = κ₁(ρ)/2,   κ₁(ρ) = (√(1 − ρ²) + ρ (π − arccos ρ))/π           (1)
    E 1[g>0] 1[h>0]   = κ₀(ρ)/2,   κ₀(ρ) = (π − arccos ρ)/π                           (2)

κ₁(1) = κ₀(1) = 1: ReLU halves a token's second moment, and that of a cotangent pulled through it.
κ₁(0) = 1/π: even independent tokens share a part of ReLU's output, its mean.
"""

import math
from dataclasses import dataclass

import sympy as sp

from theory.derivations.number import Number
from theory.moments.token_gram import Gram, correlations, diagonal, square_root


def kappa_1(rho: Number) -> Number:
    """Kernel of ReLU's values, equation (1): (√(1 − ρ²) + ρ (π − arccos ρ))/π.

    Examples
    --------
    >>> kappa_1(1.0), round(kappa_1(0.0) * math.pi, 12)
    (1.0, 1.0)
    >>> kappa_1(sp.Integer(0))
    1/pi
    """
    if isinstance(rho, sp.Expr):
        return (sp.sqrt(1 - rho**2) + rho * (sp.pi - sp.acos(rho))) / sp.pi
    r = min(1.0, max(-1.0, rho))
    return (math.sqrt(1 - r * r) + r * (math.pi - math.acos(r))) / math.pi


def kappa_0(rho: Number) -> Number:
    """Kernel of ReLU's derivatives, equation (2): (π − arccos ρ)/π.

    Examples
    --------
    >>> kappa_0(1.0), kappa_0(0.0), kappa_0(sp.Rational(1, 2))
    (1.0, 0.5, 2/3)
    """
    if isinstance(rho, sp.Expr):
        return (sp.pi - sp.acos(rho)) / sp.pi
    return (math.pi - math.acos(min(1.0, max(-1.0, rho)))) / math.pi


@dataclass(frozen=True)
class ReluPairs:
    """Moments of h = W₁ z behind a ReLU for every pair of tokens, per hidden unit and σ₁² d."""

    values: Gram
    """Gram of the hidden units: E ReLU(h_i) ReLU(h_j)."""
    gates: Gram
    """Probability that a unit is open for both tokens: E 1[h_i > 0] 1[h_j > 0]."""
    gated: Gram
    """E z_ij 1[h_i > 0] 1[h_j > 0]; the gradient of W₁ has it."""


def relu_pairs(gram: Gram, share: Number = 0.5, inverse_width: Number = 0) -> ReluPairs:
    """Second moments of a ReLU layer's values and derivatives, for every pair of tokens.

    They are √(z_ii z_jj) κ₁(ρ), κ₀(ρ) and z_ij κ₀(ρ), times ``share``. At width d, ρ fluctuates by
    (1 − ρ²)/√d. The kernels are averaged over two points at this distance from the mean.

    Examples
    --------
    >>> pairs = relu_pairs(((2.0, 0.0), (0.0, 2.0)))
    >>> pairs.values[0][0], round(pairs.values[0][1] * math.pi, 12), pairs.gates
    (1.0, 1.0, ((0.5, 0.25), (0.25, 0.5)))
    """
    rho, roots = correlations(gram), [square_root(own) for own in diagonal(gram)]
    deviation = square_root(inverse_width)

    def pair(i: int, j: int) -> tuple[Number, Number, Number]:
        length = roots[i] * roots[j]
        if i == j:
            return share * gram[i][i], share, share * gram[i][i]
        mean = rho[i][j]
        points = (mean,)
        if deviation:
            points = (mean - (1 - mean**2) * deviation, mean + (1 - mean**2) * deviation)
        value = sum(kappa_1(r) for r in points) / len(points)
        gate = sum(kappa_0(r) for r in points) / len(points)
        gated = sum(r * kappa_0(r) for r in points) / len(points)
        return share * length * value, share * gate, share * length * gated

    size = range(len(gram))
    lower = [[pair(i, j) for j in range(i + 1)] for i in size]
    values, gates, gated = (
        tuple(tuple(lower[max(i, j)][min(i, j)][k] for j in size) for i in size) for k in range(3)
    )
    return ReluPairs(values, gates, gated)
