"""Streams that begin with parameters or constants: latents, learned queries, zeros.

The residual additions of such a stream are found as all others are, once its beginning counts as
an input. x + F(x) with a parameter x shows it: what is added to the parameter descends from it.
"""

from numerics.structure.additions import working
from numerics.structure.graph import Graph, Ref
from numerics.structure.operations import MOVES

REPEATS = MOVES | {"repeat", "repeat_interleave", "zeros_like", "new_zeros"}


def mark_roots(graph: Graph) -> None:
    """Count the beginnings of such streams among the inputs of a graph."""
    work = working(graph)
    for node in graph.nodes:
        if node.name not in ("add", "sub") or not graph.live >> node.index & 1:
            continue
        refs = [ref for ref in node.args[:2] if isinstance(ref, Ref)]
        if len(refs) != 2 or not all(ref.value.is_floating_point() for ref in refs):
            continue
        for skip, branch in (refs, refs[::-1]):
            if graph.reads_input(skip.node) or skip.node == branch.node:
                continue
            if skip.value.shape != branch.value.shape or not graph.reaches(skip.node, branch.node):
                continue
            between = graph.between(skip.node, branch.node) & ~(1 << skip.node)
            if between & work:
                graph.begin_streams(1 << _root(graph, skip.node))


def _root(graph: Graph, index: int) -> int:
    """The node behind views and repetitions."""
    node = graph[index]
    while node.origin == "operation" and node.name in REPEATS and len(set(node.parents)) == 1:
        node = graph[node.parents[0]]
    return node.index
