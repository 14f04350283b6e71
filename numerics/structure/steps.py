"""One step back along a signal: through a view, a mask, a multiplier, a norm or an added constant.

The shortcut of a residual addition and the stream between two additions consist of such steps.
"""

from dataclasses import dataclass
from typing import Any

import torch

from numerics.structure.graph import Graph, Node, Ref
from numerics.structure.norms import TracedNorm
from numerics.structure.operations import MOVES, RESAMPLES


@dataclass(frozen=True)
class BackwardStep:
    """One step back."""

    to: int
    factor: float | None = 1.0
    """What the signal was multiplied by; ``None`` for a parameter or a factor that differs by
    entry."""
    weights: tuple[int, ...] = ()
    """Nodes of the parameters that were multiplied or added."""
    norm: TracedNorm | None = None
    resampled: bool = False
    """Whether positions were taken, joined or pooled."""


def signals(graph: Graph, node: Node) -> list[int]:
    """The activations among a node's parents, in the order of its arguments."""
    return [p for p in dict.fromkeys(node.parents) if graph.is_signal(p)]


def plain_step(graph: Graph, index: int) -> BackwardStep | None:
    """Back through a view, a mask or a multiplier; ``None`` where the node is none of them."""
    node = graph[index]
    if node.origin != "operation":
        return None
    parents = signals(graph, node)
    if node.name in MOVES:
        if node.name in ("copy", "written") and len(node.parents) > 1:
            parents = parents[-1:]
        if len(parents) == 1 and graph[parents[0]].numel == node.numel:
            return BackwardStep(parents[0])
        return None
    if node.name in ("mul", "div"):
        return _multiplied(graph, node, parents)
    if node.name == "neg":
        return BackwardStep(parents[0], -1.0)
    if node.name in ("masked_fill", "where"):
        kept = [p for p in parents if graph[p].numel == node.numel]
        return BackwardStep(kept[0]) if len(kept) == 1 else None
    return None


def _multiplied(graph: Graph, node: Node, parents: list[int]) -> BackwardStep | None:
    first, second = node.args[0], node.args[1]
    if len(parents) == 2 and node.name == "mul":
        masks = [p for p in parents if _is_mask(graph, p)]
        rest = [p for p in parents if p not in masks]
        return BackwardStep(rest[0]) if len(rest) == 1 else None
    if len(parents) != 1 or graph[parents[0]].numel != node.numel:
        return None
    signal = parents[0]
    if isinstance(first, Ref) and isinstance(second, Ref) and first.node == second.node:
        return None  # the signal's square
    if node.name == "div" and not (isinstance(first, Ref) and first.node == signal):
        return None  # a number over the signal
    other = second if isinstance(first, Ref) and first.node == signal else first
    return _scaled(graph, signal, other, inverse=node.name == "div")


def _scaled(graph: Graph, signal: int, other: Any, *, inverse: bool) -> BackwardStep | None:
    if not isinstance(other, Ref):
        value = float(other)
        return BackwardStep(signal, 1 / value if inverse and value else value)
    if graph.is_weight(other.node):
        return BackwardStep(signal, None, (other.node,))
    if graph.reads_input(other.node):  # integers or booleans of the batch: a mask
        return BackwardStep(signal) if _zeros_and_ones(other.value) else None
    values = other.value
    if values.numel() and bool((values == values.flatten()[0]).all()):
        value = float(values.flatten()[0])
        return BackwardStep(signal, 1 / value if inverse and value else value)
    if _zeros_and_ones(values):
        return BackwardStep(signal)
    return BackwardStep(signal, None)


def _is_mask(graph: Graph, index: int) -> bool:
    return not graph.reads_parameter(index) and _zeros_and_ones(graph[index].value)


def _zeros_and_ones(values: torch.Tensor) -> bool:
    return bool(((values == 0) | (values == 1)).all())


def _same_root(graph: Graph, first: int, second: int) -> BackwardStep | None:
    """The signal of which both operands of a sum are multiples, as λ₀·x + λ₁·x."""
    roots, weights = [], []
    for index in (first, second):
        while (step := plain_step(graph, index)) is not None:
            index = step.to
            weights += step.weights
        roots.append(index)
    return BackwardStep(roots[0], None, tuple(weights)) if roots[0] == roots[1] else None


def stream_steps(graph: Graph, norms: dict[int, TracedNorm], index: int) -> list[BackwardStep]:
    """The ways back along a stream, past norms, added constants and positions taken or joined."""
    node = graph[index]
    if index in norms:
        return [BackwardStep(norms[index].input, norm=norms[index])]
    step = plain_step(graph, index)
    if step is not None:
        return [step]
    if node.name in ("add", "sub"):
        parents = signals(graph, node)
        others = tuple(p for p in node.parents if graph.is_weight(p))
        if len(parents) == 2 and (root := _same_root(graph, *parents)) is not None:
            return [root]
        return [BackwardStep(p, weights=others) for p in parents if graph[p].numel == node.numel]
    if node.name in RESAMPLES or node.name in MOVES:
        return [BackwardStep(p, resampled=True) for p in signals(graph, node)]
    return []
