"""Products with parameters and products of two activations, and which axis each one sums over."""

from dataclasses import dataclass

from numerics.structure.graph import Graph, Node, Ref, members
from numerics.structure.operations import PRODUCTS


@dataclass(frozen=True)
class Product:
    """One product of an activation with a parameter, or with a tensor made of parameters alone."""

    node: int
    weight: Ref
    """The parameter's side, as the operation reads it."""
    data: int
    """The node of the activation."""
    contracted: int
    """The axis of `weight` that is summed over."""
    free: int
    """The axis of `weight` that makes the features of the result."""
    feature: int
    """The axis of the result that holds those features."""
    bank: int | None = None
    """The axis of `weight` along which several matrices stand, one for each part of the data."""
    bias: int | None = None
    """The node of a bias added by the same operation."""


@dataclass(frozen=True)
class Mixing:
    """One product of two activations."""

    node: int
    first: Ref
    second: Ref


def find_products(graph: Graph) -> tuple[dict[int, Product], dict[int, Mixing]]:
    """All products of a forward, by their nodes."""
    products: dict[int, Product] = {}
    mixings: dict[int, Mixing] = {}
    for node in graph.nodes:
        if node.name not in PRODUCTS or not graph.reads_input(node.index):
            continue
        refs = [arg for arg in node.args if isinstance(arg, Ref)]
        with_bias = node.name in ("addmm", "baddbmm", "addmv")
        if len(refs) < 2 + with_bias:
            continue
        bias = refs[0].node if with_bias else None
        first, second = refs[1:3] if with_bias else refs[:2]
        if node.name in ("convolution", "_convolution", "linear") and len(refs) > 2:
            bias = refs[2].node
        if bias is not None and not graph.is_weight(bias):
            bias = None
        weights = [graph.is_weight(ref.node) for ref in (first, second)]
        signals = [graph.is_signal(ref.node) for ref in (first, second)]
        if all(signals):
            mixings[node.index] = Mixing(node.index, first, second)
        elif weights == [False, True] and signals[0]:
            products[node.index] = _second(node, first, second, bias)
        elif weights == [True, False] and signals[1]:
            products[node.index] = _first(node, first, second, bias)
    return products, mixings


def constant_product(graph: Graph, index: int) -> Product | None:
    """The product of parameters with constants, or with one another, that a node computes.

    Of two parameters the one on the right is taken as the weight.
    """
    node = graph[index]
    if node.name not in PRODUCTS or not graph.is_weight(index):
        return None
    refs = [arg for arg in node.args if isinstance(arg, Ref)]
    with_bias = node.name in ("addmm", "baddbmm", "addmv")
    if len(refs) < 2 + with_bias:
        return None
    bias = refs[0].node if with_bias else None
    first, second = refs[1:3] if with_bias else refs[:2]
    if node.name in ("convolution", "_convolution", "linear") and len(refs) > 2:
        bias = refs[2].node
    if graph.reads_parameter(second.node):
        return _second(node, first, second, bias)
    return _first(node, first, second, bias)


def innermost_product(graph: Graph, weight: int) -> int | None:
    """The first product from which a parameter's side of an operation comes."""
    for index in members(graph.ancestors[weight]):
        if graph[index].name in PRODUCTS and graph.is_weight(index):
            return index
    return None


def _second(node: Node, data: Ref, weight: Ref, bias: int | None) -> Product:
    """A product whose parameter stands on the right."""
    if node.name in ("convolution", "_convolution", "conv1d", "conv2d"):
        transposed = len(node.args) > 6 and bool(node.args[6])
        contracted, free = (0, 1) if transposed else (1, 0)
        return Product(node.index, weight, data.node, contracted, free, 1, None, bias)
    if node.name in ("linear", "mkldnn_linear"):
        return Product(node.index, weight, data.node, 1, 0, len(node.shape) - 1, None, bias)
    axes = weight.value.dim()
    bank = _bank(weight) if axes == 3 else None
    last = len(node.shape) - 1
    return Product(node.index, weight, data.node, axes - 2, axes - 1, last, bank, bias)


def _first(node: Node, weight: Ref, data: Ref, bias: int | None) -> Product:
    """A product whose parameter stands on the left."""
    axes = weight.value.dim()
    bank = _bank(weight) if axes == 3 else None
    feature = len(node.shape) - (1 if node.name in ("mv", "addmv") else 2)
    return Product(node.index, weight, data.node, axes - 1, axes - 2, feature, bank, bias)


def _bank(weight: Ref) -> int | None:
    """Axis 0 of a batch of matrices, unless one matrix is repeated along it."""
    repeated = weight.value.shape[0] == 1 or weight.value.stride(0) == 0
    return None if repeated else 0
