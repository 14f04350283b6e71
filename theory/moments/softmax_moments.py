"""Moments of softmax weights whose logits are independent Gaussians: how far from uniform they are.

With n logits ℓ of variance v, a = softmax(ℓ), m_k = Σ_σ a_σ^k and ℓ̄ = Σ a ℓ, attention needs

    square     E m_2                           second moment of an average of independent values
    tilt       E ℓ̄²/v                          the same for the values' share along the query
    beside     the σ ≠ σ' terms of tilt        tilt where the keys' lengths are all alike
    stretch    E Σ a_σ ℓ_σ²/v − 1              what one query's tilt gives the average of another
    response   E F, F = Σ F_σ                  second moment of the logits' gradient
    lean       E Σ a_σ² (ℓ_σ − ℓ̄)/v           values and logits together
    single     E 2 Σ a_σ² (1 − a_σ)²           the response's share along one value, σ = σ' terms
    paired     E Σ a_σ a_σ' ((1 − a_σ)(1 − a_σ') + a_σ a_σ')       and σ ≠ σ' terms
    along_own  E Σ F_σ ℓ_σ²/v                  the response's share along the query, σ = σ' terms
    along      E Σ a_σ² (ℓ_σ − ℓ̄)²/v           and all of it

with F_σ = a_σ² (1 − 2 a_σ + m_2), all exact at every v and n through
1/S^p = ∫_0^∞ z^(p−1) e^(−zS) dz/Γ(p) with S = Σ e^ℓ: independence turns each into powers of
φ_jk(z) = E X^j ℓ^k e^(−zX), X = e^ℓ. ``lean`` has no ℓ left by Stein's lemma. At v = 0 they are the
values of the uniform average, which symbols use.

Logits of keys whose lengths² have a relative variance r beyond that of Gaussian keys (−2/d behind a
layer norm) have E over v (1 ± √r): to first order a weight 1 + r He_4(ℓ/√v)/8 in every φ.
"""

from dataclasses import astuple, dataclass
from functools import cache, lru_cache
from math import exp, gamma, log, log1p, pi, sqrt

from theory.moments.token_gram import Number

STEP = 1 / 8
"""Spacing of tabulated values in log(1 + v); cubic interpolation between them errs by 1e-4."""
LARGEST = 25.0
"""Beyond it one logit has most of the weight: moments stay, the response falls like v^(-1/2)."""
REFERENCE = -1 / 32
"""Spread of lengths at which moments are tabulated; to first order they are linear in it."""
_NORMAL = [(0.25 * i, 0.25 / sqrt(2 * pi) * exp(-((0.25 * i) ** 2) / 2)) for i in range(-28, 29)]


@dataclass(frozen=True)
class SoftmaxMoments:
    """The moments of the weights of one query."""

    square: Number
    tilt: Number
    beside: Number
    stretch: Number
    response: Number
    lean: Number
    single: Number
    paired: Number
    along_own: Number
    along: Number

    def faded(self, factor: float) -> "SoftmaxMoments":
        """All that vanish where one logit has all the weight, times ``factor``."""
        return SoftmaxMoments(
            *(self.square, self.tilt, self.beside, self.stretch),
            *(factor * moment for moment in astuple(self)[4:]),
        )


def uniform(n: int) -> SoftmaxMoments:
    """The moments of the uniform average, v = 0.

    Examples
    --------
    >>> uniform(4).square, uniform(4).response, uniform(4).single
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
    """The moments for ``n`` logits of ``variance``.

    The covariance of two queries' logits stands for the variance in the moments that they share,
    and may be negative: n E Σ a_σ b_σ goes as e^v of many logits, so that −v takes its inverse.

    Parameters
    ----------
    n
        Number of logits.
    variance
        v.
    spread
        r, relative variance of the keys' length² beyond that of Gaussian keys.

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
        pairs = zip(astuple(uniform(n)), astuple(moments(n, -variance, spread)), strict=True)
        return SoftmaxMoments(*(_reflected(still, moved) for still, moved in pairs))
    if spread and spread != REFERENCE:
        plain, other = (astuple(moments(n, variance, r)) for r in (0.0, REFERENCE))
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
    near = [astuple(_tabulated(n, first + shift, spread)) for shift in range(4)]
    return SoftmaxMoments(
        *(
            sum(w * value for w, value in zip(weights, column, strict=True))
            for column in zip(*near, strict=True)
        )
    )


def _reflected(still: Number, moved: Number) -> Number:
    """The value at −v from those at 0 and v."""
    return still**2 / moved if still * moved > 0 else 2 * still - moved


@cache
def _tabulated(n: int, node: int, spread: float) -> SoftmaxMoments:
    return exact(n, exp(node * STEP) - 1, spread) if node else uniform(n)


def exact(n: int, variance: float, spread: float = 0.0) -> SoftmaxMoments:
    """The moments by quadrature, without interpolation, for n ≥ 2 and v > 0.

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
            for taken, (j, k) in enumerate(distinct):
                value *= (n - taken) * phi[j][k]
            sums[distinct] += value

    def of(*distinct: tuple[int, int]) -> float:
        """E of the sum over distinct tokens of one factor a^j ℓ^k each."""
        return sums[distinct]

    m_2, m_3, m_4 = of((2, 0)), of((3, 0)), of((4, 0))
    square_square = m_4 + of((2, 0), (2, 0))
    beside = of((1, 1), (1, 1)) / variance
    mixed = of((3, 2)) + of((2, 1), (1, 1))
    spread_out = of((4, 2)) + 2 * of((3, 1), (1, 1)) + of((2, 2), (2, 0))
    spread_out += of((2, 0), (1, 1), (1, 1))
    own = of((2, 2)) - 2 * of((3, 2)) + of((4, 2)) + of((2, 2), (2, 0))
    return SoftmaxMoments(
        square=m_2,
        tilt=of((2, 2)) / variance + beside,
        beside=beside,
        stretch=of((1, 2)) / variance - 1,
        response=m_2 - 2 * m_3 + square_square,
        lean=m_2 - 4 * m_3 + 3 * square_square,
        single=2 * (m_2 - 2 * m_3 + m_4),
        paired=1 - 3 * m_2 + 2 * m_3 + 2 * square_square - 2 * m_4,
        along_own=own / variance,
        along=(of((2, 2)) - 2 * mixed + spread_out) / variance,
    )


_TERMS = (
    *(((1, 2),), ((2, 0),), ((3, 0),), ((4, 0),), ((2, 2),), ((3, 2),), ((4, 2),)),
    *(((2, 0), (2, 0)), ((1, 1), (1, 1)), ((2, 1), (1, 1)), ((3, 1), (1, 1)), ((2, 2), (2, 0))),
    ((2, 0), (1, 1), (1, 1)),
)
"""Exponents (j, k) of a^j ℓ^k, one pair for each of several distinct tokens."""


@lru_cache(maxsize=8)
def _laplace(variance: float, spread: float) -> list[tuple[float, float, list[list[float]]]]:
    """Nodes z, weights dz and φ_jk at them: the trapezoid rule in log z and in the normal."""
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
