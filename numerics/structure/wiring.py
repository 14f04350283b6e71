"""How a branch is wired: where norms stand, and the multipliers of branch and shortcut."""

from dataclasses import dataclass, replace

from numerics.structure.additions import Additions, Link
from numerics.structure.branch_nodes import BranchNodes, GraphParts
from numerics.structure.graph import Graph, Ref, members
from numerics.structure.steps import BackwardStep, plain_step, signals
from numerics.structure.streams import Chain


@dataclass(frozen=True)
class TracedWiring:
    """Where norms stand around one addition, and its multipliers."""

    norm_before: bool
    norm_after: bool
    norm_on_stream: bool
    norm_free_shortcut: bool
    shortcut_multiplier: float | None
    branch_multiplier: float | None
    partly: bool = False
    """Whether only some of what the branch reads is normalised."""


def wirings(
    parts: GraphParts, chain: Chain, branches: list[BranchNodes], *, stage: bool = False
) -> list[TracedWiring]:
    """The wiring of every addition of one stream, in order.

    `branches` are the stream's own. A `stage` is followed by more of the same stream, so that a
    single addition does not tell whether the norm after it is its own.
    """
    part_of_more = stage and len(branches) == 1
    links = chain.links
    after = [*links[1:], chain.end]
    found: list[TracedWiring] = []
    for place, (branch, link) in enumerate(zip(branches, links, strict=True)):
        steps = _stream_steps(branch, link)
        shortcut_norms = [s.norm for s in branch.addition.shortcut if s.norm is not None]
        before, partly = _norm_before(parts, branch)
        multiplier, added = branch_multiplier(parts, branch)
        found.append(
            TracedWiring(
                before,
                _norm_after(parts, branch),
                norm_on_stream=False,
                norm_free_shortcut=not shortcut_norms
                and (place == 0 or not any(s.norm for s in steps)),
                shortcut_multiplier=_plus(_factor(branch.addition.shortcut), added),
                branch_multiplier=_times(multiplier, branch.addition.sign),
                partly=partly,
            )
        )
    factor: float | None = 1.0
    for place in range(len(found)):
        link = after[place]
        if place + 1 < len(found):
            assert link is not None
            steps = _stream_steps(branches[place + 1], link)
            on_stream = any(step.norm for step in steps)
            factor = _factor(tuple(s for s in steps if s.norm is None))
        else:
            on_stream = not part_of_more and _last_is_post(found, place, link)
            factor = _last_factor(link, before=factor)
        if on_stream:
            found[place] = replace(found[place], norm_on_stream=True, norm_free_shortcut=False)
        if factor != 1.0:
            found[place] = replace(
                found[place],
                shortcut_multiplier=_times(found[place].shortcut_multiplier, factor),
                branch_multiplier=_times(found[place].branch_multiplier, factor),
            )
    return found


def _last_factor(end: Link | None, *, before: float | None) -> float | None:
    """The factor on the stream after the last addition, if it equals all the others."""
    steps: list[BackwardStep] = []
    for step in end.steps[::-1] if end is not None else ():
        if step.norm is not None:
            break
        steps.append(step)
    own = _factor(tuple(steps))
    alike = own is before or (own is not None and before is not None and abs(own - before) < 1e-9)
    return before if alike else 1.0


def _last_is_post(found: list[TracedWiring], place: int, end: Link | None) -> bool:
    """Whether the norm after the last addition is the layer's own, as after those before it."""
    if end is None or not end.norms:
        return False
    last = found[place]
    if place == 0:
        return not (last.norm_before or last.norm_after)
    return any(
        other.norm_on_stream
        and (other.norm_before, other.norm_after) == (last.norm_before, last.norm_after)
        for other in found[:place]
    )


def _stream_steps(branch: BranchNodes, link: Link) -> tuple[BackwardStep, ...]:
    """The steps on the stream itself: without those that only the shortcut takes."""
    if branch.addition.parallel:
        return link.steps
    return link.steps[len(branch.addition.shortcut) :]


