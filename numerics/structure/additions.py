"""The residual additions of a forward, found by ancestry.

x + F(x) is an addition of two tensors of one shape where one operand, stripped of views and
multipliers, is an ancestor of the other, and a product with a parameter (or another operation that
mixes positions) lies between them. Biases, rotations, masks and the ε of a norm never satisfy it.
"""

from dataclasses import dataclass, replace

from numerics.structure.graph import Graph, Ref, members
from numerics.structure.norms import TracedNorm
from numerics.structure.operations import MIXERS_WITHOUT_WEIGHTS, PRODUCTS
from numerics.structure.steps import BackwardStep, plain_step, stream_steps


@dataclass(frozen=True)
class Addition:
    """One residual addition."""

    node: int
    skip: int
    """The operand that carries the stream."""
    branch: int
    """The operand that carries the branch's output."""
    source: int
    """The stream's node that the branch reads."""
    shortcut: tuple[BackwardStep, ...] = ()
    """The steps from `skip` back to the stream as it was."""
    parallel: bool = False
    """Whether the branch reads the stream as it was before an earlier addition."""
    sign: float = 1.0
    """−1 where the branch is subtracted."""
    term: int = 0
    """Number of the branch among several that were summed before they were added."""


@dataclass(frozen=True)
class Link:
    """The way from one addition back to the one before it on the same stream."""

    previous: int | None
    """The node of the addition before, ``None`` where the stream begins."""
    start: int
    """Where the walk ended."""
    steps: tuple[BackwardStep, ...]

    @property
    def norms(self) -> tuple[TracedNorm, ...]:
        """The norms on the way, the latest first."""
        return tuple(step.norm for step in self.steps if step.norm is not None)


@dataclass
class Additions:
    """All candidates for residual additions, and how the stream runs from one to the next."""

    graph: Graph
    norms: dict[int, TracedNorm]
    """The norm behind each node that is the output of one."""
    work: int
    """Bit set of the operations that make a branch."""
    found: dict[int, Addition]
    injections: dict[int, int]
    """Per addition of two points of one stream: the operand along which the stream runs."""

    def link(self, index: int, depth: int = 0, *, strict: bool = False) -> Link:
        """The way back from a node to the residual addition before it.

        A strict walk stops at sums of two activations and where positions are taken or joined.
        """
        steps: list[BackwardStep] = []
        while True:
            if index in self.found:
                return Link(index, index, tuple(steps))
            if index in self.injections:
                steps.append(BackwardStep(self.injections[index]))
                index = steps[-1].to
                continue
            ways = stream_steps(self.graph, self.norms, index)
            if not ways or (strict and (len(ways) > 1 or ways[0].resampled)):
                return Link(None, index, tuple(steps))
            if len(ways) > 1 and depth < 8:
                links = [(self.link(way.to, depth + 1), way) for way in ways]
                best, way = max(links, key=lambda pair: pair[0].previous or -1)
                if best.previous is None:
                    return Link(None, index, tuple(steps))
                return Link(best.previous, best.start, (*steps, way, *best.steps))
            steps.append(ways[0])
            index = ways[0].to


def find_additions(graph: Graph, norms: dict[int, TracedNorm]) -> Additions:
    """All candidates for residual additions of a forward, in order."""
    work = working(graph)
    result = Additions(graph, norms, work, {}, {})
    for node in graph.nodes:
        if node.name not in ("add", "sub") or not graph.live >> node.index & 1:
            continue
        operands = [ref.node for ref in node.args[:2] if isinstance(ref, Ref)]
        if len(operands) != 2 or operands[0] == operands[1]:
            continue
        if not all(graph.is_signal(p) and graph[p].numel == node.numel for p in operands):
            continue
        _classify(result, node.index, operands, float(node.kwargs.get("alpha", 1)))
    return result


def _classify(result: Additions, index: int, operands: list[int], alpha: float) -> None:
    orders = [operands] if result.graph[index].name == "sub" else [operands, operands[::-1]]
    for skip, branch in orders:
        match = _match(result, skip, branch)
        if match is None:
            continue
        source, steps, parallel = match
        if _on_trunk(result, branch, source):
            result.injections[index] = branch
            return
        sign = -alpha if result.graph[index].name == "sub" else alpha
        result.found[index] = Addition(index, skip, branch, source, steps, parallel, sign)
        return


def _match(
    result: Additions, skip: int, branch: int
) -> tuple[int, tuple[BackwardStep, ...], bool] | None:
    """What the branch reads of the stream, the steps on the shortcut, whether it is parallel."""
    graph = result.graph
    steps: list[BackwardStep] = []
    node = skip
    parallel = False
    while True:
        if graph.reaches(node, branch):
            works = graph.between(node, branch) & result.work & ~(1 << node)
            return (node, tuple(steps), parallel) if works else None
        if node in result.found:
            node, parallel = result.found[node].skip, True
            continue
        norm = result.norms.get(node)
        step = plain_step(graph, node) if norm is None else BackwardStep(norm.input, norm=norm)
        if step is None:
            return None
        if not parallel:
            steps.append(step)
        node = step.to


def _on_trunk(result: Additions, branch: int, source: int) -> bool:
    """Whether a supposed branch is the stream itself, later than its source."""
    link = result.link(branch, strict=True)
    seen = 0
    while link.previous is not None and seen < len(result.graph):
        addition = result.found[link.previous]
        if result.graph.reaches(addition.node, source):
            return True
        if addition.source == source or addition.skip == source:
            return True
        link = result.link(addition.skip, strict=True)
        seen += 1
    return any(step.to == source for step in link.steps) and bool(seen)


def working(graph: Graph) -> int:
    """The bit set of operations that make a branch: products, attention, Fourier transforms…."""
    bits = 0
    for node in graph.nodes:
        if node.name in PRODUCTS or node.name in MIXERS_WITHOUT_WEIGHTS or node.fused_attention:
            bits |= 1 << node.index
    return bits


def split_terms(result: Additions, addition: Addition, mixing: int) -> list[Addition]:
    """The branches that were summed before they were added: x + (F(x) + G(x)) has two.

    A sum is two branches where exactly one of its terms holds attention; a bias, a shared expert or
    a low-rank update is no branch of its own.
    """
    graph = result.graph
    node, steps = addition.branch, []
    while (step := plain_step(graph, node)) is not None and not step.weights:
        steps.append(step)
        node = step.to
    if graph[node].name != "add":
        return [addition]
    terms = [ref.node for ref in graph[node].args[:2] if isinstance(ref, Ref)]
    inside = [graph.between(addition.source, term) for term in terms]
    if len(terms) != 2 or not all(bits & result.work for bits in inside):
        return [addition]
    attends = [_attends(graph, addition.source, bits, mixing) for bits in inside]
    if attends[0] == attends[1]:
        attends = [bool(bits & mixing) for bits in inside]
    if attends[0] == attends[1]:
        return [addition]
    order = sorted(terms, key=lambda term: min(members(_own(graph, addition, term)), default=term))
    return [
        replace(addition, branch=term, parallel=True, term=place)
        for place, term in enumerate(order)
    ]


def _attends(graph: Graph, source: int, inside: int, mixing: int) -> bool:
    """Whether a term holds attention: fused, or a softmax of a product of two activations."""
    for index in members(inside):
        node = graph[index]
        softmax = node.name in ("_softmax", "_safe_softmax")
        if node.fused_attention or (softmax and graph.between(source, index) & mixing):
            return True
    return False


def _own(graph: Graph, addition: Addition, term: int) -> int:
    return graph.between(addition.source, term) & ~(1 << addition.source)
