"""Which entries of which parameters stand behind the features of a product.

A product reads a parameter through views, casts, a selection of one expert or layer, or arithmetic
such as weight normalisation. Where it reads the whole parameter in its own memory, axes are told by
their strides. Otherwise the gradient of what it reads tells which entries count.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from numerics.structure.graph import Graph, members
from numerics.structure.operations import PRODUCTS
from numerics.structure.products import Product
from numerics.structure.replay import Replay


@dataclass(frozen=True)
class Selection:
    """Some entries of one parameter, as a block."""

    parameter: int
    """The parameter's node."""
    expert: int | None
    axis: int | None
    rows: tuple[int, ...] | None
    fan_in: int | None = None
    fan_out: int | None = None
    fan_in_axis: int | None = None
    scale: bool = False
    """Whether the entries only scale rows of the weight, as a trained norm of rows does."""


def selections(
    graph: Graph,
    product: Product,
    chosen: Tensor,
    *,
    along: str = "free",
    experts: bool = False,
) -> list[Selection]:
    """The parameter entries behind some features of a product.

    Parameters
    ----------
    graph
        The recorded forward.
    product
        The product that reads them.
    chosen
        Per index along the free (or contracted) axis of the product's weight: whether it is meant.
    along
        ``free`` for features of the result, ``contracted`` for features of the data.
    experts
        Whether a batch of matrices stands for experts, each of which is a selection of its own.
    """
    weight = product.weight
    direct = _direct_axes(graph, product)
    axis = product.free if along == "free" else product.contracted
    if direct is not None:
        parameter, axes = direct
        banks = range(graph[parameter].shape[0]) if experts and product.bank is not None else [None]
        found = []
        for bank in banks:
            whole = bool(chosen.all())
            shift = 0 if bank is None else 1
            fan_axis = axes[product.contracted] - shift
            size = graph[parameter].value
            kernel = _kernel(graph, product)
            found.append(
                Selection(
                    parameter,
                    bank,
                    None if whole else axes[axis] - shift,
                    None if whole else tuple(torch.nonzero(chosen).flatten().tolist()),
                    (size.shape[axes[product.contracted]] if along == "free" else int(chosen.sum()))
                    * kernel,
                    int(chosen.sum()) if along == "free" else size.shape[axes[product.free]],
                    fan_axis,
                )
            )
        return found
    return _by_gradient(graph, product, weight.node, chosen, axis, experts=experts)


def _kernel(graph: Graph, product: Product) -> int:
    """How many positions a convolution sums over."""
    if "conv" not in graph[product.node].name:
        return 1
    shape = product.weight.value.shape
    return int(torch.tensor(shape[2:]).prod()) if len(shape) > 2 else 1


def _direct_axes(graph: Graph, product: Product) -> tuple[int, tuple[int, ...]] | None:
    """The parameter that a product reads whole and in place, and where its axes stand in it."""
    parameters = graph.parameters_of(product.weight.node)
    if len(parameters) != 1:
        return None
    parameter = graph[parameters[0]].value
    weight = product.weight.value
    same_memory = (
        weight.untyped_storage()._cdata == parameter.untyped_storage()._cdata
        and weight.storage_offset() == parameter.storage_offset()
        and weight.numel() == parameter.numel()
    )
    if not same_memory:
        return None
    places = []
    sizes = list(zip(parameter.shape, parameter.stride(), strict=True))
    for size, stride in zip(weight.shape, weight.stride(), strict=True):
        if size == 1:
            places.append(-1)
            continue
        if sizes.count((size, stride)) != 1:
            return None
        places.append(sizes.index((size, stride)))
    if places[product.contracted] < 0 or places[product.free] < 0:
        return None
    return parameters[0], tuple(places)


