"""The roles of a model's parameters, as views: packed, stacked, transposed or plain."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from numerics.structure.branch_nodes import BranchNodes, Parts
from numerics.structure.graph import Graph, Node, Ref, members
from numerics.structure.norms import Norm
from numerics.structure.operations import words
from numerics.structure.products import Product, constant_product, innermost_product
from numerics.structure.steps import plain_step, signals
from numerics.structure.streams import Streams
from numerics.structure.targets import Features, Targets
from numerics.structure.types import Kind, Role, TensorView
from numerics.structure.weights import Selection, block_of, entries, selections

LOOKUPS = words("embedding index index_select gather embedding_bag _embedding_bag")


@dataclass(frozen=True)
class Assigned:
    """What is known of the branches when roles are given."""

    parts: Parts
    streams: Streams
    branches: list[BranchNodes]
    targets: list[Targets]
    kinds: list[Kind]
    on_stream: dict[int, int]
    """Per output of a norm on the stream: the branch after whose addition it stands."""

    def branch_of(self, node: int) -> int | None:
        """The first branch to whose own operations a node belongs."""
        for place, branch in enumerate(self.branches):
            if branch.own >> node & 1:
                return place
        return None


def parameter_views(known: Assigned) -> tuple[TensorView, ...]:
    """Every view of every parameter that the forward reads, in the order of reading."""
    found: dict[TensorView, None] = {}
    graph = known.parts.graph
    for node in graph.nodes:
        if not graph.reads_input(node.index) or node.origin != "operation":
            continue
        for view in _views_at(known, node):
            found.setdefault(view)
    seen = {view.parameter for view in found}
    for leaf in members(graph.parameter_bits):
        if graph[leaf].name not in seen:
            found.setdefault(TensorView(graph[leaf].name, "other"))
    return _without_repeats(found)


def _without_repeats(found: Iterable[TensorView]) -> tuple[TensorView, ...]:
    """Drop what says "other" about a parameter whose role another reading tells."""
    views = list(found)
    told = {(v.parameter, v.branch) for v in views if v.role != "other"}
    kept = [
        v
        for v in views
        if v.role != "other" or v.axis is not None or (v.parameter, v.branch) not in told
    ]
    return tuple(kept)


def _views_at(known: Assigned, node: Node) -> Iterator[TensorView]:
    parts = known.parts
    graph = parts.graph
    norm = next((n for n in parts.norms if n.core == node.index), None)
    if norm is not None:
        yield from _norm_views(known, norm)
        if node.name not in ("mul", "div"):
            return
    product = parts.products.get(node.index)
    if product is not None:
        yield from _product_views(known, product)
        return
    affine = {n for norm in parts.norms for n in (norm.gain, norm.bias) if n is not None}
    for ref in [arg for arg in (*node.args, *node.kwargs.values()) if isinstance(arg, Ref)]:
        if not graph.is_weight(ref.node) or ref.node in affine:
            continue
        yield from _plain_views(known, node, ref.node)
    listed = {p for arg in node.args if not isinstance(arg, Ref) for p in _refs(arg)}
    for parent in listed:  # the members of a concatenation
        if graph.is_weight(parent):
            yield from _plain_views(known, node, parent)


def _refs(value: object) -> list[int]:
    if isinstance(value, Ref):
        return [value.node]
    return [p for v in value for p in _refs(v)] if isinstance(value, (list, tuple)) else []


def _names(graph: Graph, node: int) -> list[str]:
    return [graph[leaf].name for leaf in graph.parameters_of(node)]


# --- norms ---------------------------------------------------------------------------------------


def _norm_views(known: Assigned, norm: Norm) -> Iterator[TensorView]:
    graph = known.parts.graph
    branch = known.on_stream.get(norm.output, known.branch_of(norm.core))
    part = _part_below(known, norm.input) if branch is not None else None
    for node, role in ((norm.gain, "norm_gain"), (norm.bias, "norm_bias")):
        if node is None:
            continue
        for name in _names(graph, node):
            yield TensorView(name, role, branch=branch, part=part)


def _part_below(known: Assigned, node: int) -> Role | None:
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
    return _role_of(known, node, start)


def _role_of(known: Assigned, product: int, reader: int) -> Role | None:
    """The role of a product's features that arrive at a node further on."""
    graph = known.parts.graph
    place = known.branch_of(product)
    if place is None:
        return "head" if _is_head(known, product) else None
    targets, branch = known.targets[place], known.branches[place]
    only = targets.role_of(product)
    if only is not None:
        return only
    for attention in branch.attentions:
        for role, operand in (("q", attention.q), ("k", attention.k), ("v", attention.v)):
            if role in targets.rows.get(product, {}) and graph.reaches(reader, operand):
                return role
    return None


