"""A part of a recorded forward run again, with other numbers put in and gradients taken.

What an entry does is found by asking what depends on it. Running the recorded operations again,
with random numbers for one intermediate result, answers that without the weights' own values
(which may be zero), under ``no_grad`` forwards and inside a custom ``autograd.Function``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from numerics.structure.graph import Graph, Node, Ref, members


class Replay:
    """The nodes between some sources and some targets, which can be run again."""

    def __init__(
        self, graph: Graph, sources: Mapping[int, Tensor], *, through_detach: bool
    ) -> None:
        self._graph = graph
        self._values: dict[int, tuple[Tensor, ...]] = {n: (t,) for n, t in sources.items()}
        self._copies: dict[int, Tensor] = {}
        self._through_detach = through_detach

    def run(self, targets: Sequence[int], stops: int = 0) -> list[Tensor]:
        """The targets' values; nodes in the stops keep what was recorded."""
        wanted = 0
        for target in targets:
            wanted |= self._graph.ancestors[target]
        moved = 0
        for source in self._values:
            moved |= self._graph.descendants[source]
        sources = set(self._values)
        for index in members(wanted & moved & ~stops):
            if index not in sources:
                self._values[index] = self._step(self._graph[index])
        return [self._value(Ref(target, 0, self._graph[target].value)) for target in targets]

    def _value(self, ref: Ref) -> Tensor:
        known = self._values.get(ref.node)
        if known is not None:
            return known[ref.output] if ref.output < len(known) else known[0]
        base = self._copies.get(_storage(ref.value))
        if base is not None:
            value = ref.value
            return base.as_strided(value.shape, value.stride(), value.storage_offset())
        return ref.value

    def _own(self, ref: Ref) -> Tensor:
        """A tensor that may be written: a copy of the whole memory where it was recorded."""
        if ref.node in self._values:
            return self._value(ref)
        storage = _storage(ref.value)
        if storage not in self._copies:
            size = ref.value.untyped_storage().nbytes() // ref.value.element_size()
            self._copies[storage] = torch.as_strided(ref.value, (size,), (1,), 0).clone()
        return self._value(ref)

    def _step(self, node: Node) -> tuple[Tensor, ...]:
        if node.name == "piece":
            return (self._value(node.args[0]),)
        if node.name == "written":
            base = Ref(node.parents[0], 0, node.value)
            return (self._value(base),)
        if node.name == "detach" and self._through_detach:
            return (self._value(node.args[0]).view_as(node.value),)
        if node.writes:
            self._own(node.args[0])
        args, kwargs = pytree.tree_map(
            lambda leaf: self._value(leaf) if isinstance(leaf, Ref) else leaf,
            (node.args, node.kwargs),
            is_leaf=lambda leaf: isinstance(leaf, Ref),
        )
        result: Any = node.func(*args, **kwargs)
        return tuple(t for t in pytree.tree_leaves(result) if isinstance(t, Tensor))


def dependence(
    graph: Graph, source: int, targets: Sequence[int], stops: int = 0, seed: int = 0
) -> list[Tensor | None]:
    """Which entries of a source's result each target depends on, as a mask of the source's shape.

    ``None`` stands for a target behind operations that have no derivative.
    """
    generator = torch.Generator().manual_seed(seed)
    found: list[Tensor | None] = []
    for target in targets:
        mask = None
        for through_detach in (False, True):
            mask = _mask(graph, source, target, stops, generator, through_detach=through_detach)
            if mask is not None and bool(mask.any()):
                break
        found.append(mask)
    return found


def _mask(
    graph: Graph,
    source: int,
    target: int,
    stops: int,
    generator: torch.Generator,
    *,
    through_detach: bool,
) -> Tensor | None:
    value = graph[source].value
    drawn = random_like(value, generator)
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        leaf = drawn.requires_grad_()
        replay = Replay(graph, {source: leaf * 1}, through_detach=through_detach)
        try:
            (result,) = replay.run([target], stops)
            if not result.requires_grad:
                return torch.zeros(value.shape, dtype=torch.bool)
            weights = torch.randn(result.shape, generator=generator).to(result)
            (gradient,) = torch.autograd.grad(result, leaf, weights, allow_unused=True)
        except (RuntimeError, NotImplementedError, IndexError, TypeError):
            return None
    if gradient is None:
        return torch.zeros(value.shape, dtype=torch.bool)
    return (gradient != 0).cpu()


def random_like(value: Tensor, generator: torch.Generator) -> Tensor:
    """Normal numbers in a tensor's shape and strides: a later view may need the strides."""
    drawn = torch.empty_like(value)
    drawn.copy_(torch.randn(value.shape, generator=generator))
    return drawn


def changed(graph: Graph, source: int, target: int, seed: int = 0) -> Tensor | None:
    """Which entries of a target change when the source's numbers are drawn anew, as a mask."""
    generator = torch.Generator().manual_seed(seed)
    value = graph[source].value
    results = []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for _ in range(2):
            drawn = random_like(value, generator)
            try:
                (result,) = Replay(graph, {source: drawn}, through_detach=False).run([target])
            except (RuntimeError, NotImplementedError, IndexError, TypeError):
                return None
            results.append(result.clone())
    return (results[0] != results[1]).cpu()


def features(mask: Tensor, axis: int) -> Tensor:
    """Which indices along one axis have a marked entry.

    Examples
    --------
    >>> features(torch.tensor([[True, False], [True, False]]), 1).tolist()
    [True, False]
    """
    others = [a for a in range(mask.dim()) if a != axis % mask.dim()]
    return mask.any(dim=others) if others else mask


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