def _by_gradient(
    graph: Graph, product: Product, node: int, chosen: Tensor, axis: int, *, experts: bool
) -> list[Selection]:
    found = []
    for parameter in graph.parameters_of(node):
        value = graph[parameter].value
        if not value.is_floating_point():
            continue
        banked = experts and product.bank is not None and value.dim() == 3
        same = _same_shape(graph, product, parameter)
        if same is not None:
            whole = _whole(graph, parameter, product, chosen, axis, same)
            found += _of_each(whole, len(value)) if banked else [whole]
            continue
        if through_product(graph, parameter, node):
            continue  # a product of parameters: its own selections tell more
        if value.numel() < product.weight.value.numel() and value.squeeze().dim() < 2:
            found.append(_scale(parameter, value, chosen))
            continue
        mask = entries(graph, parameter, node, axis, chosen)
        if mask is None or not mask.any():
            continue
        free = torch.zeros(product.weight.value.shape[product.free], dtype=torch.bool)
        free[int(torch.nonzero(chosen)[0]) if axis == product.free else 0] = True
        everything = torch.ones_like(chosen)
        read = entries(graph, parameter, node, axis, everything)
        one = entries(graph, parameter, node, product.free, free)
        if banked and one is not None:
            one[1:] = False  # a feature of one expert
        fan_axis, fan_in = _fan(one)
        banks: list[int | None] = [*range(len(value))] if banked else [None]
        for bank in banks:
            found.append(_block(parameter, mask, read, bank, fan_axis, fan_in))
    return found


def _scale(parameter: int, value: Tensor, chosen: Tensor) -> Selection:
    """The entries of a trained norm of rows."""
    if value.numel() != chosen.numel() or bool(chosen.all()):
        return Selection(parameter, None, None, None, scale=True)
    _, axis, rows = block_of(chosen.reshape(value.shape))
    return Selection(parameter, None, axis, rows, scale=True)


def through_product(graph: Graph, parameter: int, node: int) -> bool:
    """Whether a product stands between a parameter and what is made of it."""
    inside = graph.between(parameter, node) & ~(1 << parameter)
    return any(graph[index].name in PRODUCTS for index in members(inside))


def _same_shape(graph: Graph, product: Product, parameter: int) -> tuple[int, ...] | None:
    """The axes of a parameter that has the shape of the weight made of it, or that transposed."""
    weight, value = product.weight.value, graph[parameter].value
    same = value.shape == weight.shape
    turned = value.dim() == 2 and weight.dim() == 2 and value.shape == weight.T.shape
    if same and turned:
        one = torch.zeros(weight.shape[product.free], dtype=torch.bool)
        one[0] = True
        axis, _ = _fan(entries(graph, parameter, product.weight.node, product.free, one))
        turned = axis is not None and axis != product.contracted
        return (1, 0) if turned else (0, 1)
    if same:
        return tuple(range(value.dim()))
    return (1, 0) if turned else None


def _whole(
    graph: Graph,
    parameter: int,
    product: Product,
    chosen: Tensor,
    axis: int,
    axes: tuple[int, ...],
) -> Selection:
    """The rows of a parameter that is normalised, scaled or rounded before it is read."""
    shape = product.weight.value.shape
    count = int(chosen.sum())
    free = axis == product.free
    return Selection(
        parameter,
        None,
        None if bool(chosen.all()) else axes[axis],
        None if bool(chosen.all()) else tuple(torch.nonzero(chosen).flatten().tolist()),
        (shape[product.contracted] if free else count) * _kernel(graph, product),
        count if free else shape[product.free],
        axes[product.contracted],
    )


def _of_each(whole: Selection, experts: int) -> list[Selection]:
    """A selection of a bank as one of each expert, whose tensor has an axis less."""

    def less(axis: int | None) -> int | None:
        return None if axis is None else axis - 1

    return [
        replace(whole, expert=expert, axis=less(whole.axis), fan_in_axis=less(whole.fan_in_axis))
        for expert in range(experts)
    ]


