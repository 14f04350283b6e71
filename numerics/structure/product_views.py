"""The views of the parameters of one product: weights, biases, and products of parameters."""

from collections.abc import Collection, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from numerics.structure.assigned import Assigned, is_head, is_input, parameter_names
from numerics.structure.graph import Graph, members
from numerics.structure.products import Product, constant_product
from numerics.structure.targets import Features
from numerics.structure.types import Role, TensorView
from numerics.structure.weights import (
    Selection,
    block_of,
    entries,
    selections,
    through_product,
)


def product_views(known: Assigned, product: Product) -> Iterator[TensorView]:
    """The views of the parameters that one product reads."""
    places = [i for i, b in enumerate(known.branches) if b.own >> product.node & 1]
    if not places:
        yield from _outside_product(known, product)
        return
    if len({known.branches[i].source for i in places}) > 1:
        places = places[:1]  # keys that later layers read again belong to the first
    told: set[str] = set()
    for place in places:
        targets, kind = known.targets[place], known.kinds[place]
        experts = not known.branches[place].attentions and kind != "other"
        columns = targets.columns.get(product.node)
        rows = targets.rows.get(product.node, {})
        if len(places) > 1 and "other" in rows and len(rows) == 1:
            continue
        graph, source = known.parts.graph, known.branches[place].source
        if set(rows) == {"other"} and not graph.reaches(source, product.node):
            yield from _outside_product(
                known, product
            )  # into a memory that this branch alone reads
            return
        for role, chosen in (columns or rows).items():
            along = "contracted" if columns else "free"
            for selection in selections(
                known.parts.graph, product, chosen, along=along, experts=experts
            ):
                view = _view(known, selection, role, place)
                told.add(view.parameter)
                yield view
        if product.bias is not None:
            yield from bias_views(known, product.bias, rows, place)
    role = known.targets[places[0]].role_of(product.node)
    yield from nested_views(known, product.weight.node, places[0], role, told)


def _view(known: Assigned, found: Selection, role: Role, branch: int | None) -> TensorView:
    return TensorView(
        known.parts.graph[found.parameter].name,
        "scalar" if found.scale else role,
        found.axis,
        found.rows,
        found.fan_in,
        found.fan_out,
        found.fan_in_axis,
        branch,
        found.expert,
        role if found.scale else None,
    )


def bias_views(
    known: Assigned, bias: int, rows: Features, branch: int | None
) -> Iterator[TensorView]:
    """The views of a bias, by the roles of the features to which it is added."""
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


def nested_views(
    known: Assigned,
    weight: int,
    branch: int | None,
    role: Role | None = None,
    before: Collection[str] = (),
) -> Iterator[TensorView]:
    """The views of parameters whose product with constants, or with one another, is read.

    Nothing is said of the parameters in `before`. A low-rank update has the role of the weight that
    it changes; what only the scores read tells positions.
    """
    graph = known.parts.graph
    low_rank = role is not None and role != "other"
    if not low_rank:
        inside = branch is not None and "attention" in known.kinds[branch]
        role = "positions" if inside else "other"
    given: Role = role if role is not None else "other"
    told = set(before)
    for index in members(graph.ancestors[weight]):
        nested = constant_product(graph, index)
        if nested is None:
            continue
        everything = torch.ones(graph[index].shape[nested.feature], dtype=torch.bool)
        for found in selections(graph, nested, everything):
            if graph[found.parameter].name in before:
                continue
            told.add(graph[found.parameter].name)
            if low_rank:  # what counts as its fan-in depends on the weight that it changes
                found = replace(found, fan_in=None, fan_out=None, fan_in_axis=None)
            yield _view(known, found, given, branch)
        if nested.bias is not None:
            for name in parameter_names(graph, nested.bias):
                told.add(name)
                yield TensorView(name, "bias", branch=branch, part=given)
    for leaf in graph.parameters_of(weight):
        if graph[leaf].name not in told and through_product(graph, leaf, weight):
            yield TensorView(graph[leaf].name, given, branch=branch)


def _outside_product(known: Assigned, product: Product) -> Iterator[TensorView]:
    graph = known.parts.graph
    role: Role = "other"
    if is_head(known, product.node):
        role = "head"
    elif is_input(known, product):
        role = "embedding"
    told: set[str] = set()
    everything = torch.ones(graph[product.node].shape[product.feature], dtype=torch.bool)
    for selection in selections(graph, product, everything):
        view = _view(known, selection, role, None)
        told.add(view.parameter)
        yield view
    yield from nested_views(known, product.weight.node, None, role, told)
    if product.bias is not None:
        yield from bias_views(known, product.bias, {role: everything}, None)
