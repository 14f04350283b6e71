"""How layer norm transforms second moments, with the terms of order 1/d of its Jacobian.

LN(x) = √d (x − x̄)/‖x − x̄‖. Forward, tokens of Gram K become tokens of Gram K_ij/√(K_ii K_jj).
Backward, a cotangent δ becomes P δ/√S. Here S = ‖x − x̄‖²/d, and P projects orthogonally to 1 and
to x − x̄. Hence

    B_ii → B_ii (1 − p_i) (1 + r_i)/((1 − μ) K_ii)                                    (1)

    p_i  share of the cotangent along 1 and x − x̄; 2/d for an isotropic cotangent
    μ    share of K along 1; 1/d for isotropic tokens
    r_i  relative variance Var S/(E S)² of a token's length², by E 1/S = (1 + r)/E S

A Gaussian stream has r = 2/d. Behind a layer norm r = 0. The sum of a stream of length² K and an
independent branch of length² g has

    (K + g)² r' = K² r + 4 K g/d + g² r_G,                                            (2)

where r_G is 4/d for a product of two matrices and 2/d + 5/d_ff behind a ReLU.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from theory.derivations.number import Number
from theory.mean_field.attention_moments import Fluctuations
from theory.moments.token_gram import (
    Gram,
    combine,
    correlations,
    diagonal,
    entrywise,
    exchangeable,
    rescaled,
)


@dataclass(frozen=True)
class StreamMoments:
    """Second moments of the tokens of one sequence at one place of the network."""

    gram: Gram
    """Gram of the tokens, K_ij = E x_i·x_j/d."""
    spread: tuple[Number, ...]
    """Relative variance r_i of each token's length²."""
    mean: Number
    """Share μ of the length² along the vector of ones."""


@dataclass(frozen=True)
class CotangentMoments:
    """Second moments of the cotangents of the tokens of one sequence."""

    gram: Gram
    """Gram of the cotangents, B_ij = E δ_i·δ_j."""
    removed: tuple[Number, ...]
    """Share p_i of δ_i that a layer norm's projector removes: along 1 and along the stream."""
    sensitivity: tuple[Number, ...]
    """−∂ log B_ii/∂K_ii. Later layer norms divide by a length that contains this one."""
    excess: Gram
    """E δ_i·δ_j x_i·x_j/d − B_ij K_ij. Attention makes cotangents depend on their tokens."""


def gaussian(gram: Gram, fluctuations: Fluctuations) -> StreamMoments:
    """Second moments of Gaussian tokens of a given Gram.

    Examples
    --------
    >>> gaussian(((1.0,),), Fluctuations(width=1 / 64))
    StreamMoments(gram=((1.0,),), spread=(0.03125,), mean=0.015625)
    """
    return StreamMoments(gram, (2 * fluctuations.width,) * len(gram), fluctuations.width)


def isotropic_cotangent(gram: Gram, fluctuations: Fluctuations) -> CotangentMoments:
    """Second moments of isotropic cotangents that are independent of the tokens.

    Examples
    --------
    >>> isotropic_cotangent(((2.0,),), Fluctuations(width=1 / 64))
    CotangentMoments(gram=((2.0,),), removed=(0.03125,), sensitivity=(0,), excess=((0,),))
    """
    size = len(gram)
    removed = (2 * fluctuations.width,) * size
    return CotangentMoments(gram, removed, (0,) * size, exchangeable(size, 0))


def add_uncorrelated(one: CotangentMoments, other: CotangentMoments) -> CotangentMoments:
    """The sum of uncorrelated cotangents on the same tokens; `removed` is that of ``one``."""
    gram, excess = combine(1, one.gram, 1, other.gram), combine(1, one.excess, 1, other.excess)
    return replace(one, gram=gram, excess=excess)


def normalised(stream: StreamMoments) -> StreamMoments:
    """The tokens behind a layer norm."""
    return StreamMoments(correlations(stream.gram), (0,) * len(stream.gram), 0)


def added(
    stream: StreamMoments,
    shortcut: Number,
    branch: Gram,
    branch_spread: Number,
    fluctuations: Fluctuations,
) -> StreamMoments:
    """Second moments of α x + G for an independent branch G of Gram ``branch``, by (2).

    Where x has no component along 1, that of the branch is dropped too.
    """
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
    return StreamMoments(gram, spread, stream.mean)


def jacobian_gain(stream: StreamMoments) -> tuple[Number, ...]:
    """Factor by which a layer norm's Jacobian scales cotangents' energy: E 1/S, per token.

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


def pulled_through(gram: Gram, removed: Sequence[Number], stream: StreamMoments) -> Gram:
    """Gram of the cotangents on x, from that of the cotangents on LN(x), by (1)."""
    kept = tuple((1 - p) * g for p, g in zip(removed, jacobian_gain(stream), strict=True))
    return entrywise(
        lambda entry, less: entry * less, rescaled(gram, kept), projector_overlap(stream, removed)
    )


def projector_overlap(stream: StreamMoments, removed: Sequence[Number]) -> Gram:
    """Correction for pairs of tokens, whose Jacobians project and scale differently.

    It is the share of a common cotangent that both Jacobians keep, divided by the geometric mean
    of the shares that each keeps. P_i P_j removes 1, x_i and x_j, hence (3 − ρ²)/d, where P_i alone
    removes p = 2/d. Two lengths have E (S_i S_j)^(−1/2) = (1 + (3 + ρ²) r/4)/E S, where one has
    (1 + r)/E S. Together 1 − (1 − ρ²) (p/2 + r/4).

    Examples
    --------
    >>> from theory.moments.token_gram import exchangeable
    >>> tokens = gaussian(exchangeable(2, 1.0), Fluctuations(width=1 / 64))
    >>> projector_overlap(tokens, (2 / 64,) * 2)  # off the diagonal 1 − 1/d − r/4
    ((1.0, 0.9765625), (0.9765625, 1.0))
    """
    rho = correlations(stream.gram)
    lost = tuple(p / 4 + r / 8 for p, r in zip(removed, stream.spread, strict=True))
    return tuple(
        tuple(1 - (1 - r**2) * (one + other) for r, other in zip(row, lost, strict=True))
        for row, one in zip(rho, lost, strict=True)
    )


def parameter_energy(gram: Gram, stream: StreamMoments) -> Number:
    """Energy of a layer norm's gain and bias together: Σ_ij B_ij (ρ_ij + 1).

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
