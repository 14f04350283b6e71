"""Moments of softmax attention weights whose logits are independent Gaussians.

They measure how far attention is from a uniform average. With n logits ℓ of variance v, let
a = softmax(ℓ), m_k = Σ_σ a_σ^k, ℓ̄ = Σ a ℓ and F_σ = a_σ² (1 − 2 a_σ + m_2). The fields of
`SoftmaxMoments` give the formula of each moment. All are exact at every v and n, through

    1/S^p = ∫_0^∞ z^(p−1) e^(−zS) dz/Γ(p),   S = Σ e^ℓ                                (1)
    φ_jk(z) = E X^j ℓ^k e^(−zX),             X = e^ℓ                                  (2)

Independence of the logits turns each moment into an integral over z of products of φ_jk. Stein's
lemma removes ℓ from `value_logit_covariance`. At v = 0 all are the moments of the uniform average;
symbolic predictions use those.

Keys whose length² has relative variance r beyond that of Gaussian keys have logits of variance
v (1 ± √r). Behind a layer norm r = −2/d. To first order, every φ receives the weight

    1 + r He_4(ℓ/√v)/8.                                                               (3)
"""

from dataclasses import dataclass, fields
from functools import cache, lru_cache
from math import exp, gamma, log, log1p, pi, sqrt
from operator import attrgetter

from theory.derivations.number import Number

STEP = 1 / 8
"""Spacing of the table in log(1 + v); the error of cubic interpolation is 1e-4."""
LARGEST = 25.0
"""Largest tabulated v.

Beyond it one logit has most of the weight: moments stay, and the response falls like v^(-1/2).
"""
REFERENCE = -1 / 32
"""The spread r at which moments are tabulated; to first order they are linear in r."""
_NORMAL = [(0.25 * i, 0.25 / sqrt(2 * pi) * exp(-((0.25 * i) ** 2) / 2)) for i in range(-28, 29)]


@dataclass(frozen=True)
class SoftmaxMoments:
    """Moments of one query's attention weights a, with ℓ̄ = Σ a ℓ and F_σ = a_σ² (1 − 2 a_σ + m_2).

    Sums over σ run over keys; those over σ ≠ σ' over ordered pairs of distinct keys.
    """

    square: Number
    """E Σ a_σ². Second moment of an average of independent values."""
    query_tilt: Number
    """E ℓ̄²/v. Second moment of the average's component along the query."""
    query_tilt_off_diagonal: Number
    """E Σ_{σ≠σ'} a_σ a_σ' ℓ_σ ℓ_σ'/v. The same where the keys' lengths are all equal."""
    logit_excess: Number
    """E Σ a_σ ℓ_σ²/v − 1. The effect of one query's tilt on the average of another query."""
    response: Number
    """E Σ F_σ. Second moment of the gradient by the logits."""
    value_logit_covariance: Number
    """E Σ a_σ² (ℓ_σ − ℓ̄)/v. Covariance of a key's cotangents by value and by logit."""
    value_response_diagonal: Number
    """E 2 Σ a_σ² (1 − a_σ)². The response's share along one value, terms σ = σ'."""
    value_response_off_diagonal: Number
    """E Σ_{σ≠σ'} a_σ a_σ' ((1 − a_σ)(1 − a_σ') + a_σ a_σ'). The same, terms σ ≠ σ'."""
    query_response_diagonal: Number
    """E Σ F_σ ℓ_σ²/v. The response's share along the query, terms σ = σ'."""
    query_response: Number
    """E (Σ a_σ² (ℓ_σ − ℓ̄)²)/v. The response's share along the query, all terms."""

    def faded(self, factor: float) -> "SoftmaxMoments":
        """Scale the moments that vanish where one logit has all the weight by ``factor``."""
        return SoftmaxMoments(
            *(self.square, self.query_tilt, self.query_tilt_off_diagonal, self.logit_excess),
            *(factor * moment for moment in _values(self)[4:]),
        )


_values = attrgetter(*(field.name for field in fields(SoftmaxMoments)))
"""The moments in order; ``dataclasses.astuple`` copies each and takes forty times as long."""


def uniform(n: int) -> SoftmaxMoments:
    """Moments of the uniform average, v = 0.

    Examples
    --------
    >>> uniform(4).square, uniform(4).response, uniform(4).value_response_diagonal
    (0.25, 0.1875, 0.28125)
    """
    share, rest = 1 / n, 1 - 1 / n
    response = rest / n
    return SoftmaxMoments(
        *(share, share, 0.0, 0.0, response, response),
        *(2 * rest**2 / n, rest**3 + rest / n**2, response, response),
    )


