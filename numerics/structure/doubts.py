"""Reasons to doubt the structure that was found, and what the user can pass to help."""

from torch import nn

from numerics.structure.branch_nodes import BranchNodes, GraphParts
from numerics.structure.graph import Graph
from numerics.structure.repetition import repeated_children
from numerics.structure.streams import Streams, side_by_side
from numerics.structure.targets import Targets
from numerics.structure.types import TensorView
from numerics.structure.wiring import TracedWiring

PASS = "pass blocks=, the module paths whose outputs are to count as branches"


def unexplained(parts: GraphParts, streams: Streams, branches: list[BranchNodes]) -> list[str]:
    """Reasons against the additions found: there are none, or attention lies outside of them."""
    graph = parts.graph
    if not streams.chains:
        gated = any(n.name in ("sigmoid", "tanh") for n in graph.nodes)
        hint = ", and gates (σ or tanh) were seen" if gated else ""
        return [f"no addition x + F(x) was found{hint}: the residual may be gated or mixed; {PASS}"]
    shape = graph[streams.chains[-1].start].shape
    if len(shape) > 2 and all(size == 1 for size in shape[1:-1]):
        return [
            f"the stream has a single position (its shape is {shape}), at which attention cannot "
            "be told from a product: pass a batch with more positions"
        ]
    own = 0
    for branch in branches:
        own |= branch.own
    fused = [n.index for n in graph.nodes if n.fused_attention]
    outside = [
        i for i in (*fused, *fused, *parts.mixings) if graph.live >> i & 1 and not own >> i & 1
    ]
    if len(outside) > 2:
        return [f"{len(outside) // 2} attentions lie in no residual branch; {PASS}"]
    for place, branch in enumerate(branches):
        for other in branches[:place]:
            shared = any(other.own >> a.output & 1 for a in branch.attentions)
            if other.chain is not branch.chain and shared:
                return [side_by_side(branch.addition.node)]
    starts = 0
    for chain in streams.chains:
        starts |= graph.descendants[chain.start]
    between = [
        index
        for index in parts.products
        if starts >> index & 1
        and not own >> index & 1
        and any(graph.reaches(index, branch.addition.node) for branch in branches)
    ]
    inside = sum(len(branch.products) for branch in branches)
    if len(between) > inside:
        return [
            f"more products are on the stream itself ({len(between)}) than in residual branches "
            f"({inside}): the residual may be gated; {PASS}"
        ]
    return []


def notes(wired: list[TracedWiring], targets: list[Targets], graph: Graph) -> list[str]:
    """Remarks about what was noticed and does not change the structure."""
    found = []
    partly = [place for place, wiring in enumerate(wired) if wiring.partly]
    if partly:
        found.append(f"branches {partly} normalise only some of what they read")
    unsure = [i for target in targets for i in target.unsure]
    if unsure:
        names = sorted({n for i in unsure for p in graph[i].parents for n in _leaf_names(graph, p)})
        found.append(f"the rows of {', '.join(names)} could not be told apart")
    return found


def _leaf_names(graph: Graph, node: int) -> list[str]:
    return [graph[p].name for p in graph.parameters_of(node)] if graph.is_weight(node) else []


def uneven(model: nn.Module, views: tuple[TensorView, ...], unread: tuple[str, ...]) -> list[str]:
    """Groups of modules that repeat but do not hold the same number of branches each."""
    found = []
    for path, children in repeated_children(model).items():
        counts: dict[str, set[int]] = {child: set() for child in children}
        owners: dict[int, set[str]] = {}
        for view in views:
            if view.branch is None or not view.fan_in:
                continue
            owner = next((c for c in children if view.parameter.startswith(f"{c}.")), None)
            owners.setdefault(view.branch, set()).add(owner or "")
        for branch, holders in owners.items():
            if len(holders) == 1 and (name := holders.pop()):
                counts[name].add(branch)
        names = [name for name, _ in model.named_parameters()]
        read = {
            child: count
            for child, count in counts.items()
            if any(name.startswith(f"{child}.") and name not in unread for name in names)
        }
        sizes = {len(branches) for branches in read.values()}
        if len(sizes) > 1 and max(sizes) > 0 and len(owners) == sum(map(len, counts.values())):
            listed = ", ".join(f"{name} {len(branches)}" for name, branches in read.items())
            found.append(
                f"the modules in {path or 'the model'} are alike, but their numbers of residual "
                f"additions differ ({listed}); {PASS}"
            )
    return found
