"""The streams of a model: chains of residual additions, and which of them the output comes from.

The search starts at the last candidate and follows the shortcuts back. Additions inside a branch
(the skip of a state-space layer, an adapter) are thereby left out. The streams of other stacks,
such as an encoder's, are then found in the same way among the remaining candidates.
"""

from dataclasses import dataclass, field

from numerics.structure.additions import Addition, Additions, Link, split_terms
from numerics.structure.graph import members


@dataclass
class Chain:
    """One residual stream."""

    additions: list[Addition]
    """In order; branches that were summed first stand one after another."""
    links: list[Link]
    """Per addition: the way from its shortcut back to the addition before."""
    start: int
    """The node where the stream begins."""
    name: str = "stream"
    end: Link | None = None
    """The way from the first target that comes straight from the stream to the last addition."""

    @property
    def last(self) -> int:
        """The node of the last addition."""
        return self.additions[-1].node


@dataclass
class Streams:
    """All streams, and the candidates that lie inside branches."""

    chains: list[Chain]
    nested: list[int]
    reasons: list[str] = field(default_factory=list)


def find_streams(additions: Additions, mixing: int) -> Streams:
    """The chains of residual additions, the main one last."""
    graph = additions.graph
    claimed: set[int] = set()
    inside = 0
    chains: list[Chain] = []
    for index in sorted(additions.found, reverse=True):
        if index in claimed or inside >> index & 1:
            continue
        chain = _follow(additions, index, claimed)
        claimed |= {addition.node for addition in chain.additions}
        for addition in chain.additions:
            inside |= graph.between(addition.source, addition.branch) & ~(1 << addition.source)
        split = [
            (term, link)
            for addition, link in zip(chain.additions, chain.links, strict=True)
            for term, link in _terms(additions, addition, link, mixing)
        ]
        chain.additions = [term for term, _ in split]
        chain.links = [link for _, link in split]
        chains.append(chain)
    chains.reverse()
    nested = [index for index in additions.found if index not in claimed]
    streams = Streams(chains, nested)
    _name(additions, chains)
    _refuse_parallel_streams(additions, streams)
    return streams


def _terms(
    additions: Additions, addition: Addition, link: Link, mixing: int
) -> list[tuple[Addition, Link]]:
    terms = split_terms(additions, addition, mixing)
    return [
        (term, link if place == 0 else Link(addition.node, addition.node, ()))
        for place, term in enumerate(terms)
    ]


def _follow(additions: Additions, index: int, claimed: set[int]) -> Chain:
    found: list[Addition] = []
    links: list[Link] = []
    at: int | None = index
    while at is not None and at not in claimed:
        addition = additions.found[at]
        link = additions.link(addition.skip)
        found.append(addition)
        links.append(link)
        at = link.previous
    return Chain(found[::-1], links[::-1], links[-1].start)


def _name(additions: Additions, chains: list[Chain]) -> None:
    """Name a stream that another one reads the encoder, and its reader the decoder."""
    graph = additions.graph
    reads: set[int] = set()
    is_read: set[int] = set()
    for i, first in enumerate(chains):
        for j, second in enumerate(chains):
            if i == j or not any(graph.reaches(first.last, a.branch) for a in second.additions):
                continue
            inputs = [graph.ancestors[c.start] & graph.input_bits for c in (first, second)]
            if graph.reaches(first.last, second.start) and not inputs[1] & ~inputs[0]:
                continue  # one stage after another: the same stream
            reads.add(j)
            is_read.add(i)
    used: dict[str, int] = {}
    for i, chain in enumerate(chains):
        name = "encoder" if i in is_read else "decoder" if i in reads else "stream"
        same = [
            other
            for other in chains[:i]
            if other.name.split("-")[0] == name and graph.reaches(other.last, chain.start)
        ]
        if same and name == "stream":
            chain.name = same[-1].name
            continue
        used[name] = used.get(name, 0) + 1
        chain.name = name if used[name] == 1 else f"{name}-{used[name]}"


def _refuse_parallel_streams(additions: Additions, streams: Streams) -> None:
    """Refuse streams that read one another, and additions that make a stream inside a branch."""
    graph = additions.graph
    owner: dict[int, tuple[int, int]] = {}
    for number, chain in enumerate(streams.chains):
        for place, addition in enumerate(chain.additions):
            bits = graph.walk_back(addition.branch, _trunk(streams))
            bits &= graph.descendants[addition.source]
            for index in members(bits & _bits(streams.nested)):
                owner.setdefault(index, (number, place))
    for index in streams.nested:
        link = additions.link(additions.found[index].skip)
        previous = link.previous
        if previous is None or previous not in streams.nested:
            continue
        chain = streams.chains[owner[index][0]] if index in owner else streams.chains[-1]
        stream, inner = graph[chain.last].shape, graph[index].shape
        if owner.get(index) == owner.get(previous):
            streams.reasons.append(
                f"a branch of the stream has residual additions of its own ({_where(index)}): pass "
                "blocks=, the module paths whose outputs are to count as branches"
            )
        elif len(stream) == len(inner) and stream[-1] == inner[-1]:
            streams.reasons.append(side_by_side(index))


def side_by_side(index: int) -> str:
    """The reason given for streams that cannot be told apart."""
    return (
        f"several streams run side by side and read one another ({_where(index)}): pass blocks=, "
        "the module paths whose outputs are to count as branches"
    )


def _where(index: int) -> str:
    return f"operation {index}"


def _trunk(streams: Streams) -> int:
    return _bits(
        [a.node for chain in streams.chains for a in chain.additions]
        + [chain.start for chain in streams.chains]
    )


def _bits(indices: list[int]) -> int:
    bits = 0
    for index in indices:
        bits |= 1 << index
    return bits