@lru_cache(maxsize=100_000)
def moments(n: int, variance: float, spread: float = 0.0) -> SoftmaxMoments:
    """Moments for ``n`` logits of ``variance``, interpolated in a table.

    For moments that two queries share, the covariance of their logits takes the place of v, and it
    may be negative. For many logits n E Σ a_σ b_σ is e^v, so the value at −v is the inverse.

    Parameters
    ----------
    n
        Number of logits.
    variance
        Variance v of the logits, or covariance of two queries' logits.
    spread
        Relative variance r of the keys' length² beyond that of Gaussian keys.

    Examples
    --------
    >>> moments(1, 3.0) == uniform(1)
    True
    >>> round((moments(16, 1e-3).square - 1 / 16) / 1e-3, 4)  # to first order v (1 − 1/n)/n
    0.0585
    >>> round(moments(16, 1.0).square * moments(16, -1.0).square * 16**2, 12)
    1.0
    """
    if n == 1 or variance == 0:
        return uniform(n)
    if variance > LARGEST:
        return moments(n, LARGEST, spread).faded(sqrt(LARGEST / variance))
    if variance < 0:
        pairs = zip(_values(uniform(n)), _values(moments(n, -variance, spread)), strict=True)
        return SoftmaxMoments(*(_reflected(still, moved) for still, moved in pairs))
    if spread and spread != REFERENCE:
        plain, other = (_values(moments(n, variance, r)) for r in (0.0, REFERENCE))
        pairs = zip(plain, other, strict=True)
        return SoftmaxMoments(*(a + spread / REFERENCE * (b - a) for a, b in pairs))
    place = log1p(variance) / STEP
    first = max(0, int(place) - 1)
    x = place - first
    weights = (
        -(x - 1) * (x - 2) * (x - 3) / 6,
        x * (x - 2) * (x - 3) / 2,
        -x * (x - 1) * (x - 3) / 2,
        x * (x - 1) * (x - 2) / 6,
    )
    near = [_values(_tabulated(n, first + shift, spread)) for shift in range(4)]
    return SoftmaxMoments(
        *(
            sum(w * value for w, value in zip(weights, column, strict=True))
            for column in zip(*near, strict=True)
        )
    )


def _reflected(still: Number, moved: Number) -> Number:
    """The value of a moment at −v, from its values at 0 and at v."""
    return still**2 / moved if still * moved > 0 else 2 * still - moved


@cache
def _tabulated(n: int, node: int, spread: float) -> SoftmaxMoments:
    return exact(n, exp(node * STEP) - 1, spread) if node else uniform(n)


def exact(n: int, variance: float, spread: float = 0.0) -> SoftmaxMoments:
    """Moments by quadrature of (1), without interpolation, for n ≥ 2 and v > 0.

    Examples
    --------
    >>> found = exact(2, 1e-6)
    >>> round(found.square, 5), round(found.response, 5)
    (0.5, 0.25)
    """
    sums: dict[tuple[tuple[int, int], ...], float] = dict.fromkeys(_TERMS, 0.0)
    for z, dz, phi in _laplace(variance, spread):
        for distinct in _TERMS:
            power, count = sum(j for j, _ in distinct), len(distinct)
            if count > n:
                continue
            value = dz * z ** (power - 1) / gamma(power) * phi[0][0] ** (n - count)
            # n (n − 1) … ordered choices of distinct keys, each with its φ_jk.
            for taken, (j, k) in enumerate(distinct):
                value *= (n - taken) * phi[j][k]
            sums[distinct] += value

    def of(*distinct: tuple[int, int]) -> float:
        """Mean of the sum over distinct keys of a product of factors a^j ℓ^k, one per key."""
        return sums[distinct]

    m_2, m_3, m_4 = of((2, 0)), of((3, 0)), of((4, 0))
    square_square = m_4 + of((2, 0), (2, 0))
    off_diagonal = of((1, 1), (1, 1)) / variance
    # Expansions of Σ a² (ℓ − ℓ̄)² and Σ F ℓ² into sums over distinct keys.
    mixed = of((3, 2)) + of((2, 1), (1, 1))
    spread_out = of((4, 2)) + 2 * of((3, 1), (1, 1)) + of((2, 2), (2, 0))
    spread_out += of((2, 0), (1, 1), (1, 1))
    own = of((2, 2)) - 2 * of((3, 2)) + of((4, 2)) + of((2, 2), (2, 0))
    return SoftmaxMoments(
        square=m_2,
        query_tilt=of((2, 2)) / variance + off_diagonal,
        query_tilt_off_diagonal=off_diagonal,
        logit_excess=of((1, 2)) / variance - 1,
        response=m_2 - 2 * m_3 + square_square,
        value_logit_covariance=m_2 - 4 * m_3 + 3 * square_square,
        value_response_diagonal=2 * (m_2 - 2 * m_3 + m_4),
        value_response_off_diagonal=1 - 3 * m_2 + 2 * m_3 + 2 * square_square - 2 * m_4,
        query_response_diagonal=own / variance,
        query_response=(of((2, 2)) - 2 * mixed + spread_out) / variance,
    )


_TERMS = (
    *(((1, 2),), ((2, 0),), ((3, 0),), ((4, 0),), ((2, 2),), ((3, 2),), ((4, 2),)),
    *(((2, 0), (2, 0)), ((1, 1), (1, 1)), ((2, 1), (1, 1)), ((3, 1), (1, 1)), ((2, 2), (2, 0))),
    ((2, 0), (1, 1), (1, 1)),
)
"""Exponents (j, k) of a^j ℓ^k, one pair for each of several distinct keys."""


@lru_cache(maxsize=8)
def _laplace(variance: float, spread: float) -> list[tuple[float, float, list[list[float]]]]:
    """Nodes z, their weights dz and φ_jk: trapezoid rules in log z for (1) and in ℓ for (2)."""
    scale = sqrt(variance)
    points = [
        (exp(scale * x), scale * x, weight * (1 + spread * (x**4 - 6 * x**2 + 3) / 8))
        for x, weight in _NORMAL
    ]
    low, high, step = -log(points[-1][0]) - 9, -log(points[0][0]) + 4, 0.2
    found = []
    for position in range(int((high - low) / step) + 1):
        z = exp(low + step * position)
        phi = [[0.0] * 3 for _ in range(5)]
        for x, logit, weight in points:
            value = weight * exp(-z * x)
            for row in phi:
                row[0] += value
                row[1] += value * logit
                row[2] += value * logit * logit
                value *= x
        if phi[0][0] > 0:
            found.append((z, z * step, phi))
    return found
