"""Attention found in a branch: what plays q, k and v.

Fused attention names its operands. Otherwise attention is two products of activations, one after
the other: scores = q·kᵀ, and weights·v. Which operand of the scores is k is not read off their
order: the axis over which the second product sums is the keys' axis.
"""

from dataclasses import dataclass

import torch

from numerics.structure.graph import Graph, Ref, members
from numerics.structure.operations import LINEAR_POINTWISE, MOVES
from numerics.structure.products import Mixing, Product
from numerics.structure.replay import Replay
from numerics.structure.types import Role


@dataclass(frozen=True)
class AttentionCall:
    """One attention: operands and result."""

    q: int
    k: int
    v: int
    scores: int
    """The node of the scores; the fused operation itself where there is one."""
    output: int
    """The node of the weighted values."""

    @property
    def operands(self) -> tuple[tuple[Role, int], ...]:
        """The operands with their roles."""
        return (("q", self.q), ("k", self.k), ("v", self.v))


def find_attention(
    graph: Graph,
    source: int,
    own: int,
    products: dict[int, Product],
    mixings: dict[int, Mixing],
) -> list[AttentionCall]:
    """The attentions among some nodes that read a stream at its source, in order."""
    found: list[AttentionCall] = []
    for index in members(own):
        node = graph[index]
        if node.fused_attention:
            refs = [arg for arg in node.args if isinstance(arg, Ref)]
            if len(refs) >= 3:
                q, k, v = (ref.node for ref in refs[:3])
                found.append(AttentionCall(q, k, v, index, index))
    used: set[int] = set()
    for index in members(own):
        second = mixings.get(index)
        if second is None or index in used:
            continue
        pairs = [
            (first, place)
            for place, ref in enumerate((second.first, second.second))
            for first in _scores_below(graph, ref.node, own, products, mixings)
            if first not in used
        ]
        if not pairs:
            continue
        first, place = _principal(graph, pairs, mixings)
        used |= {index, *(score for score, _ in pairs)}
        found.append(_operands(graph, source, mixings[first], second, place))
    return sorted(found, key=lambda attention: attention.output)


def _scores_below(
    graph: Graph,
    index: int,
    own: int,
    products: dict[int, Product],
    mixings: dict[int, Mixing],
) -> list[int]:
    """The products of activations from which an operand comes without a large product between."""
    found, seen, stack = [], set(), [index]
    while stack:
        at = stack.pop()
        if at in seen or not own >> at & 1:
            continue
        seen.add(at)
        if at in mixings:
            found.append(at)
            continue
        if at in products and graph[at].numel != graph[index].numel:
            continue  # a projection of the stream, and no mixing of heads among scores
        if graph[at].fused_attention:
            continue
        stack.extend(p for p in graph[at].parents if graph.is_signal(p))
    return sorted(found)


def _principal(
    graph: Graph, pairs: list[tuple[int, int]], mixings: dict[int, Mixing]
) -> tuple[int, int]:
    """Among several terms of the scores the one of content with content: most activations in it."""

    def content(pair: tuple[int, int]) -> tuple[int, int]:
        first = mixings[pair[0]]
        depths = [
            (graph.ancestors[r.node] & ~graph.parameter_bits).bit_count()
            for r in (first.first, first.second)
        ]
        return min(depths), -pair[0]

    return max(pairs, key=content)


def _operands(
    graph: Graph, source: int, first: Mixing, second: Mixing, place: int
) -> AttentionCall:
    weights = second.first if place == 0 else second.second
    other = second.second if place == 0 else second.first
    summed = weights.value.dim() - (1 if place == 0 else 2)
    rows = _keys_on_rows(graph, first.node, weights.node, summed)
    key, query = (first.first, first.second) if rows else (first.second, first.first)
    if _is_linear_attention(graph, source, first, second, place):
        return AttentionCall(other.node, key.node, query.node, first.node, second.node)
    return AttentionCall(query.node, key.node, other.node, first.node, second.node)


def _keys_on_rows(graph: Graph, scores: int, weights: int, summed: int) -> bool:
    """Whether the axis that is summed over comes from the rows of the product of q and k."""
    value = graph[scores].value
    other = graph[weights].value.dim() - (1 if summed == graph[weights].value.dim() - 2 else 2)
    default = summed == graph[weights].value.dim() - 2
    with torch.enable_grad():
        leaf = value.detach().clone().requires_grad_()
        try:
            (result,) = Replay(graph, {scores: leaf * 1}, through_detach=True).run([weights])
            cotangent = torch.zeros_like(result)
            line = cotangent.select(other, cotangent.shape[other] - 1)
            line.copy_(torch.randn(line.shape, generator=torch.Generator().manual_seed(0)))
            (gradient,) = torch.autograd.grad(result, leaf, cotangent)
        except (RuntimeError, NotImplementedError, IndexError):
            return default
    spread = [
        int((gradient != 0).any(dim=tuple(a for a in range(gradient.dim()) if a != axis)).sum())
        for axis in (gradient.dim() - 2, gradient.dim() - 1)
    ]
    return default if spread[0] == spread[1] else spread[0] > spread[1]


def _is_linear_attention(
    graph: Graph, source: int, first: Mixing, second: Mixing, place: int
) -> bool:
    """Whether k and v were multiplied first: q·(kᵀv), with nothing but scales between.

    Scores have an entry per pair of positions, of which a change at one position reaches some; a
    state kᵀv is summed over positions, so that such a change reaches all of it.
    """
    weights = (second.first, second.second)[place]
    inside = graph.between(first.node, weights.node) & ~(1 << first.node)
    if not {graph[i].name for i in members(inside)} <= LINEAR_POINTWISE | MOVES:
        return False
    value = graph[source].value
    if value.dim() < 2 or not graph.reaches(source, first.node):
        return graph.reaches(source, second.node)
    moved = value.clone()
    drawn = torch.randn(value.shape[-1], generator=torch.Generator().manual_seed(0))
    moved[(-1,) * (value.dim() - 1)] = drawn.to(value)
    with torch.no_grad():
        try:
            (result,) = Replay(graph, {source: moved}, through_detach=False).run([first.node])
        except (RuntimeError, NotImplementedError, IndexError, TypeError):
            return place == 1
    difference = (result - graph[first.node].value).abs()
    touched = (difference > 1e-6 * difference.max()).flatten(0, -3)
    touched = touched[touched.flatten(1).any(1)]
    return bool(touched.numel()) and bool(touched.all())
