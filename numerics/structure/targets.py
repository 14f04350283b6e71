"""What the features of each product in a branch are for: q, k, v, gate, into or out of the MLP."""

from dataclasses import dataclass

import torch
from torch import Tensor

from numerics.structure.attention import AttentionCall
from numerics.structure.branch_nodes import BranchNodes, GraphParts
from numerics.structure.graph import Graph, Ref, members
from numerics.structure.operations import CHOICES, LINEAR_POINTWISE, words
from numerics.structure.products import Product
from numerics.structure.replay import changed, dependence, features
from numerics.structure.types import Role

SCORE_FUNCTIONS = CHOICES | words("exp sigmoid relu softplus elu tanh _safe_softmax pow")
"""Functions that make weights of scores."""
Features = dict[Role, Tensor]
"""By role, a mask of the features of a product's result that play it."""


@dataclass(frozen=True)
class Targets:
    """The roles of one branch's products."""

    rows: dict[int, Features]
    """The roles of the features of each product's result."""
    columns: dict[int, Features]
    """The roles of the features of the data of each product that writes into the stream and reads
    both attention and MLP."""
    gated: bool
    unsure: tuple[int, ...] = ()
    """Products whose features could not be told apart."""

    def role_of(self, product: int) -> Role | None:
        """The only role of a product, ``None`` where it has several."""
        found = self.columns.get(product) or self.rows.get(product, {})
        return next(iter(found)) if len(found) == 1 else None


def find_targets(parts: GraphParts, branch: BranchNodes) -> Targets:
    """The roles of the products of a branch."""
    graph = parts.graph
    branch.attentions = _confirmed(graph, branch)
    nodes = 0
    for index in branch.products:
        nodes |= 1 << index
    routers = _routers(graph, branch, nodes)
    unsure: list[int] = []
    rows: dict[int, Features] = {}
    columns: dict[int, Features] = {}
    for index in routers:
        rows[index] = {"other": _all(graph, branch.products[index])}
    plain = {i: p for i, p in branch.products.items() if i not in routers}
    wanted: dict[int, list[tuple[Role, int, int]]] = {i: [] for i in plain}
    results = 0
    for attention in branch.attentions:
        results |= 1 << attention.output
    for attention in branch.attentions:
        for role, operand in attention.operands:
            reach = graph.walk_back(operand, results | ~branch.own)
            for index in plain:
                if reach >> index & 1:
                    wanted[index].append((role, operand, results))
    final = _finals(graph, branch, plain)
    bypass = graph.walk_back(branch.output, results | ~branch.own)
    after = 0
    for attention in branch.attentions:
        after |= graph.descendants[attention.output]
    gates: list[tuple[Role, int]] = []
    inner = {i: p for i, p in plain.items() if bypass >> i & 1 and not after >> i & 1}
    if inner:
        first = [i for i in inner if not _below(graph, branch, i, inner)]
        gates = _find_gates(graph, branch, plain, first, after)
        for index in first:
            if index in final:
                continue
            for role, operand in gates:
                if graph.walk_back(operand, ~branch.own) >> index & 1:
                    wanted[index].append((role, operand, results))
            if not any(role in ("gate", "w_in") for role, _, _ in wanted[index]):
                wanted[index].append(("w_in", branch.output, results))
    gating = _gating_finals(graph, branch, final, plain)
    for index, product in plain.items():
        if index in gating:
            only: Role = "gate" if graph[index].shape[product.feature] > 1 else "other"
            rows[index] = {only: _all(graph, product)}
        elif index in final:
            rows[index], split = _final_roles(graph, branch, product, after, bool(inner), index)
            if split:
                columns[index] = split
        elif after >> index & 1:
            rows[index] = {"other": _all(graph, product)}
        else:
            rows[index], sure = _split(graph, branch, product, wanted[index])
            if not sure:
                unsure.append(index)
    return Targets(rows, columns, bool(gates), tuple(unsure))


def _confirmed(graph: Graph, branch: BranchNodes) -> list[AttentionCall]:
    """The attentions with a softmax or the like, or with features of their own for q, k and v.

    Two products of activations with nothing but scales between them may be the scan of a state
    space. If one of several such pairs is no attention, none of them is taken for one.
    """
    certain = [a for a in branch.attentions if _has_softmax(graph, a)]
    rest = [a for a in branch.attentions if a not in certain]
    if all(_is_separate(graph, branch, attention) for attention in rest):
        return branch.attentions
    return certain


def _has_softmax(graph: Graph, attention: AttentionCall) -> bool:
    if attention.scores == attention.output:
        return True
    inside = graph.between(attention.scores, attention.output) & ~(1 << attention.output)
    return bool({graph[i].name for i in members(inside)} & SCORE_FUNCTIONS)