def _factor(steps: tuple[BackwardStep, ...]) -> float | None:
    value: float | None = 1.0
    for step in steps:
        value = _times(value, step.factor)
    return value


def _times(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first * second


def _plus(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second


def _norm_before(parts: GraphParts, branch: BranchNodes) -> tuple[bool, bool]:
    """Whether all of what first works on the stream reads it normalised, and whether some does."""
    graph, source = parts.graph, branch.source
    work = parts.additions.work
    outputs = 0
    for norm in parts.norms:
        if branch.own >> norm.output & 1 and graph.reaches(source, norm.input):
            outputs |= 1 << norm.output
    normalised = []
    for index in members(branch.own & work & graph.descendants[source]):
        product = branch.products.get(index)
        reads = [product.data] if product else [p for p in graph[index].parents]
        for read in reads:
            inside = graph.between(source, read)
            if not inside or inside & work & ~(1 << source):
                continue
            normalised.append(bool(inside & outputs))
    return bool(normalised) and all(normalised), any(normalised) and not all(normalised)


def _norm_after(parts: GraphParts, branch: BranchNodes) -> bool:
    """Whether the branch's output is normalised after its last product."""
    graph = parts.graph
    for norm in parts.norms:
        if not branch.own >> norm.output & 1:
            continue
        later = graph.between(norm.output, branch.output) & parts.additions.work
        earlier = graph.between(branch.source, norm.input) & parts.additions.work
        if not later & ~(1 << norm.output) and earlier & ~(1 << branch.source):
            return True
    return False


def output_steps(parts: GraphParts, branch: BranchNodes) -> tuple[list[BackwardStep], int]:
    """The multipliers and biases on the branch's output, from the addition inwards."""
    graph, norms = parts.graph, parts.additions.norms
    node, steps = branch.output, []
    while node not in norms and node not in parts.products:
        step = plain_step(graph, node) or _bias_step(graph, node)
        if step is None:
            break
        steps.append(step)
        node = step.to
    return steps, node


def branch_multiplier(parts: GraphParts, branch: BranchNodes) -> tuple[float | None, float | None]:
    """The factor on the branch's output, and what the branch itself adds to the shortcut's factor.

    x + α(F − x) has the factor α on the branch and −α to add on the shortcut.
    """
    graph = parts.graph
    steps, node = output_steps(parts, branch)
    factor = _factor(tuple(steps))
    added: float | None = 0.0
    reached = graph[node]
    if reached.name in ("sub", "add"):
        operands = [ref.node for ref in reached.args[:2] if isinstance(ref, Ref)]
        same = [p for p in operands if p == branch.source]
        if len(operands) == 2 and len(same) == 1:
            negative = reached.name == "sub" and operands[1] == branch.source
            added = _times(factor, -1.0 if negative else 1.0)
    if reached.name == "mul" and node not in parts.additions.norms:
        gates = signals(graph, reached)
        if len(gates) == 2 and any(not graph.reaches(branch.source, p) for p in gates):
            factor = None  # a gate that conditions the branch from outside
    return factor, added


def _bias_step(graph: Graph, index: int) -> BackwardStep | None:
    node = graph[index]
    if node.name != "add":
        return None
    parents = signals(graph, node)
    if len(parents) != 1 or graph[parents[0]].numel != node.numel:
        return None
    return BackwardStep(parents[0], weights=tuple(p for p in node.parents if graph.is_weight(p)))


def end_link(additions: Additions, graph: Graph, chain: Chain) -> Link | None:
    """The way from the output, or from what reads the stream, back to the last addition."""
    last = chain.last
    best: Link | None = None
    for index in members(graph.descendants[last] & graph.live):
        link = additions.link(index)
        if link.previous != last:
            continue
        size = (len(link.norms), len(link.steps))
        if best is None or size > (len(best.norms), len(best.steps)):
            best = link
    return best
