"""A copy of a module whose functions refer to the copy as well.

`copy.deepcopy` takes a function as it is, so that a lambda such as ``lambda x: x @ self.table.T``
in a copied module still reads the original's table. Here functions whose closure or defaults hold
parts of the module are rebuilt over the copy. Modules without a way of their own to be copied are
copied attribute by attribute, which takes a third of the time.
"""

import copy
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

from torch import Tensor, nn

_ATOMS = {bool, int, float, complex, str, bytes, type(None), type}
_HOLDERS = (nn.Module, Tensor, FunctionType, MethodType, partial, list, tuple, dict, set)
_SEARCHED = {FunctionType, MethodType, partial, list, tuple, dict, set, OrderedDict}
"""Types of attributes in which functions are looked for."""
_OWN = {"_parameters", "_buffers", "_modules"}
_DEPTH = 6
"""Levels of containers and functions in which functions are looked for."""


def copy_module(model: nn.Module, memo: dict[int, Any] | None = None) -> nn.Module:
    """Copy a module with everything in it, including what its functions refer to.

    Parameters
    ----------
    model
        Any module; it is not changed.
    memo
        The memo of `copy.deepcopy`: the copy of an object, by the object's identity.

    Raises
    ------
    Exception
        Whatever an object raises that cannot be copied.

    Examples
    --------
    >>> import torch
    >>> def with_head(model):
    ...     model.head = lambda x: x @ model.weight
    ...     return model
    >>> model = with_head(nn.Linear(2, 2, bias=False))
    >>> copied = copy_module(model)
    >>> _ = nn.init.zeros_(copied.weight)
    >>> copied.head(torch.ones(1, 2))
    tensor([[0., 0.]], grad_fn=<MmBackward0>)
    """
    memo = {} if memo is None else memo
    plain = [m for m in model.modules() if _is_plain(m) and id(m) not in memo]
    for module in plain:
        memo[id(module)] = object.__new__(type(module))
    waiting: list[tuple[FunctionType, FunctionType]] = []
    for module in model.modules():
        held = [v for k, v in module.__dict__.items() if type(v) in _SEARCHED and k not in _OWN]
        _find_functions(held, memo, waiting, _DEPTH)
    for module in plain:
        made = memo[id(module)].__dict__
        for name, value in module.__dict__.items():
            if name != "_compiled_call_impl":
                made[name] = value if type(value) in _ATOMS else _copied(value, memo)
    copied = copy.deepcopy(model, memo)
    for original, rebuilt in waiting:
        for old, new in zip(original.__closure__ or (), rebuilt.__closure__ or (), strict=True):
            new.cell_contents = _held(old.cell_contents, memo)
        rebuilt.__defaults__ = _all_held(original.__defaults__, memo)
        if original.__kwdefaults__:
            named = original.__kwdefaults__.items()
            rebuilt.__kwdefaults__ = {name: _held(value, memo) for name, value in named}
    return copied


def _is_plain(module: nn.Module) -> bool:
    """Whether copying the attributes is all that `copy.deepcopy` would do."""
    kind = type(module)
    return (
        kind.__setstate__ is nn.Module.__setstate__
        and getattr(kind, "__getstate__", None) is getattr(nn.Module, "__getstate__", None)
        and kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and not hasattr(kind, "__deepcopy__")
        and not hasattr(kind, "__getnewargs_ex__")
        and not hasattr(kind, "__getnewargs__")
        and not any("__slots__" in vars(base) for base in kind.__mro__[:-1])
    )


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    if type(value) is OrderedDict and not value and id(value) not in memo:
        return memo.setdefault(id(value), OrderedDict())  # a module has eight of them for hooks
    if type(value) is dict and id(value) not in memo:
        made: dict[Any, Any] = {}
        memo[id(value)] = made
        for key, child in value.items():
            key = key if type(key) in _ATOMS else copy.deepcopy(key, memo)
            made[key] = child if type(child) in _ATOMS else copy.deepcopy(child, memo)
        return made
    return copy.deepcopy(value, memo)


def _find_functions(
    values: Sequence[Any],
    memo: dict[int, Any],
    waiting: list[tuple[FunctionType, FunctionType]],
    depth: int,
) -> None:
    """Put an empty copy of every function that may refer to the module into the memo."""
    for value in values:
        if depth == 0 or not isinstance(value, _HOLDERS) or isinstance(value, (nn.Module, Tensor)):
            continue
        inner: Sequence[Any] = ()
        if isinstance(value, FunctionType):
            if id(value) in memo or not _refers(value):
                continue
            cells = tuple(CellType() for _ in value.__closure__ or ())
            made = FunctionType(
                value.__code__, value.__globals__, value.__name__, value.__defaults__, cells
            )
            made.__dict__.update(value.__dict__)
            made.__qualname__, made.__module__ = value.__qualname__, value.__module__
            memo[id(value)] = made
            waiting.append((value, made))
            inner = _references(value)
        elif isinstance(value, MethodType):
            inner = (value.__self__,)
        elif isinstance(value, partial):
            inner = (value.func, *value.args, *value.keywords.values())
        elif isinstance(value, dict):
            inner = tuple(value.values())
        elif isinstance(value, (list, tuple, set)):
            inner = tuple(value)
        if inner:
            _find_functions(inner, memo, waiting, depth - 1)


def _references(function: FunctionType) -> tuple[Any, ...]:
    """What the closure and the defaults of a function hold; a cell may still be empty."""
    found: list[Any] = list(function.__defaults__ or ())
    found += (function.__kwdefaults__ or {}).values()
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:
            continue
    return tuple(found)


def _refers(function: FunctionType) -> bool:
    """Whether a function can hold part of a module in its closure or defaults."""
    cells = function.__closure__ or ()
    found = _references(function)
    filled = len(found) - len(function.__defaults__ or ()) - len(function.__kwdefaults__ or {})
    return filled == len(cells) and any(isinstance(value, _HOLDERS) for value in found)


def _held(value: Any, memo: dict[int, Any]) -> Any:
    """What a rebuilt function holds: the copy where one can be made, else the object itself."""
    if not isinstance(value, _HOLDERS):
        return value
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # such as a tensor with a graph, which is no parameter
        return value


def _all_held(values: tuple[Any, ...] | None, memo: dict[int, Any]) -> tuple[Any, ...] | None:
    return None if values is None else tuple(_held(value, memo) for value in values)
