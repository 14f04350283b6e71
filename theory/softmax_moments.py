"""Moments of softmax weights whose logits are independent Gaussians: how far from uniform they are.

With n logits ℓ of variance v, a = softmax(ℓ) and m_k = Σ_σ a_σ^k, attention needs four numbers:

    square     E m_2                           second moment of an average of independent values
    tilt       E (Σ a_σ ℓ_σ)²/v                the same for the values' share along the query
    beside     the σ ≠ σ' terms of tilt        tilt where the keys' lengths are all alike
    response   E (m_2 − 2 m_3 + m_2²)          second moment of the logits' gradient

all exact at every v and n through 1/S^p = ∫_0^∞ z^(p−1) e^(−zS) dz/Γ(p) with S = Σ e^ℓ:
independence turns each into powers of φ_jk(z) = E X^j ℓ^k e^(−zX), X = e^ℓ. At v = 0 they are
1/n, 1/n, 0 and (1 − 1/n)/n, the values of the uniform average, which symbols use.
"""

from dataclasses import astuple, dataclass, replace
from functools import cache, lru_cache
from math import exp, gamma, log, log1p, pi, sqrt

from theory.token_gram import Number

STEP = 1 / 8
"""Spacing of tabulated values in log(1 + v); cubic interpolation between them errs by 1e-4."""
LARGEST = 25.0
"""Beyond it one logit has most of the weight: moments stay, the response falls like v^(-1/2)."""
_NORMAL = [(0.25 * i, 0.25 / sqrt(2 * pi) * exp(-((0.25 * i) ** 2) / 2)) for i in range(-28, 29)]


@dataclass(frozen=True)
class SoftmaxMoments:
    """The four moments of the weights of one query."""

    square: Number
    tilt: Number
    beside: Number
    response: Number


def uniform(n: int) -> SoftmaxMoments:
    """The moments of the uniform average, v = 0.

    Examples
    --------
    >>> uniform(4)
    SoftmaxMoments(square=0.25, tilt=0.25, beside=0.0, response=0.1875)
    """
    return SoftmaxMoments(1 / n, 1 / n, 0.0, (1 - 1 / n) / n)


def moments(n: int, variance: float) -> SoftmaxMoments:
    """The moments for ``n`` logits of ``variance``, odd in the variance about v = 0.

    The covariance of two queries' logits stands for the variance in the moments that they share,
    and may be negative.

    Examples
    --------
    >>> moments(1, 3.0) == uniform(1)
    True
    >>> round((moments(16, 1e-3).square - 1 / 16) / 1e-3, 4)  # to first order v (1 − 1/n)/n
    0.0585
    """
    if n == 1 or variance == 0:
        return uniform(n)
    if variance > LARGEST:
        last = moments(n, LARGEST)
        return replace(last, response=last.response * sqrt(LARGEST / variance))
    if variance < 0:
        pairs = zip(astuple(uniform(n)), astuple(moments(n, -variance)), strict=True)
        return SoftmaxMoments(*(2 * still - moved for still, moved in pairs))
    place = log1p(variance) / STEP
    first = max(0, int(place) - 1)
    x = place - first
    weights = (
        -(x - 1) * (x - 2) * (x - 3) / 6,
        x * (x - 2) * (x - 3) / 2,
        -x * (x - 1) * (x - 3) / 2,
        x * (x - 1) * (x - 2) / 6,
    )
    near = [astuple(_tabulated(n, first + shift)) for shift in range(4)]
    return SoftmaxMoments(
        *(
            sum(w * value for w, value in zip(weights, column, strict=True))
            for column in zip(*near, strict=True)
        )
    )


@cache
def _tabulated(n: int, node: int) -> SoftmaxMoments:
    return exact(n, exp(node * STEP) - 1) if node else uniform(n)


def exact(n: int, variance: float) -> SoftmaxMoments:
    """The moments by quadrature, without interpolation, for n ≥ 2 and v > 0.

    Examples
    --------
    >>> found = exact(2, 1e-6)
    >>> round(found.square, 5), round(found.response, 5)
    (0.5, 0.25)
    """
    square = tilt = beside = response = 0.0
    for z, dz, phi in _laplace(variance):

        def term(*distinct: tuple[int, int], z: float = z, dz: float = dz, phi=phi) -> float:
            """Summed over distinct tokens, one factor X^j ℓ^k each, over S^(Σ j)."""
            power, count = sum(j for j, _ in distinct), len(distinct)
            if count > n:
                return 0.0
            value = dz * z ** (power - 1) / gamma(power) * phi[0][0] ** (n - count)
            for taken, (j, k) in enumerate(distinct):
                value *= (n - taken) * phi[j][k]
            return value

        m_2 = term((2, 0))
        square += m_2
        beside += term((1, 1), (1, 1)) / variance
        tilt += term((2, 2)) / variance
        response += m_2 - 2 * term((3, 0)) + term((4, 0)) + term((2, 0), (2, 0))
    return SoftmaxMoments(square, tilt + beside, beside, response)


@lru_cache(maxsize=8)
def _laplace(variance: float) -> list[tuple[float, float, list[list[float]]]]:
    """Nodes z, weights dz and φ_jk at them: the trapezoid rule in log z and in the normal."""
    spread = sqrt(variance)
    points = [(exp(spread * x), spread * x, weight) for x, weight in _NORMAL]
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
