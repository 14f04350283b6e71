"""Experts that no token of the batch was sent to: their roles come from a second forward."""

from dataclasses import replace

from numerics.structure.graph import Graph
from numerics.structure.operations import CHOICES, words
from numerics.structure.types import Structure

CONTROL = words("nonzero _local_scalar_dense where topk sort argmax bincount unique_dim _unique2")
"""Operations whose results decide which code runs."""


def chooses(graph: Graph) -> bool:
    """Whether a forward chooses by its activations what it runs."""
    return any(node.name in CHOICES | CONTROL for node in graph.nodes)


def with_experts(first: Structure, second: Structure) -> Structure:
    """The first structure with the roles of parameters that only the second forward read.

    Nothing is added where the two forwards have unlike branches.
    """
    if [b.kind for b in first.branches] != [b.kind for b in second.branches]:
        return first
    unread = set(first.unread)
    added = tuple(view for view in second.views if view.parameter in unread)
    rest = tuple(name for name in first.unread if name in set(second.unread))
    return replace(first, views=first.views + added, unread=rest)