# --- products ------------------------------------------------------------------------------------


def _product_views(known: Assigned, product: Product) -> Iterator[TensorView]:
    places = [i for i, b in enumerate(known.branches) if b.own >> product.node & 1]
    if not places:
        yield from _outside_product(known, product)
        return
    if innermost_product(known.parts.graph, product.weight.node) is not None:
        yield from _nested_views(known, product.weight.node, places[0])
        return
    if len({known.branches[i].source for i in places}) > 1:
        places = places[:1]  # keys that later layers read again belong to the first
    for place in places:
        targets, kind = known.targets[place], known.kinds[place]
        experts = not known.branches[place].attentions and kind != "other"
        columns = targets.columns.get(product.node)
        rows = targets.rows.get(product.node, {})
        if len(places) > 1 and "other" in rows and len(rows) == 1:
            continue
        for role, chosen in (columns or rows).items():
            along = "contracted" if columns else "free"
            for selection in selections(
                known.parts.graph, product, chosen, along=along, experts=experts
            ):
                yield _view(known, selection, role, place)
        if product.bias is not None:
            yield from _bias_views(known, product.bias, rows, place)


def _view(known: Assigned, found: Selection, role: Role, branch: int | None) -> TensorView:
    return TensorView(
        known.parts.graph[found.parameter].name,
        role,
        found.axis,
        found.rows,
        found.fan_in,
        found.fan_out,
        found.fan_in_axis,
        branch,
        found.expert,
    )


def _bias_views(
    known: Assigned, bias: int, rows: Features, branch: int | None
) -> Iterator[TensorView]:
    graph = known.parts.graph
    for leaf in graph.parameters_of(bias):
        for role, chosen in rows.items():
            mask = _bias_mask(graph, leaf, bias, chosen)
            if mask is None:
                yield TensorView(graph[leaf].name, "bias", branch=branch, part=role)
                continue
            if not bool(mask.any()):
                continue
            everything = torch.ones_like(chosen)
            expert, axis, picked = block_of(mask, _bias_mask(graph, leaf, bias, everything))
            count = int(mask.sum())
            yield TensorView(
                graph[leaf].name,
                "bias",
                axis,
                picked,
                fan_out=count,
                branch=branch,
                expert=expert,
                part=role,
            )


def _bias_mask(graph: Graph, leaf: int, bias: int, chosen: Tensor) -> Tensor | None:
    value = graph[leaf].value
    if leaf == bias and value.numel() == chosen.numel():
        return chosen.reshape(value.shape)
    shape = graph[bias].shape
    if not shape or shape[-1] != chosen.numel():
        return None
    return entries(graph, leaf, bias, len(shape) - 1, chosen)


def _nested_views(known: Assigned, weight: int, branch: int | None) -> Iterator[TensorView]:
    """The views of parameters whose product with constants, or with one another, is read."""
    graph = known.parts.graph
    inside = branch is not None and "attention" in known.kinds[branch]
    role: Role = "positions" if inside else "other"
    told: set[str] = set()
    for index in members(graph.ancestors[weight]):
        nested = constant_product(graph, index)
        if nested is None:
            continue
        everything = torch.ones(graph[index].shape[nested.feature], dtype=torch.bool)
        for found in selections(graph, nested, everything):
            told.add(graph[found.parameter].name)
            yield _view(known, found, role, branch)
        if nested.bias is not None:
            for name in _names(graph, nested.bias):
                told.add(name)
                yield TensorView(name, "bias", branch=branch, part=role)
    for name in _names(graph, weight):
        if name not in told:
            yield TensorView(name, role, branch=branch)