def _is_separate(graph: Graph, branch: BranchNodes, attention: AttentionCall) -> bool:
    for index, product in branch.products.items():
        operands = [p for p in (attention.q, attention.k, attention.v) if graph.reaches(index, p)]
        masks = [m for m in dependence(graph, index, operands) if m is not None]
        chosen = [features(mask, product.feature).int() for mask in masks]
        if len(chosen) > 1 and bool((torch.stack(chosen).sum(0) > 1).any()):
            return False
    return True


def _all(graph: Graph, product: Product) -> Tensor:
    return torch.ones(graph[product.node].shape[product.feature], dtype=torch.bool)


def _routers(graph: Graph, branch: BranchNodes, products: int) -> set[int]:
    """Products whose results choose experts."""
    found = set()
    inside = 0
    for attention in branch.attentions:
        inside |= graph.between(attention.scores, attention.output)
    for index in members(branch.own & ~inside):
        if graph[index].name not in CHOICES or not _chooses(graph, index):
            continue
        reach = graph.walk_back(index, products | ~branch.own)
        for parent in members(reach):
            found |= {p for p in graph[parent].parents if products >> p & 1}
    return {
        index
        for index in found
        if not any(graph.reaches(index, a.scores) for a in branch.attentions)
    }


def _chooses(graph: Graph, index: int) -> bool:
    """Whether a maximum tells where it stands, and not only how large it is."""
    if graph[index].name != "max":
        return True
    return any(
        isinstance(arg, Ref) and arg.node == index and arg.output == 1
        for child in graph.children[index]
        for arg in graph[child].args
    )


def _finals(graph: Graph, branch: BranchNodes, plain: dict[int, Product]) -> set[int]:
    """Products from which a path without another product leads to the branch's end."""
    if branch.output in plain:
        return {branch.output}
    stops = 0
    for index in branch.products:
        stops |= 1 << index
    for attention in branch.attentions:
        stops |= 1 << attention.output | 1 << attention.scores
    reach = graph.walk_back(branch.output, stops | ~branch.own)
    found = {index for index in plain if reach >> index & 1}
    for index in members(reach):
        found |= {parent for parent in graph[index].parents if parent in plain}
    return found


def _gating_finals(
    graph: Graph, branch: BranchNodes, final: set[int], plain: dict[int, Product]
) -> set[int]:
    """Products that read the stream and multiply what another product writes into it."""
    first = {i for i in final if not any(j != i and graph.reaches(j, i) for j in plain)}
    others = final - first
    if not first or not others:
        return set()
    found = set()
    for index in members(branch.own & graph.ancestors[branch.output]):
        node = graph[index]
        operands = [p for p in dict.fromkeys(node.parents) if graph.is_signal(p)]
        if node.name != "mul" or len(operands) != 2:
            continue
        for gate, value in (operands, operands[::-1]):
            if any(graph.reaches(i, value) for i in others):
                found |= {i for i in first if graph.reaches(i, gate)}
    return found


def _below(graph: Graph, branch: BranchNodes, index: int, inner: dict[int, Product]) -> list[int]:
    return [
        other
        for other in inner
        if other != index and graph.reaches(other, index) and branch.own >> other & 1
    ]


def _find_gates(
    graph: Graph,
    branch: BranchNodes,
    plain: dict[int, Product],
    first: list[int],
    after: int,
) -> list[tuple[Role, int]]:
    """The operands of the products entry by entry that gate, each with its role.

    A gate is followed by another product, as a router's weight on an expert's output is not.
    """
    found: list[tuple[Role, int]] = []
    for index in members(branch.own & graph.ancestors[branch.output]):
        node = graph[index]
        operands = [p for p in dict.fromkeys(node.parents) if graph.is_signal(p)]
        later = any(graph.reaches(index, i) and graph.reaches(i, branch.output) for i in plain)
        if node.name != "mul" or len(operands) != 2 or not later:
            continue
        reach = [{i for i in first if graph.reaches(i, p)} for p in operands]
        of_values = [bool(after >> p & 1) for p in operands]
        if any(of_values):
            if sum(of_values) == 1 and reach[of_values.index(False)]:
                found.append(("gate", operands[of_values.index(False)]))
            continue
        if not all(reach):
            continue
        both = reach[0] & reach[1]
        if both and not (reach[0] == reach[1] and _disjoint(graph, both, operands, plain)):
            continue
        found += _which_gates(graph, branch, operands, plain)
    return found


