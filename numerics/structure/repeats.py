"""One stack applied to several inputs, such as both sides of a pair: its branches count once."""

from collections.abc import Sequence
from dataclasses import replace

from numerics.structure.branch_nodes import BranchNodes, GraphParts
from numerics.structure.graph import members
from numerics.structure.streams import Chain
from numerics.structure.types import TensorView


def repeated_places(parts: GraphParts, branches: Sequence[BranchNodes]) -> list[int]:
    """For each branch, the branch of which it is another application; mostly itself.

    Two streams are applications of one stack if their branches read the same parameters, one by
    one, and neither stream begins with the other.
    """
    graph = parts.graph
    chains: list[tuple[Chain, list[int]]] = []
    for place, branch in enumerate(branches):
        known = next((places for chain, places in chains if chain is branch.chain), None)
        if known is None:
            chains.append((branch.chain, [place]))
        else:
            known.append(place)
    found = list(range(len(branches)))
    for i, (chain, places) in enumerate(chains):
        for first, first_places in chains[:i]:
            apart = not graph.reaches(first.last, chain.start)
            apart = apart and not graph.reaches(chain.last, first.start)
            if apart and _reads(parts, branches, places) == _reads(parts, branches, first_places):
                for place, original in zip(places, first_places, strict=True):
                    found[place] = found[original]
                break
    return found


def _reads(
    parts: GraphParts, branches: Sequence[BranchNodes], places: Sequence[int]
) -> list[frozenset[int]]:
    graph = parts.graph
    found = []
    for place in places:
        leaves: set[int] = set()
        for index in members(branches[place].own):
            for parent in graph[index].parents:
                if graph.is_weight(parent):
                    leaves.update(graph.parameters_of(parent))
        found.append(frozenset(leaves) or frozenset({-1 - place}))
    return found


def merged_views(
    views: Sequence[TensorView], places: Sequence[int], kept: Sequence[int]
) -> tuple[TensorView, ...]:
    """Views with the branches' new numbers, each view once."""
    number = {place: new for new, place in enumerate(kept)}
    found: dict[TensorView, None] = {}
    for view in views:
        branch = None if view.branch is None else number[places[view.branch]]
        found.setdefault(replace(view, branch=branch))
    return tuple(found)
