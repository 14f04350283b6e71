"""One forward recorded operation by operation, whatever the model's Python code looks like.

A tensor is recognised by its memory (storage, offset, shape, strides, type) and not by its Python
object, because views are new objects. An operation that writes in place becomes the newest source
of the memory that it wrote.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.hooks import RemovableHandle

from numerics.structure.graph import Graph, Node, Ref
from numerics.structure.operations import PIECES
from numerics.structure.rewrites import REWRITES

Scopes = dict[str, list[tuple[int, int, int]]]
Key = tuple[int, int, tuple[int, ...], tuple[int, ...], torch.dtype]

DROPOUTS = (
    nn.functional.dropout,
    nn.functional.alpha_dropout,
    nn.functional.feature_alpha_dropout,
    nn.functional.dropout1d,
    nn.functional.dropout2d,
    nn.functional.dropout3d,
    torch.dropout,
)


class NoDropout(TorchFunctionMode):
    """Makes dropout the identity, also where a forward asks for it outside training mode."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run a torch function, with dropout left out."""
        del types
        kwargs = dict(kwargs or {})
        if func in DROPOUTS:
            return args[0] if args else kwargs["input"]
        if kwargs.get("dropout_p"):
            kwargs["dropout_p"] = 0.0
        elif func is nn.functional.scaled_dot_product_attention and len(args) > 4:
            args = (*args[:4], 0.0, *args[5:])
        return func(*args, **kwargs)


class ParameterWritten(Exception):
    """Raised where a forward writes one of its parameters in place."""


class Recorder(TorchDispatchMode):
    """Records every aten operation with its arguments, results and sources."""

    supports_higher_order_operators = True

    def __init__(self, *models: nn.Module, protect: bool = False) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self._latest: dict[Key, tuple[int, int]] = {}
        self._writers: dict[int, list[int]] = {}
        self._parameters: dict[int, list[tuple[str, Tensor]]] = {}
        self._leaf_of: dict[str, int] = {}
        self._reads_input: list[bool] = []
        self._protect = protect
        for model in models:  # a closure may hold parameters of the module that was copied
            for name, parameter in model.named_parameters():
                storage = _storage(parameter)
                self._parameters.setdefault(storage, []).append((name, parameter.data))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and record it."""
        del types
        kwargs = dict(kwargs or {})
        rewritten = REWRITES.get(getattr(func, "overloadpacket", None))
        if rewritten is not None and self._on_stream(args[0]):
            result = rewritten(func, self._run, args, kwargs)
            if result is not NotImplemented:
                return result
        return self._run(func, args, kwargs)

    def _on_stream(self, tensor: object) -> bool:
        return isinstance(tensor, Tensor) and self._reads_input[self.ref(tensor).node]

    def _run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        refs, named = pytree.tree_map_only(Tensor, self.ref, (args, kwargs))
        written = _written(func, refs, named)
        if self._protect and any(_storage(r.value) in self._parameters for r in written):
            raise ParameterWritten
        result = func(*args, **kwargs)
        self._record(func, refs, named, result, written)
        return result

    def add_input(self, name: str, tensor: Tensor) -> None:
        """Make a tensor of the batch known before the forward."""
        self._new(Node(len(self.nodes), "input", name, outputs=(tensor,)))

    def ref(self, tensor: Tensor) -> Ref:
        """The source of a tensor; one that nothing computed is a parameter or a constant."""
        key = _key(tensor)
        found = self._latest.get(key)
        if found is None:
            found = self._leaf(tensor, key)
        node, output = found
        later = [w for w in self._writers.get(key[0], ()) if w > node]
        if later:  # another view of the same memory was written since
            parents = (node, *later)
            node = self._new(
                Node(
                    len(self.nodes),
                    "operation",
                    "written",
                    args=tuple(Ref(p, 0, self.nodes[p].value) for p in parents),
                    outputs=(tensor,),
                    parents=parents,
                )
            )
            output = 0
        return Ref(node, output, tensor)

    def _leaf(self, tensor: Tensor, key: Key) -> tuple[int, int]:
        for name, parameter in self._parameters.get(key[0], ()):
            start = parameter.storage_offset()
            if not start <= key[1] < start + max(parameter.numel(), 1):
                continue
            leaf = self._leaf_of.get(name)
            if leaf is None:
                leaf = self._new(Node(len(self.nodes), "parameter", name, outputs=(parameter,)))
                self._leaf_of[name] = leaf
            if _key(parameter)[1:] == key[1:]:
                self._latest[key] = (leaf, 0)
                return leaf, 0
            view = Node(
                len(self.nodes),
                "operation",
                "as_strided",
                torch.ops.aten.as_strided.default,
                (
                    Ref(leaf, 0, parameter),
                    list(tensor.shape),
                    list(tensor.stride()),
                    tensor.storage_offset() - start,
                ),
                outputs=(tensor,),
                parents=(leaf,),
            )
            return self._new(view), 0
        return self._new(Node(len(self.nodes), "constant", "constant", outputs=(tensor,))), 0

    def _new(self, node: Node) -> int:
        self.nodes.append(node)
        self._reads_input.append(
            node.origin == "input" or any(self._reads_input[parent] for parent in node.parents)
        )
        for place, tensor in enumerate(node.outputs):
            self._latest[_key(tensor)] = (node.index, place)
        return node.index

    def _record(self, func: Any, args: Any, kwargs: Any, result: Any, written: list[Ref]) -> None:
        outputs = tuple(t for t in pytree.tree_leaves(result) if isinstance(t, Tensor))
        refs = [
            leaf for leaf in pytree.tree_leaves((args, kwargs), is_leaf=_is_ref) if _is_ref(leaf)
        ]
        outputs = outputs or tuple(ref.value for ref in written)
        packet = getattr(func, "overloadpacket", func)
        node = Node(
            len(self.nodes),
            "operation",
            getattr(packet, "__name__", str(packet)).rstrip("_")
            if written
            else getattr(packet, "__name__", str(packet)),
            func,
            args,
            kwargs,
            outputs,
            tuple(ref.node for ref in refs),
            writes=bool(written),
        )
        self._new(node)
        if len(outputs) > 1 and not written and node.name in PIECES:
            for place, tensor in enumerate(outputs):  # one node per piece: each is read by itself
                piece = Node(
                    len(self.nodes),
                    "operation",
                    "piece",
                    args=(Ref(node.index, place, tensor),),
                    outputs=(tensor,),
                    parents=(node.index,),
                )
                self._new(piece)
        for ref in written:
            self._latest[_key(ref.value)] = (node.index, 0)
            self._writers.setdefault(_storage(ref.value), []).append(node.index)

    def scope(self, name: str, module: nn.Module, scopes: Scopes) -> list[RemovableHandle]:
        """Note which nodes run inside a module's forward, and which node is its result."""
        starts: list[int] = []

        def after(_: nn.Module, __: object, returned: object) -> None:
            tensors = [t for _, t in named_tensors(returned) if t.is_floating_point()]
            if tensors:
                found = (starts.pop(), len(self.nodes), self.ref(tensors[0]).node)
                scopes.setdefault(name, []).append(found)

        return [
            module.register_forward_pre_hook(lambda *_: starts.append(len(self.nodes))),
            module.register_forward_hook(after),
        ]