def _outside_product(known: Assigned, product: Product) -> Iterator[TensorView]:
    graph = known.parts.graph
    role: Role = "other"
    if _is_head(known, product.node):
        role = "head"
    elif _is_input(known, product):
        role = "embedding"
    if innermost_product(graph, product.weight.node) is not None:
        yield from _nested_views(known, product.weight.node, None)
        return
    everything = torch.ones(graph[product.node].shape[product.feature], dtype=torch.bool)
    for selection in selections(graph, product, everything):
        yield _view(known, selection, role, None)
    if product.bias is not None:
        yield from _bias_views(known, product.bias, {role: everything}, None)


def _is_head(known: Assigned, product: int) -> bool:
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


def _is_input(known: Assigned, product: Product) -> bool:
    """Whether a product reads numbers of the batch, and what it gives becomes a stream."""
    graph = known.parts.graph
    below = graph.ancestors[product.data]
    if any(below >> other & 1 for other in known.parts.products):
        return False
    if any(graph[i].name in LOOKUPS and graph.is_signal(i) for i in members(below)):
        return False
    return any(graph.reaches(product.node, c.additions[0].source) for c in known.streams.chains)


# --- everything else -----------------------------------------------------------------------------


def _plain_views(known: Assigned, node: Node, weight: int) -> Iterator[TensorView]:
    graph = known.parts.graph
    branch = known.branch_of(node.index)
    if branch is None:
        branch = _on_shortcut(known, node.index)
    nested = innermost_product(graph, weight)
    if nested is not None:  # relative positions: a product of parameters and constants
        yield from _nested_views(known, weight, branch)
        return
    role, part = _plain_role(known, node, weight)
    below = _product_below(known, node.index) if role == "bias" and branch is not None else None
    if below is not None and branch is not None:
        rows = known.targets[branch].rows.get(below, {})
        sizes = {chosen.numel() for chosen in rows.values()}
        if sizes == {graph[weight].numel}:
            yield from _bias_views(known, weight, rows, branch)
            return
    for name in _names(graph, weight):
        fan_out = graph[weight].shape[-1] if role == "embedding" and graph[weight].shape else None
        yield TensorView(name, role, fan_out=fan_out, branch=branch, part=part)


def _on_shortcut(known: Assigned, node: int) -> int | None:
    """The branch whose shortcut, or whose sum, a multiplier stands on."""
    for place, branch in enumerate(known.branches):
        at = branch.addition.skip
        for step in branch.addition.shortcut:
            if at == node:
                return place
            at = step.to
    return None


def _plain_role(known: Assigned, node: Node, weight: int) -> tuple[Role, Role | None]:
    graph = known.parts.graph
    if node.name in LOOKUPS:
        return _lookup_role(graph, node, weight), None
    branch = known.branch_of(node.index)
    if node.name in ("cat", "stack", "where", "index_put", "copy", "masked_fill", "expand"):
        return ("embedding" if branch is None else "other"), None
    if node.fused_attention:
        return "positions", None  # a bias on the scores
    if node.name in ("add", "sub", "rsub"):
        if branch is not None and "attention" not in known.kinds[branch]:
            return "bias", _part_below(known, node.index)
        if _one_row(graph, weight):
            return "embedding", None
        wide = sum(size > 1 for size in graph[weight].shape) > 1
        if not wide and graph[weight].numel >= 1:
            return "bias", _part_below(known, node.index)
        return "positions", None
    if node.name in ("mul", "div"):
        return "scalar", _part_below(known, signals(graph, node)[0]) if signals(
            graph, node
        ) else None
    return "other", None


def _lookup_role(graph: Graph, node: Node, weight: int) -> Role:
    """Rows looked up by counting are positions; by ids of the batch they are embeddings."""
    if _one_row(graph, node.index):
        return "embedding"
    indices = [p for p in node.parents if p != weight]
    for index in indices:
        names = {graph[i].name for i in members(graph.ancestors[index])}
        if names & {"cumsum", "arange", "bucketize", "searchsorted"}:
            return "positions"
    return "embedding"


def _one_row(graph: Graph, weight: int) -> bool:
    """Whether a table is read at one and the same row everywhere, as for segment 0."""
    for index in members(graph.ancestors[weight]):
        node = graph[index]
        if node.name in LOOKUPS and len(node.args) > 1 and isinstance(node.args[1], Ref):
            rows = node.args[1].value
            if rows.numel() > 1 and bool((rows == rows.flatten()[0]).all()):
                return True
    return False


def _product_below(known: Assigned, node: int) -> int | None:
    """The product to which a bias is added."""
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