def _disjoint(
    graph: Graph, sources: set[int], operands: list[int], inner: dict[int, Product]
) -> bool:
    """Whether two operands depend on different features of the products that both read."""
    for index in sources:
        masks = dependence(graph, index, operands)
        if any(mask is None for mask in masks):
            return False
        axis = inner[index].feature
        first, second = (features(mask, axis) for mask in masks if mask is not None)
        if bool((first & second).any()):
            return False
    return True


def _which_gates(
    graph: Graph, branch: BranchNodes, operands: list[int], inner: dict[int, Product]
) -> list[tuple[Role, int]]:
    """Tell the gate from what it multiplies: the gate passes the activation function.

    Where both operands pass one, the gate is the one with a sigmoid, or the one with the shorter
    path. Where neither does, there is no gate.
    """
    stops = 0
    for index in inner:
        stops |= 1 << index
    paths = [graph.walk_back(p, stops | ~branch.own) for p in operands]
    names = [[graph[i].name for i in members(path)] for path in paths]
    active = [
        any(graph[i].pointwise and graph[i].name not in LINEAR_POINTWISE for i in members(path))
        for path in paths
    ]
    if not any(active):
        return [("w_in", operands[0]), ("w_in", operands[1])]
    if all(active):
        sigmoid = ["sigmoid" in found for found in names]
        shorter = len(names[0]) <= len(names[1])
        at = sigmoid.index(True) if sum(sigmoid) == 1 else 0 if shorter else 1
    else:
        at = active.index(True)
    return [("gate", operands[at]), ("w_in", operands[1 - at])]


def _split(
    graph: Graph,
    branch: BranchNodes,
    product: Product,
    wanted: list[tuple[Role, int, int]],
) -> tuple[Features, bool]:
    """The roles of the features of a product that is not the last of its branch."""
    everything = _all(graph, product)
    roles = {role for role, _, _ in wanted}
    if not roles:
        return {"other": everything}, True
    if len(roles) == 1:
        return {wanted[0][0]: everything}, True
    masks: Features = {}
    for role, operand, stops in wanted:
        (mask,) = dependence(graph, product.node, [operand], stops & ~(1 << operand))
        if mask is None:
            return {"other": everything}, False
        chosen = features(mask, product.feature)
        masks[role] = masks[role] | chosen if role in masks else chosen
    if branch.attentions and "gate" in masks:  # the sum that normalises attention is no gate
        for role in ("q", "k", "v"):
            if role in masks:
                masks["gate"] = masks["gate"] & ~masks[role]
    count = sum(mask.int() for mask in masks.values())
    direct = len(branch.attentions) == 1 and _reads_directly(graph, branch, product, wanted)
    if not branch.attentions and "gate" in masks and "w_in" in masks:
        masks["gate"] = masks["gate"] & ~masks["w_in"]
        count = sum(mask.int() for mask in masks.values())
    found: Features = {}
    for role, mask in masks.items():
        alone = mask & (count == 1)
        if direct:
            alone = mask  # a tensor that is both k and v plays both roles
        if bool(alone.any()):
            found[role] = alone
    covered = sum(found.values(), torch.zeros_like(everything)) > 0
    if not bool(covered.all()):
        found["other"] = ~covered
    return found, True


def _reads_directly(
    graph: Graph, branch: BranchNodes, product: Product, wanted: list[tuple[Role, int, int]]
) -> bool:
    """Whether a product serves what it is asked about without another product between."""
    stops = 0
    for index in branch.products:
        if index != product.node:
            stops |= 1 << index
    return all(
        graph.walk_back(operand, (stops | ~branch.own) & ~(1 << operand)) >> product.node & 1
        and not any(
            other != product.node
            and graph.reaches(product.node, other)
            and graph.reaches(other, operand)
            for other in branch.products
        )
        for _, operand, _ in wanted
    )


def _final_roles(
    graph: Graph,
    branch: BranchNodes,
    product: Product,
    after: int,
    has_inner: bool,
    index: int,
) -> tuple[Features, Features]:
    everything = _all(graph, product)
    if not after >> index & 1:
        return {"w_out": everything}, {}
    if not has_inner:
        return {"out": everything}, {}
    length = product.weight.value.shape[product.contracted]
    from_attention = torch.zeros(length, dtype=torch.bool)
    axis = _data_axis(graph, product, length)
    for attention in branch.attentions:
        mask = changed(graph, attention.output, product.data)
        if mask is None or axis is None:
            return {"out": everything}, {}
        from_attention |= features(mask, axis)
    if bool(from_attention.all()):
        return {"out": everything}, {}
    return {"out": everything}, {"out": from_attention, "w_out": ~from_attention}


def _data_axis(graph: Graph, product: Product, length: int) -> int | None:
    shape = graph[product.data].shape
    axes = [axis for axis, size in enumerate(shape) if size == length]
    return axes[-1] if axes else None
