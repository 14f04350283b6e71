"""Cotangents pulled back through a stack whose layers read all layers below (DLCL).

A cotangent is a sum over independent *sources*: the output's cotangent, and one per block branch.
Each source carries one factor per token. Factors multiply along a path and add where paths meet.

Layer norms remove less from a cotangent that an earlier layer norm has already projected. Behind a
layer norm on s, a cotangent is orthogonal to s and isotropic otherwise. The next layer norm, on x,
removes the share

    p = (1 − cos²(x, s))/d   instead of   2/d.                                        (1)

The history's weight W_k has the energy of Σ_i δ_i·P_i y_k,i, where P_i projects orthogonally to s.
With two layers to average, δ ⟂ y_0 + y_1 meets only half of the energy of each. Where paths of one
source meet, the direction s of the stronger path is kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from theory.derivations.number import Number
from theory.mean_field.layer_history import HistoryTape, Normed, Summed, TokenFactors, mixed_gram
from theory.mean_field.norm_moments import (
    CotangentMoments,
    add_uncorrelated,
    isotropic_cotangent,
    jacobian_gain,
    parameter_energy,
    pulled_through,
)
from theory.mean_field.pulled_stack import PulledStack
from theory.mean_field.residual_block import NetworkSetting, NormPlace
from theory.mean_field.signal_propagation import backward
from theory.moments.token_gram import Gram, combine, diagonal, exchangeable, inner, square_root


def pull_history(
    tape: HistoryTape,
    arriving: CotangentMoments,
    keys: int,
    setting: NetworkSetting,
) -> PulledStack:
    """Cotangents on a stack's input and memory, and the energies of its matrices.

    Parameters
    ----------
    tape
        The forward pass.
    arriving
        Cotangent on the stack's output.
    keys
        Tokens of the memory.
    setting
        Widths and moments of the network.
    """
    energies: dict[str, Number] = {}
    size, epsilon = len(arriving.gram), setting.fluctuations.width
    ones = (1,) * size
    # Many shares meet at the same pairs of places.
    product = cache(tape.product)
    projected = cache(partial(_projected, product))
    # sources[s] is the Gram of source s; arrived[p][s] is what place p has received of it.
    sources: list[Gram] = [arriving.gram]
    arrived: list[dict[int, _Share]] = [{} for _ in range(len(tape.operations) + 1)]
    arrived[-1] = {0: _Share(ones, None)}
    on_memory = isotropic_cotangent(exchangeable(keys, 0), setting.fluctuations)

    def spend(key: str, energy: Number) -> None:
        energies[key] = energies.get(key, 0) + energy

    for place, operation in reversed(list(enumerate(tape.operations, 1))):
        # Every place above has been visited, so that what arrived here is complete.
        shares = arrived[place]
        gram = mixed_gram({s: share.factors for s, share in shares.items()}, sources)
        if isinstance(operation, Summed):
            weight = 1 / len(operation.places)  # the forward pass averages these places
            for below in operation.places:
                for source, share in shares.items():
                    own = mixed_gram({0: share.factors}, [sources[source]])
                    met = projected(below, share.direction)
                    spend(_history_of(tape), inner(own, met))  # energy of W_k
                _merge(arrived[below], shares, (weight,) * size)
        elif isinstance(operation, Normed):
            spend(operation.part, parameter_energy(gram, operation.stream))
            # B ← B (1 − p) E 1/S per source, with p by equation (1).
            gains = jacobian_gain(operation.stream)
            behind = {}
            for source, share in shares.items():
                removed = _removed(product, operation.place, share.direction, size, epsilon)
                behind[source] = _Share(_scaled(share.factors, removed, gains), operation.place)
            _merge(arrived[operation.place], behind, ones)
        else:
            removed = {
                source: _removed(product, place, share.direction, size, epsilon)
                for source, share in shares.items()
            }
            cotangent = replace(
                isotropic_cotangent(gram, setting.fluctuations),
                removed=_mean(removed, shares, sources),
            )
            # `Branched` was passed without its shortcut if Pre-LN; the shortcut is a factor of 1.
            pulled = backward(operation.passed, cotangent, setting)
            for matrix, energy in pulled.energies.items():
                spend(f"{operation.passed.block.part}.{matrix}", energy)
            if pulled.memory is not None:
                on_memory = add_uncorrelated(on_memory, pulled.memory)
            straight, back = dict(shares), pulled.stream.gram
            # Pre-LN: the branch's layer norm leaves its cotangent orthogonal to the block's input.
            read: int | None = operation.place
            if operation.passed.block.norm is NormPlace.POST:
                summed, read = operation.passed.summed, None
                gains = jacobian_gain(summed)
                straight = {
                    source: _Share(_scaled(share.factors, removed[source], gains), place)
                    for source, share in shares.items()
                }
                # Post-LN: the result includes the shortcut, which the factors already carry.
                back = combine(1, back, -1, pulled_through(gram, cotangent.removed, summed))
            sources.append(back)
            fresh = {len(sources) - 1: _Share(ones, read)}
            _merge(arrived[operation.place], straight | fresh, ones)
    on_input = mixed_gram({s: share.factors for s, share in arrived[0].items()}, sources)
    return PulledStack(on_input, on_memory, energies)


_Product = Callable[[int, int], Gram]
"""`HistoryTape.product`, computed once per pair of places."""


@dataclass(frozen=True)
class _Share:
    """The share of one source that has arrived at a place."""

    factors: TokenFactors
    """One factor per token."""
    direction: int | None
    """Place of the stream to which the cotangent is orthogonal; None if it is isotropic."""


def _scaled(factors: TokenFactors, removed: TokenFactors, gains: TokenFactors) -> TokenFactors:
    """Factors after a layer norm's Jacobian: f √((1 − p) E 1/S), per token."""
    rows = zip(factors, removed, gains, strict=True)
    return tuple(f * square_root((1 - p) * gain) for f, p, gain in rows)


