"""Layer norm between second moments: the mean of its Jacobian, with the terms of order 1/d.

LN(x) = √d (x − x̄)/‖x − x̄‖. Forward, tokens of Gram K become tokens of Gram K_ij/√(K_ii K_jj).
Backward, δ ↦ P δ/√S with S = ‖x − x̄‖²/d and P the projector off 1 and x − x̄, so

    B_ii → B_ii (1 − p_i) (1 + r_i)/((1 − μ) K_ii)

with p_i the share of the cotangent along 1 and x − x̄ (2/d if isotropic), μ the share of K along 1
(1/d), and r_i = Var S/(E S)², by E 1/S = (1 + r)/E S. A Gaussian stream has r = 2/d; the sum of a
stream of length² K and an independent branch of length² g has

    (K + g)² r' = K² r + 4 K g/d + g² r_G,

r_G = 4/d for a product of two matrices and 2/d + 5/d_ff behind a ReLU. Behind a layer norm r = 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from theory.mean_field.attention_moments import Fluctuations
from theory.moments.token_gram import (
    Gram,
    Number,
    combine,
    correlations,
    diagonal,
    entrywise,
    exchangeable,
    rescaled,
)


@dataclass(frozen=True)
class Stream:
    """Second moments of the tokens of one sequence at one place of the network."""

    gram: Gram
    """K_ij = E x_i·x_j/d."""
    spread: tuple[Number, ...]
    """r_i, relative variance of each token's length²."""
    mean: Number
    """μ, share of the length² along 1."""


@dataclass(frozen=True)
class Cotangent:
    """Second moments of the cotangents of the tokens of one sequence."""

    gram: Gram
    """B_ij = E δ_i·δ_j."""
    removed: tuple[Number, ...]
    """p_i, share of δ_i along 1 and along the stream: what a layer norm's projector removes."""
    sensitivity: tuple[Number, ...]
    """−∂ log B_ii/∂K_ii: later layer norms divide by a length that contains this one."""
    known: Gram
    """E δ_i·δ_j x_i·x_j/d beyond the product B_ij K_ij: attention's cotangents know their keys."""


def gaussian(gram: Gram, fluctuations: Fluctuations) -> Stream:
    """Gaussian tokens.

    Examples
    --------
    >>> gaussian(((1.0,),), Fluctuations(width=1 / 64))
    Stream(gram=((1.0,),), spread=(0.03125,), mean=0.015625)
    """
    return Stream(gram, (2 * fluctuations.width,) * len(gram), fluctuations.width)


def unknowing(gram: Gram, fluctuations: Fluctuations) -> Cotangent:
    """Isotropic cotangents that know nothing of the tokens.

    Examples
    --------
    >>> unknowing(((2.0,),), Fluctuations(width=1 / 64))
    Cotangent(gram=((2.0,),), removed=(0.03125,), sensitivity=(0,), known=((0,),))
    """
    size = len(gram)
    removed = (2 * fluctuations.width,) * size
    return Cotangent(gram, removed, (0,) * size, exchangeable(size, 0))


def together(one: Cotangent, other: Cotangent) -> Cotangent:
    """Uncorrelated cotangents of the same tokens, added; what is removed is as of ``one``."""
    gram, known = combine(1, one.gram, 1, other.gram), combine(1, one.known, 1, other.known)
    return replace(one, gram=gram, known=known)


def normalised(stream: Stream) -> Stream:
    """The tokens behind a layer norm."""
    return Stream(correlations(stream.gram), (0,) * len(stream.gram), 0)


def added(
    stream: Stream,
    shortcut: Number,
    branch: Gram,
    branch_spread: Number,
    fluctuations: Fluctuations,
) -> Stream:
    """α x + G for an independent branch G of Gram ``branch``; 1 is taken out where x has none."""
    epsilon = fluctuations.width
    if stream.mean == 0:  # behind a layer norm: what follows sees no mean of the branch either
        branch = rescaled(branch, (1 - epsilon,) * len(branch))
    gram = combine(shortcut**2, stream.gram, 1, branch)
    own, beside = diagonal(stream.gram), diagonal(branch)
    spread = tuple(
        ((shortcut**2 * k) ** 2 * r + 4 * epsilon * shortcut**2 * k * g + g**2 * branch_spread)
        / whole**2
        for k, r, g, whole in zip(own, stream.spread, beside, diagonal(gram), strict=True)
    )
    return Stream(gram, spread, stream.mean)


def jacobian_gain(stream: Stream) -> tuple[Number, ...]:
    """E 1/S of every token.

    Examples
    --------
    >>> from theory.moments.token_gram import exchangeable
    >>> tokens = gaussian(exchangeable(2, 4.0), Fluctuations(width=1 / 64))
    >>> [round(4 * gain, 4) for gain in jacobian_gain(tokens)]  # Gaussian: d/(d − 3) = 1.0492
    [1.0476, 1.0476]
    """
    return tuple(
        (1 + r) / (k * (1 - stream.mean))
        for k, r in zip(diagonal(stream.gram), stream.spread, strict=True)
    )


def pulled_through(gram: Gram, removed: Sequence[Number], stream: Stream) -> Gram:
    """Cotangents on LN(x) turned into cotangents on x."""
    kept = tuple((1 - p) * g for p, g in zip(removed, jacobian_gain(stream), strict=True))
    return entrywise(
        lambda entry, less: entry * less, rescaled(gram, kept), parting(stream, removed)
    )


def parting(stream: Stream, removed: Sequence[Number]) -> Gram:
    """What two tokens' Jacobians leave of a common cotangent, over the root of what each leaves.

    P_i P_j takes out 1, x_i and x_j, (3 − ρ²)/d where P_i takes p = 2/d; and two lengths have
    E (S_i S_j)^(−1/2) = (1 + (3 + ρ²) r/4)/E S where one has (1 + r)/E S.

    Examples
    --------
    >>> from theory.moments.token_gram import exchangeable
    >>> tokens = gaussian(exchangeable(2, 1.0), Fluctuations(width=1 / 64))
    >>> parting(tokens, (2 / 64,) * 2)  # beside the diagonal 1 − 1/d − r/4
    ((1.0, 0.9765625), (0.9765625, 1.0))
    """
    rho = correlations(stream.gram)
    lost = tuple(p / 4 + r / 8 for p, r in zip(removed, stream.spread, strict=True))
    return tuple(
        tuple(1 - (1 - r**2) * (one + other) for r, other in zip(row, lost, strict=True))
        for row, one in zip(rho, lost, strict=True)
    )


def parameter_energy(gram: Gram, stream: Stream) -> Number:
    """Energy of a layer norm's gain and bias: Σ_ij B_ij (ρ_ij + 1).

    Examples
    --------
    >>> from theory.moments.token_gram import exchangeable
    >>> parameter_energy(exchangeable(2, 0.5), gaussian(exchangeable(2, 3.0), Fluctuations()))
    2.0
    """
    return sum(
        b * (rho + 1)
        for row, other in zip(gram, correlations(stream.gram), strict=True)
        for b, rho in zip(row, other, strict=True)
    )