def _fan(one_feature: Tensor | None) -> tuple[int | None, int | None]:
    """The contracted axis and its length, from the entries behind one feature of the result."""
    if one_feature is None or not one_feature.any():
        return None, None
    count = int(one_feature.sum())
    spread = [
        int(one_feature.any(dim=tuple(a for a in range(one_feature.dim()) if a != axis)).sum())
        if one_feature.dim() > 1
        else count
        for axis in range(one_feature.dim())
    ]
    wide = [axis for axis, size in enumerate(spread) if size > 1]
    return (wide[0] if wide else None), count


def entries(
    graph: Graph, parameter: int, node: int, axis: int | None, chosen: Tensor | None
) -> Tensor | None:
    """Which entries of a parameter stand behind the chosen indices along an axis of a weight.

    Without an axis, those behind all of it; ``None`` where no derivative leads there.
    """
    found: Tensor | None = None
    for through_detach in (False, True):  # an estimator may detach what it rounds
        found = _gradient(graph, parameter, node, axis, chosen, through_detach=through_detach)
        if found is not None and bool(found.any()):
            break
    return found


def _gradient(
    graph: Graph,
    parameter: int,
    node: int,
    axis: int | None,
    chosen: Tensor | None,
    *,
    through_detach: bool,
) -> Tensor | None:
    value = graph[parameter].value
    with torch.enable_grad():
        leaf = value.detach().clone().requires_grad_()
        try:
            replay = Replay(graph, {parameter: leaf * 1}, through_detach=through_detach)
            (result,) = replay.run([node])
            if not result.requires_grad:
                return None
            cotangent = torch.ones_like(result)
            if axis is not None and chosen is not None:
                shape = [1] * result.dim()
                shape[axis] = -1
                cotangent = cotangent * chosen.to(result).reshape(shape)
            (gradient,) = torch.autograd.grad(result, leaf, cotangent, allow_unused=True)
        except (RuntimeError, NotImplementedError, IndexError, TypeError):
            return None
    return None if gradient is None else (gradient != 0).cpu()


def block_of(
    mask: Tensor, read: Tensor | None = None
) -> tuple[int | None, int | None, tuple[int, ...] | None]:
    """Expert, axis and rows of some entries of a parameter.

    Parameters
    ----------
    mask
        The entries, as a mask of the parameter's shape.
    read
        All entries that the operation reads: where they lie at one index of the leading axis, that
        index is the expert or the layer of a bank.

    Examples
    --------
    >>> mask = torch.zeros(4, 6, 2, dtype=torch.bool)
    >>> read = mask.clone()
    >>> read[1] = True
    >>> mask[1, :3] = True
    >>> block_of(mask, read)
    (1, 0, (0, 1, 2))
    """
    expert = None
    if read is not None and read.dim() >= 2 and read.shape[0] > 1:
        lead = read.flatten(1).any(1)
        if int(lead.sum()) == 1:
            expert = int(torch.nonzero(lead)[0])
            mask = mask[expert]
    if bool(mask.all()):
        return expert, None, None
    for axis in range(mask.dim()):
        others = tuple(a for a in range(mask.dim()) if a != axis)
        lines = mask.any(dim=others) if others else mask
        if not bool(lines.all()):
            return expert, axis, tuple(torch.nonzero(lines).flatten().tolist())
    return expert, None, None


def _block(
    parameter: int,
    mask: Tensor,
    read: Tensor | None,
    bank: int | None,
    fan_axis: int | None,
    fan_in: int | None,
) -> Selection:
    if bank is not None:
        expert, axis, rows = bank, *block_of(mask[bank])[1:]
    else:
        expert, axis, rows = block_of(mask, read)
    count = int(mask.sum()) if bank is None else int(mask[bank].sum())
    if fan_axis is not None and expert is not None:
        fan_axis -= 1
    return Selection(
        parameter, expert, axis, rows, fan_in, count // fan_in if fan_in else None, fan_axis
    )
