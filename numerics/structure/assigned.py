"""What is known of the branches when roles are given to parameters, and questions about it."""

from dataclasses import dataclass

from numerics.structure.branch_nodes import BranchNodes, GraphParts
from numerics.structure.graph import Graph, members
from numerics.structure.operations import words
from numerics.structure.products import Product
from numerics.structure.steps import plain_step, signals
from numerics.structure.streams import Streams
from numerics.structure.targets import Targets
from numerics.structure.types import BranchKind, Role

LOOKUPS = words("embedding index index_select gather embedding_bag _embedding_bag")
"""Operations that take rows of a table."""


@dataclass(frozen=True)
class Assigned:
    """What is known of the branches when roles are given."""

    parts: GraphParts
    streams: Streams
    branches: list[BranchNodes]
    targets: list[Targets]
    kinds: list[BranchKind]
    on_stream: dict[int, int]
    """Per output of a norm on the stream: the branch after whose addition it stands."""

    def branch_of(self, node: int) -> int | None:
        """The first branch to whose own operations a node belongs."""
        for place, branch in enumerate(self.branches):
            if branch.own >> node & 1:
                return place
        return None


def parameter_names(graph: Graph, node: int) -> list[str]:
    """The names of the parameters that a node descends from."""
    return [graph[leaf].name for leaf in graph.parameters_of(node)]


def part_below(known: Assigned, node: int) -> Role | None:
    """The role of the product that a signal comes from without another operation between."""
    graph = known.parts.graph
    start = node
    while node not in known.parts.products:
        step = plain_step(graph, node)
        if step is not None:
            node = step.to
            continue
        current = graph[node]
        parents = signals(graph, current)
        biased = current.name == "add" and len(parents) == 1
        if not (biased or current.name in ("piece", "select", "slice", "split")) or not parents:
            return None
        node = parents[0]
    return role_of(known, node, start)


def role_of(known: Assigned, product: int, reader: int) -> Role | None:
    """The role of a product's features that arrive at a node further on."""
    graph = known.parts.graph
    place = known.branch_of(product)
    if place is None:
        return "head" if is_head(known, product) else None
    targets, branch = known.targets[place], known.branches[place]
    only = targets.role_of(product)
    if only is not None:
        return only
    for attention in branch.attentions:
        for role, operand in attention.operands:
            if role in targets.rows.get(product, {}) and graph.reaches(reader, operand):
                return role
    return None


def is_head(known: Assigned, product: int) -> bool:
    """Whether a product follows the last addition, and no other product follows it."""
    graph = known.parts.graph
    ends = [chain.last for chain in known.streams.chains]
    if not any(graph.reaches(end, product) for end in ends):
        return False
    asked = [*graph.targets, *graph.outputs]
    if not any(graph.reaches(product, target) for target in asked):
        return False
    later = graph.descendants[product] & ~(1 << product)
    return not any(later >> other & 1 for other in known.parts.products)


def is_input(known: Assigned, product: Product) -> bool:
    """Whether a product reads numbers of the batch, and what it gives becomes a stream."""
    graph = known.parts.graph
    below = graph.ancestors[product.data]
    if any(below >> other & 1 for other in known.parts.products):
        return False
    if any(graph[i].name in LOOKUPS and graph.is_signal(i) for i in members(below)):
        return False
    return any(graph.reaches(product.node, branch.output) for branch in known.branches)


def product_below(known: Assigned, node: int) -> int | None:
    """The product whose result a bias is added to."""
    graph = known.parts.graph
    current = graph[node]
    parents = signals(graph, current)
    while parents:
        at = parents[0]
        if at in known.parts.products:
            return at
        step = plain_step(graph, at)
        if step is None:
            return None
        parents = [step.to]
    return None
