"""The dataflow of one forward: which operation read the results of which.

Sets of nodes are Python integers used as bit sets: bit i stands for node i. Nodes are numbered in
the order of execution, so a parent always has the smaller number.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

Origin = Literal["operation", "parameter", "input", "constant"]


@dataclass(frozen=True)
class Ref:
    """A tensor among the arguments of an operation, and the node that computed it."""

    node: int
    output: int
    value: Tensor


@dataclass
class Node:
    """One operation of the forward, or a tensor that was there before it."""

    index: int
    origin: Origin
    name: str
    """Name of the aten operation without its overload, of the parameter, or of the input."""
    func: Any = None
    args: tuple[Any, ...] = ()
    """Positional arguments with a `Ref` in place of every tensor."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[Tensor, ...] = ()
    parents: tuple[int, ...] = ()
    writes: bool = False
    """Whether it changes its first argument in place."""

    @property
    def value(self) -> Tensor:
        """Its first result."""
        return self.outputs[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its first result; empty where it has none."""
        return tuple(self.outputs[0].shape) if self.outputs else ()

    @property
    def numel(self) -> int:
        """The number of entries of its first result."""
        return self.outputs[0].numel() if self.outputs else 0

    @property
    def fused_attention(self) -> bool:
        """Whether it computes attention from q, k and v, its first three tensors."""
        return self.func is not None and "attention" in self.name and "backward" not in self.name

    @property
    def pointwise(self) -> bool:
        """Whether torch tags the operation as entry by entry."""
        return self.func is not None and torch.Tag.pointwise in self.func.tags


@dataclass
class Graph:
    """All nodes in the order of execution, and what each descends from."""

    nodes: list[Node]
    targets: tuple[int, ...] = ()
    """The nodes whose results are the output that the structure is asked for."""
    outputs: tuple[int, ...] = ()
    """The nodes of every tensor that the forward returned."""
    scopes: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)
    """Per module asked for, for each of its calls: its first node, the first one after it, and the
    node of its result."""

    roots: int = 0
    """Bit set of streams that begin with parameters or constants: latents, learned queries."""

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]

    def __len__(self) -> int:
        return len(self.nodes)

    @cached_property
    def ancestors(self) -> list[int]:
        """Per node: the bit set of what it descends from, itself included."""
        found: list[int] = []
        for node in self.nodes:
            bits = 1 << node.index
            for parent in node.parents:
                bits |= found[parent]
            found.append(bits)
        return found

    @cached_property
    def children(self) -> list[list[int]]:
        """Per node: the nodes that read its results."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for node in self.nodes:
            for parent in dict.fromkeys(node.parents):
                found[parent].append(node.index)
        return found

    @cached_property
    def descendants(self) -> list[int]:
        """Per node: the bit set of what descends from it, itself included."""
        found = [1 << node.index for node in self.nodes]
        for node in reversed(self.nodes):
            for parent in node.parents:
                found[parent] |= found[node.index]
        return found

    @cached_property
    def live(self) -> int:
        """The bit set of everything that the targets descend from."""
        bits = 0
        for target in self.targets:
            bits |= self.ancestors[target]
        return bits

    def _leaves(self, origin: Origin) -> int:
        bits = 0
        for node in self.nodes:
            if node.origin == origin:
                bits |= 1 << node.index
        return bits

    @cached_property
    def parameter_bits(self) -> int:
        """The bit set of all parameters."""
        return self._leaves("parameter")

    @cached_property
    def input_bits(self) -> int:
        """The bit set of the batch's tensors."""
        return self._leaves("input") | self.roots

    def reads_input(self, index: int) -> bool:
        """Whether a node descends from the batch."""
        return bool(self.ancestors[index] & self.input_bits)

    def reads_parameter(self, index: int) -> bool:
        """Whether a node descends from a parameter."""
        return bool(self.ancestors[index] & self.parameter_bits)

    def is_weight(self, index: int) -> bool:
        """Whether a node descends from parameters and not from the batch."""
        return self.reads_parameter(index) and not self.reads_input(index)

    def is_constant(self, index: int) -> bool:
        """Whether a node descends neither from parameters nor from the batch."""
        return not (self.reads_parameter(index) or self.reads_input(index))

    def is_signal(self, index: int) -> bool:
        """Whether a node carries numbers that depend on both: an activation."""
        node = self.nodes[index]
        floating = bool(node.outputs) and (
            node.value.is_floating_point() or node.value.is_complex()
        )
        return floating and self.reads_input(index)

    def begin_streams(self, roots: int) -> None:
        """Count some nodes among the inputs."""
        self.roots |= roots
        self.__dict__.pop("input_bits", None)

    def reaches(self, ancestor: int, descendant: int) -> bool:
        """Whether the second node descends from the first."""
        return bool(self.ancestors[descendant] >> ancestor & 1)

    def between(self, start: int, end: int) -> int:
        """The bit set of nodes on a path from one node to another, both included."""
        return self.descendants[start] & self.ancestors[end]

    def walk_back(self, start: int, stops: int) -> int:
        """The bit set reached backwards from a node without entering the stops."""
        seen = 0
        stack = [start]
        while stack:
            index = stack.pop()
            if seen >> index & 1 or (stops >> index & 1 and index != start):
                continue
            seen |= 1 << index
            stack.extend(self.nodes[index].parents)
        return seen

    def parameters_of(self, index: int) -> list[int]:
        """The parameter nodes that a node descends from, in order."""
        return list(members(self.ancestors[index] & self.parameter_bits))


def members(bits: int) -> Iterator[int]:
    """The elements of a bit set, ascending.

    Examples
    --------
    >>> list(members(0b1010))
    [1, 3]
    """
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
