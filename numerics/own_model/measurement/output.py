"""What is measured of a module: the features before its head, its logits, or what the user names.

A head is the last product with a parameter, when nothing but factors, biases, softcaps and changes
of shape stand between it and the output. It is found in one forward by looking at what the output
was computed from, not by its name. Evaluating the features stops the forward at the head.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from numerics.own_model.measurement.private_copy import called
from numerics.structure.default_batch import ModelBatch
from numerics.structure.record import named_tensors
from theory.errors import InputError

Output = str | Callable[[Any], Any] | None
"""``features``, ``logits``, the name of an attribute, a function of what the module returns, or
``None``: features where there is a head, else the output."""

PRODUCTS = (
    F.linear,
    torch.matmul,
    Tensor.matmul,
    Tensor.__matmul__,
    torch.mm,
    Tensor.mm,
    torch.einsum,
    torch.addmm,
)
_POINTWISE = {
    "mul", "__mul__", "__rmul__", "div", "__truediv__", "true_divide", "tanh", "add", "__add__",
    "__radd__", "float", "double", "to", "type", "contiguous", "view", "reshape", "transpose",
    "permute", "squeeze", "unsqueeze", "flatten", "unflatten", "log_softmax", "clone", "sub",
    "__sub__", "mul_", "div_", "add_", "__imul__", "__idiv__", "__iadd__", "__getitem__", "movedim",
    "_movedim", "type_as", "sum",
}  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """How f is obtained from one forward of a module."""

    words: str
    """What f is, for the reader."""
    stop: tuple[int, int] | None
    """Number of the product at which the forward stops and the place of f among its operands;
    ``None``: f is the output."""
    choose: Callable[[object], Tensor]
    """f from what the module returns, where the forward does not stop."""
    head: str | None
    """The parameter of the head."""
    after: tuple[str, ...] = ()
    """Parameters that the model's output depends on and f does not: the head's own."""
    first: Tensor | None = None
    """f of the forward that found it, with its graph."""

    def of(self, module: nn.Module, batch: ModelBatch) -> Tensor:
        """The value of f in one forward."""
        if self.stop is None:
            return self.choose(called(module, batch))
        try:
            with _Stop(self.stop):
                called(module, batch)
        except _Reached as reached:
            return reached.value
        raise InputError("a forward must run the same operations each time, and this one does not")


def find_measured(
    module: nn.Module,
    batch: ModelBatch,
    output: Output = None,
    run: Callable[[], object] | None = None,
) -> Measured:
    """What to measure of a module.

    Parameters
    ----------
    module, batch
        A module and arguments for one forward.
    output
        See `Output`.
    run
        The forward, where it is to be run in a way of its own.

    Raises
    ------
    InputError
        If the output asked for is not there or is no floating tensor.

    Examples
    --------
    >>> layer = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 9))
    >>> find_measured(layer, torch.ones(2, 3)).words
    'the input of the head 2.weight'
    >>> find_measured(layer, torch.ones(2, 3), "logits").words
    'the output'
    """
    with torch.enable_grad(), _Trail(module) as trail:
        returned = run() if run is not None else called(module, batch)
    if callable(output):
        choose = _asked(output)
        return Measured("what output= chose", None, choose, None, first=choose(returned))
    if output not in (None, "features", "logits"):

        def attribute(value: object) -> object:
            return value[output] if isinstance(value, Mapping) else getattr(value, output)

        first = _tensor(_attribute_or_error(returned, output), output)
        return Measured(f"the output's {output}", None, _asked(attribute), None, first=first)
    final = main_tensor(returned)
    found = trail.head(final)
    if output == "logits":
        head = None if found is None else found[1]
        return Measured("the output", None, main_tensor, head, first=final)
    if found is None:
        if output == "features":
            raise InputError(
                "features are the input of a head, and no head was found: pass output="
            )
        return Measured("the output", None, main_tensor, None, first=final)
    stop, head, features = found
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    after = leaves(final.grad_fn) - leaves(features.grad_fn)
    beyond = tuple(name for key, name in names.items() if key in after)
    words = f"the input of the head {head}"
    return Measured(words, stop, main_tensor, head, beyond, features)


def main_tensor(returned: object) -> Tensor:
    """The tensor among what a module returns that is its output.

    It is the tensor itself, ``logits``, ``last_hidden_state``, or the first floating tensor.

    Raises
    ------
    InputError
        If there is no floating tensor in it.
    """
    if isinstance(returned, Tensor):
        return _tensor(returned, "output")
    for name in ("logits", "last_hidden_state"):
        found = returned.get(name) if isinstance(returned, Mapping) else None
        found = getattr(returned, name, None) if found is None else found
        if isinstance(found, Tensor):
            return _tensor(found, name)
    for _, tensor in named_tensors(returned):
        if tensor.is_floating_point() and tensor.dim() > 0:
            return tensor
    raise InputError(
        f"a model must return a floating tensor, got {type(returned).__name__}: pass output="
    )


def _asked(choose: Callable[[Any], Any]) -> Callable[[object], Tensor]:
    return lambda returned: _tensor(choose(returned), "output")


def _attribute_or_error(returned: object, name: str) -> object:
    if isinstance(returned, Mapping) and name in returned:
        return returned[name]
    if not hasattr(returned, name):
        have = [key for key in getattr(returned, "keys", dict)()]
        raise InputError(
            f"output must be features, logits or an attribute of what the model returns, got "
            f"{name!r} for {type(returned).__name__}" + (f" with {', '.join(have)}" if have else "")
        )
    return getattr(returned, name)


def _tensor(value: object, name: str) -> Tensor:
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise InputError(
            f"the output must be a floating tensor, got {type(value).__name__} ({name})"
        )
    return value


class _Trail(TorchFunctionMode):
    """Notes what every result was computed from, and numbers the products."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.names = {_storage(p): name for name, p in reversed([*module.named_parameters()])}
        self.made: dict[int, tuple[Any, Tensor, tuple[Any, ...], int]] = {}
        self.count = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        result = func(*args, **kwargs) if kwargs else func(*args)
        if isinstance(result, Tensor):
            given = (*args, *kwargs.values()) if kwargs else args
            # contiguous() and the like may return their argument: it stays what made it.
            if not any(value is result for value in given):
                self.made[id(result)] = (func, result, given, self.count)
        self.count += func in PRODUCTS
        return result

    def head(self, final: Tensor) -> tuple[tuple[int, int], str, Tensor] | None:
        """The head's number and the place of its input, its parameter, and its input."""
        tensor = final
        for _ in range(24):
            found = self.made.get(id(tensor))
            if found is None:
                return None
            func, _, given, number = found
            inputs = [value for value in given if isinstance(value, Tensor)]
            owned = [self.names.get(_storage(t)) for t in inputs]
            if func in PRODUCTS and any(owned) and not all(owned):
                place = owned.index(None)
                if not inputs[place].requires_grad:  # nothing is trained before this product
                    return None
                return (number, place), next(name for name in owned if name), inputs[place]
            free = [t for t, name in zip(inputs, owned, strict=True) if not name and t.dim() > 0]
            if len(free) != 1 or getattr(func, "__name__", "") not in _POINTWISE:
                return None
            tensor = free[0]
        return None


class _Reached(BaseException):  # no ``except Exception`` of a user's forward may catch it
    def __init__(self, value: Tensor) -> None:
        self.value = value


class _Stop(TorchFunctionMode):
    """Ends a forward at one operand of one product, counted as `_Trail` counts."""

    def __init__(self, stop: tuple[int, int]) -> None:
        super().__init__()
        self.number, self.place = stop
        self.count = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        if func in PRODUCTS:
            if self.count == self.number:
                given = (*args, *(kwargs or {}).values())
                raise _Reached([value for value in given if isinstance(value, Tensor)][self.place])
            self.count += 1
        return func(*args, **kwargs) if kwargs else func(*args)


def leaves(root: Any) -> set[int]:
    """Identities of the leaf tensors that an autograd graph ends at.

    Examples
    --------
    >>> weight = torch.ones(2, requires_grad=True)
    >>> leaves((3 * weight).sum().grad_fn) == {id(weight)}
    True
    """
    found: set[int] = set()
    seen: set[Any] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if (variable := getattr(node, "variable", None)) is not None:
            found.add(id(variable))
        stack += [parent for parent, _ in node.next_functions]
    return found


def _storage(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):
        return -id(tensor)