def _mean(
    removed: Mapping[int, TokenFactors], shares: Mapping[int, _Share], sources: Sequence[Gram]
) -> TokenFactors:
    """The share that a layer norm removes from the sum of all sources, per token."""
    size = len(sources[0])
    energies = {
        s: tuple(f**2 * sources[s][i][i] for i, f in enumerate(share.factors))
        for s, share in shares.items()
    }
    whole = [sum(own[i] for own in energies.values()) for i in range(size)]
    return tuple(
        sum(removed[s][i] * own[i] for s, own in energies.items()) / whole[i] if whole[i] else 0
        for i in range(size)
    )


def _merge(place: dict[int, _Share], shares: Mapping[int, _Share], weights: TokenFactors) -> None:
    """Add weighted shares to those that a place has already received."""
    for source, share in shares.items():
        added = tuple(w * f for w, f in zip(weights, share.factors, strict=True))
        before = place.get(source, _Share((0,) * len(added), share.direction))
        stronger = share if added[0] > before.factors[0] else before
        factors = tuple(b + f for b, f in zip(before.factors, added, strict=True))
        place[source] = _Share(factors, stronger.direction)


def _removed(
    product: _Product, place: int, direction: int | None, size: int, epsilon: Number
) -> TokenFactors:
    """The share p of a cotangent along 1 and along the stream at ``place``, equation (1)."""
    if direction is None:
        return (2 * epsilon,) * size
    own, other, both = (
        diagonal(product(*pair))
        for pair in ((place, place), (direction, direction), (place, direction))
    )
    return tuple(epsilon * (1 - c**2 / (a * b)) for a, b, c in zip(own, other, both, strict=True))


def _projected(product: _Product, place: int, direction: int | None) -> Gram:
    """Gram of the stream at ``place``, projected orthogonally to the stream at ``direction``."""
    gram = product(place, place)
    if direction is None:
        return gram
    across, other = product(place, direction), product(direction, direction)
    share = tuple(c / k for c, k in zip(diagonal(across), diagonal(other), strict=True))
    size = range(len(gram))
    return tuple(
        tuple(
            gram[i][j]
            - share[j] * across[i][j]
            - share[i] * across[j][i]
            + share[i] * share[j] * other[i][j]
            for j in size
        )
        for i in size
    )


def _history_of(tape: HistoryTape) -> str:
    """Name of the part that holds the history's own parameters."""
    names = {one.part for one in tape.operations if isinstance(one, Normed)}
    (name,) = (part for part in names if part.endswith(".history"))
    return name