def record_forward(
    model: nn.Module,
    arguments: tuple[tuple[Any, ...], dict[str, Any]],
    run: Callable[[], object],
    output: Callable[[object], object] | None = None,
    blocks: Sequence[str] = (),
    originals: Sequence[nn.Module] = (),
    protect: bool = False,
) -> Graph:
    """The dataflow of ``run()``, a forward of the model on the arguments.

    `originals` are modules of which the model is a copy: their parameters count as the copy's.
    With `protect` an operation that would write a parameter raises `ParameterWritten` instead.
    """
    recorder = Recorder(model, *originals, protect=protect)
    for name, tensor in named_tensors(arguments[0]):
        recorder.add_input(name, tensor)
    for name, tensor in named_tensors(arguments[1]):
        recorder.add_input(name, tensor)
    scopes: Scopes = {}
    hooks = [h for n in blocks for h in recorder.scope(n, model.get_submodule(n), scopes)]
    try:
        with NoDropout(), recorder:
            returned = run()
            chosen = returned if output is None else output(returned)
    finally:
        for hook in hooks:
            hook.remove()
    tensors = [t for _, t in named_tensors(returned)]
    asked = [t for _, t in named_tensors(chosen) if t.is_floating_point()]
    targets = tuple(dict.fromkeys(recorder.ref(t).node for t in asked))
    outputs = tuple(dict.fromkeys(recorder.ref(t).node for t in tensors))
    return Graph(recorder.nodes, targets, outputs, scopes)


def named_tensors(value: object, name: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested tuples, mappings and dataclasses, with a name.

    Examples
    --------
    >>> [name for name, _ in named_tensors({"x": torch.zeros(1), "y": (torch.ones(1),)})]
    ['x', 'y.0']
    """
    if isinstance(value, Tensor):
        yield name, value
        return
    if depth > 6 or value is None or isinstance(value, (str, bytes, int, float, nn.Module)):
        return
    children: Iterator[tuple[object, object]] = iter(())
    if isinstance(value, Mapping):
        children = iter(value.items())
    elif isinstance(value, (tuple, list)):
        children = iter(enumerate(value))
    elif dataclasses.is_dataclass(value) or hasattr(value, "__dict__"):
        children = iter(vars(value).items())
    for key, child in children:
        yield from named_tensors(child, f"{name}.{key}" if name else str(key), depth + 1)


def _is_ref(value: object) -> bool:
    return isinstance(value, Ref)


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Ref]:
    """The arguments that an operation writes in place, after its schema."""
    schema = getattr(func, "_schema", None)
    if schema is None:
        return []
    found: list[Ref] = []
    for place, argument in enumerate(schema.arguments):
        if argument.alias_info is None or not argument.alias_info.is_write:
            continue
        value = args[place] if place < len(args) else kwargs.get(argument.name)
        found += [r for r in pytree.tree_leaves(value, is_leaf=_is_ref) if isinstance(r, Ref)]
    return found


def _storage(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # sparse and wrapped tensors have none
        return -id(tensor)


def _key(tensor: Tensor) -> Key:
    try:
        stride, offset = tuple(tensor.stride()), tensor.storage_offset()
    except (NotImplementedError, RuntimeError):
        stride, offset = (), 0
    return _storage(tensor), int(offset), tuple(tensor.shape), stride, tensor.dtype
