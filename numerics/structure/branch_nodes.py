"""Which operations belong to which branch, and what each branch computes and normalises."""

from dataclasses import dataclass, field

from numerics.structure.additions import Addition, Additions
from numerics.structure.attention import AttentionCall, find_attention
from numerics.structure.graph import Graph, members
from numerics.structure.norms import TracedNorm
from numerics.structure.products import Mixing, Product
from numerics.structure.streams import Chain, Streams


@dataclass
class BranchNodes:
    """The operations of one branch."""

    chain: Chain
    addition: Addition
    own: int
    """Bit set of its activations: what descends from the stream as the branch reads it, and what
    only this branch reads from elsewhere, such as the keys of a memory."""
    attentions: list[AttentionCall] = field(default_factory=list)
    products: dict[int, Product] = field(default_factory=dict)

    @property
    def source(self) -> int:
        """The node of the stream that it reads."""
        return self.addition.source

    @property
    def output(self) -> int:
        """The node that is added to the stream."""
        return self.addition.branch


@dataclass(frozen=True)
class GraphParts:
    """What was found in a graph before branches are told apart."""

    graph: Graph
    additions: Additions
    products: dict[int, Product]
    mixings: dict[int, Mixing]
    norms: tuple[TracedNorm, ...]


def branch_nodes(parts: GraphParts, streams: Streams) -> list[BranchNodes]:
    """The operations of every branch; branches are in the order in which they are added."""
    graph = parts.graph
    stops = 0
    for chain in streams.chains:
        stops |= 1 << chain.start
        for addition in chain.additions:
            stops |= 1 << addition.node
    reached: list[tuple[Chain, Addition, int]] = []
    for chain in streams.chains:
        for addition in chain.additions:
            reached.append((chain, addition, graph.walk_back(addition.branch, stops)))
    reached.sort(key=lambda found: (found[1].node, found[1].term))
    found = []
    for chain, addition, bits in reached:
        signals = _signals(graph, bits)
        own = signals & graph.descendants[addition.source] & ~(1 << addition.source)
        side = signals & ~graph.descendants[chain.start]
        for other_chain, other, other_bits in reached:
            if other_chain is chain and other.source == addition.source:
                continue
            side &= ~other_bits
        side &= ~_memory_norms(parts, streams, chain, side)
        branch = BranchNodes(chain, addition, own | side)
        branch.products = {i: p for i, p in parts.products.items() if branch.own >> i & 1}
        branch.attentions = find_attention(
            graph, branch.source, branch.own, branch.products, parts.mixings
        )
        found.append(branch)
    return found


def _signals(graph: Graph, bits: int) -> int:
    signals = 0
    for index in members(bits):
        if graph[index].origin == "operation" and graph.reads_input(index):
            signals |= 1 << index
    return signals


def _memory_norms(parts: GraphParts, streams: Streams, chain: Chain, side: int) -> int:
    """The final norm of another stream, where a single branch reads that stream."""
    others = {c.last for c in streams.chains if c is not chain}
    bits = 0
    for norm in parts.norms:
        if not side >> norm.output & 1:
            continue
        link = parts.additions.link(norm.input)
        readers = sum(bool(parts.graph.reaches(norm.input, a.branch)) for a in chain.additions)
        if link.previous in others and readers == 1:
            bits |= norm.inside
    return bits
