"""Where a signal is normalised: fused norms, and norms written out in single operations.

A norm written out is a product or a quotient a·r, where a is the signal (perhaps less its mean) and
r is a statistic of the same signal: reduced over an axis, through a square or an absolute value.
"""

from dataclasses import dataclass

from numerics.structure.graph import Graph, Ref, members
from numerics.structure.operations import MOVES, NORMS, REDUCTIONS, SQUARES


@dataclass(frozen=True)
class TracedNorm:
    """One normalisation."""

    input: int
    """The node that is normalised."""
    core: int
    """The node that holds the normalised signal before gain and bias."""
    output: int
    """The node that holds the result, gain and bias included."""
    inside: int
    """Bit set of the nodes between input and output, the input left out."""
    gain: int | None = None
    """The node of the gain, as the operation reads it."""
    bias: int | None = None


def find_norms(graph: Graph) -> tuple[TracedNorm, ...]:
    """All normalisations of signals in a forward, in order."""
    found: list[TracedNorm] = []
    for node in graph.nodes:
        if not graph.is_signal(node.index):
            continue
        if node.name in NORMS:
            found.append(_fused(graph, node.index))
        elif node.name in ("mul", "div"):
            match = _written_out(graph, node.index)
            if match is not None:
                found.append(_with_affine(graph, match[0], node.index, match[1], None))
    return tuple(found)


def _fused(graph: Graph, index: int) -> TracedNorm:
    node = graph[index]
    places = NORMS[node.name]
    gain, bias = (
        value.node
        if place is not None
        and place < len(node.args)
        and isinstance(value := node.args[place], Ref)
        and graph.reads_parameter(value.node)
        else None
        for place in places
    )
    source = node.args[0].node
    if gain is None and bias is None:
        return _with_affine(graph, source, index, None, None)
    return TracedNorm(source, index, index, 1 << index, gain, bias)


def _written_out(graph: Graph, index: int) -> tuple[int, int | None] | None:
    """The node that a product or quotient normalises, and a gain that stands before the division.

    ``None`` where it is no norm.
    """
    node = graph[index]
    operands = [ref.node for ref in node.args if isinstance(ref, Ref)]
    if len(operands) != 2:
        return None
    orders = [operands] if node.name == "div" else [operands, operands[::-1]]
    for signal, statistic in orders:
        if graph[signal].numel != node.numel or signal == statistic:
            continue
        small = statistic
        while graph[small].name in ("expand", "clone", "unsqueeze") and graph[small].parents:
            small = graph[small].parents[0]
        if graph[small].numel >= node.numel or not graph.is_signal(small):
            continue
        sources, gain = _sources(graph, signal)
        for source in sources:
            if _is_statistic(graph, source, small):
                return source, gain
    return None


def _sources(graph: Graph, index: int) -> tuple[list[int], int | None]:
    """A signal, and what it was before casts and before its mean was subtracted, the latest first.

    A signal whose mean was subtracted is left out, because the norm subtracts the mean as well. A
    gain may stand before the division: γ·(x − x̄)/s.
    """
    found: list[int] = []
    gain = None
    while True:
        node = graph[index]
        refs = [ref.node for ref in node.args if isinstance(ref, Ref)]
        moved = node.name in MOVES and len(refs) == 1 and graph[refs[0]].numel == node.numel
        centred = node.name == "sub" and len(refs) == 2 and graph.reaches(refs[0], refs[1])
        gains = [p for p in refs if graph.is_weight(p) and _per_channel(graph, p)]
        scaled = node.name == "mul" and len(refs) == 2 and len(gains) == 1 and gain is None
        if centred or scaled:
            found.clear()
        else:
            found.append(index)
        if not (moved or centred or scaled):
            return found, gain
        if scaled:
            gain = gains[0]
            refs.remove(gain)
        index = refs[0]


def _is_statistic(graph: Graph, source: int, statistic: int) -> bool:
    """Whether one node measures the size of another."""
    if source == statistic or not graph.reaches(source, statistic):
        return False
    names = set()
    for index in members(graph.between(source, statistic) & ~(1 << source)):
        node = graph[index]
        allowed = node.pointwise or node.name in MOVES or node.name in REDUCTIONS
        signals = [p for p in node.parents if graph.is_signal(p)]
        if not allowed or any(not graph.reaches(source, p) for p in signals):
            return False
        names.add(node.name)
        if node.name == "mul" and len(set(node.parents)) == 1:
            names.add("square")
    return bool(names & REDUCTIONS) and bool(names & SQUARES)


def _with_affine(
    graph: Graph, source: int, core: int, gain: int | None, bias: int | None
) -> TracedNorm:
    """The norm together with the gain and the bias that follow it."""
    output = last = core
    gain_at = bias_at = -1
    while True:
        children = [c for c in graph.children[last] if graph.live >> c & 1]
        if len(children) != 1:
            break
        child = children[0]
        node = graph[child]
        others = [p for p in dict.fromkeys(node.parents) if p != last]
        if node.numel != graph[core].numel:
            break
        if not others and (node.name in MOVES or node.name in ("mul", "div")):
            if len(node.parents) > 1:
                break  # a square
        elif len(others) != 1:
            break
        elif graph.is_weight(others[0]) and _per_channel(graph, others[0]):
            if node.name == "mul" and gain is None and bias is None:
                gain, gain_at = others[0], child
            elif node.name == "add" and gain is not None and bias is None:
                bias, bias_at = others[0], child
            else:
                break
        elif (
            not (node.name == "mul" and graph.is_constant(others[0]) and gain is None)
            or graph[others[0]].numel != 1
        ):
            break
        last = child
        if last in (gain_at, bias_at):
            output = last
    inside = graph.between(source, output) & ~(1 << source)
    return TracedNorm(source, core, output, inside, gain, bias)


def _per_channel(graph: Graph, index: int) -> bool:
    """Whether a parameter has one number per channel, or a single one."""
    return sum(size > 1 for size in graph[index].shape) <= 1
