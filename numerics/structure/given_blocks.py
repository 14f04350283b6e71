"""Branches that the user names: modules whose outputs are branches, whatever is done with them."""

from collections.abc import Sequence

from torch import nn

from numerics.structure.additions import Addition, Link
from numerics.structure.attention import find_attention
from numerics.structure.branch_nodes import BranchNodes, GraphParts
from numerics.structure.graph import Graph, members
from numerics.structure.streams import Chain, Streams
from numerics.structure.wiring import TracedWiring
from theory.errors import InputError, nearest

GIVEN = TracedWiring(
    norm_before=False,
    norm_after=False,
    norm_on_stream=False,
    norm_free_shortcut=False,
    shortcut_multiplier=None,
    branch_multiplier=None,
)
"""What is known of the wiring around a branch that the user named: nothing."""


def block_paths(model: nn.Module, blocks: Sequence[str]) -> tuple[str, ...]:
    """The module paths meant; a list of modules stands for its members.

    Raises
    ------
    InputError
        If a path names no module.

    Examples
    --------
    >>> block_paths(nn.Sequential(nn.ModuleList([nn.Identity(), nn.Identity()])), ["0"])
    ('0.0', '0.1')
    """
    modules = dict(model.named_modules())
    found: list[str] = []
    for path in blocks:
        if path not in modules or not path:
            raise nearest(path, [name for name in modules if name], "module in blocks=")
        module = modules[path]
        if isinstance(module, nn.ModuleList):
            found += [f"{path}.{name}" for name, _ in module.named_children()]
        else:
            found.append(path)
    return tuple(found)


def given_branches(parts: GraphParts, blocks: Sequence[str]) -> tuple[Streams, list[BranchNodes]]:
    """One branch per call of a named module, in the order of the calls."""
    graph = parts.graph
    calls = sorted(call for name in blocks for call in graph.scopes.get(name, ()))
    missing = [name for name in blocks if not graph.scopes.get(name)]
    if missing:
        raise InputError(
            f"blocks= must name modules that the forward calls, and {missing[0]!r} is not called"
        )
    chain = Chain([], [], start=0)
    branches: list[BranchNodes] = []
    for start, end, output in calls:
        inside = ((1 << end) - 1) & ~((1 << start) - 1)
        own = 0
        for index in members(inside & graph.live):
            if graph[index].origin == "operation" and graph.reads_input(index):
                own |= 1 << index
        source = _source(graph, own)
        addition = Addition(output, source, output, source)
        branch = BranchNodes(chain, addition, own)
        branch.products = {i: p for i, p in parts.products.items() if own >> i & 1}
        branch.attentions = find_attention(graph, source, own, branch.products, parts.mixings)
        branches.append(branch)
        chain.additions.append(addition)
        chain.links.append(Link(None, source, ()))
    chain.start = branches[0].source
    parts.additions.found.clear()
    parts.additions.injections.clear()
    parts.additions.found.update({a.node: a for a in chain.additions})
    return Streams([chain], []), branches


def _source(graph: Graph, own: int) -> int:
    """The latest activation from outside that a block reads."""
    read = [
        parent
        for index in members(own)
        for parent in graph[index].parents
        if not own >> parent & 1 and graph.reads_input(parent)
    ]
    floating = [index for index in read if graph[index].value.is_floating_point()]
    return max(floating or read, default=0)
