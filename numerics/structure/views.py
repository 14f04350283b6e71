"""The roles of a model's parameters, as views: packed, stacked, transposed or plain."""

from collections.abc import Iterable, Iterator

from numerics.structure.assigned import (
    LOOKUPS,
    Assigned,
    parameter_names,
    part_below,
    product_below,
)
from numerics.structure.graph import Graph, Node, Ref, members
from numerics.structure.norms import TracedNorm
from numerics.structure.product_views import bias_views, nested_views, product_views
from numerics.structure.products import innermost_product
from numerics.structure.steps import signals
from numerics.structure.types import Role, TensorView
from numerics.structure.weights import block_of, entries


def parameter_views(known: Assigned) -> tuple[TensorView, ...]:
    """Every view of every parameter that the forward reads, in the order of reading."""
    found: dict[TensorView, None] = {}
    graph = known.parts.graph
    for node in graph.nodes:
        if not graph.reads_input(node.index) or node.origin != "operation":
            continue
        for view in _views_at(known, node):
            found.setdefault(view)
    for leaf in members(graph.parameter_bits & graph.roots):
        found.setdefault(TensorView(graph[leaf].name, "embedding"))
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
        yield from product_views(known, product)
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


def _norm_views(known: Assigned, norm: TracedNorm) -> Iterator[TensorView]:
    graph = known.parts.graph
    branch = known.on_stream.get(norm.output, known.branch_of(norm.core))
    part = part_below(known, norm.input) if branch is not None else None
    affine: tuple[tuple[int | None, Role], ...] = (
        (norm.gain, "norm_gain"),
        (norm.bias, "norm_bias"),
    )
    for node, role in affine:
        if node is None:
            continue
        for name in parameter_names(graph, node):
            yield TensorView(name, role, branch=branch, part=part)


def _plain_views(known: Assigned, node: Node, weight: int) -> Iterator[TensorView]:
    graph = known.parts.graph
    branch = known.branch_of(node.index)
    if branch is None:
        branch = _on_shortcut(known, node.index)
    nested = innermost_product(graph, weight)
    if nested is not None:  # relative positions: a product of parameters and constants
        yield from nested_views(known, weight, branch)
        return
    role, part = _plain_role(known, node, weight)
    below = product_below(known, node.index) if role == "bias" and branch is not None else None
    if below is not None and branch is not None:
        rows = known.targets[branch].rows.get(below, {})
        sizes = {chosen.numel() for chosen in rows.values()}
        if sizes == {graph[weight].numel}:
            yield from bias_views(known, weight, rows, branch)
            return
    for leaf in graph.parameters_of(weight):
        fan_out = graph[weight].shape[-1] if role == "embedding" and graph[weight].shape else None
        axis = rows = expert = None
        if role == "scalar" and graph[weight].numel < graph[leaf].numel:
            read = entries(graph, leaf, weight, None, None)
            if read is not None and bool(read.any()):
                lead = read.dim() > 1 and int(read.flatten(1).any(1).sum()) == 1
                expert, axis, rows = block_of(read, read if lead else None)
        name = graph[leaf].name
        yield TensorView(
            name, role, axis, rows, fan_out=fan_out, branch=branch, expert=expert, part=part
        )


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
            return "bias", part_below(known, node.index)
        if _one_row(graph, weight):
            return "embedding", None
        wide = sum(size > 1 for size in graph[weight].shape) > 1
        if not wide and graph[weight].numel >= 1:
            return "bias", part_below(known, node.index)
        return "positions", None
    if node.name in ("mul", "div"):
        return "scalar", part_below(known, signals(graph, node)[0]) if signals(
            graph, node
        ) else None
    return "other", None


def _lookup_role(graph: Graph, node: Node, weight: int) -> Role:
    """The role of a table: positions if rows are looked up by counting, else embeddings."""
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
