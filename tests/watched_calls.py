"""Checks of every call's types while testing, with shapes where an annotation names one.

jaxtyping compares the shapes of all arguments and of what is returned, which takes 6 µs per call of
a small function. Nine calls in ten are of functions whose annotations name no shape. beartype alone
checks those, with the same answer, in 0.4 µs. A generator's arguments are checked where its first
value is asked for.
"""

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray

with_types = beartype(conf=BeartypeConf(violation_type=TypeError))
"""beartype's decorator; what it raises is a `TypeError`, as what jaxtyping raises is."""
with_shapes = jaxtyping.jaxtyped
"""jaxtyping's own decorator, kept before `install` takes its name."""


def install() -> None:
    """Make jaxtyping's import hook, which writes ``@jaxtyping.jaxtyped``, decorate with `watched`.

    It acts on modules that are imported later.
    """
    jaxtyping.jaxtyped = watched


def watched(call: Any = None, *, typechecker: Any) -> Any:
    """Check each call of a function, or of a dataclass's constructor.

    Parameters
    ----------
    call
        What is decorated: a function, a method of any kind, a property or a class.
    typechecker
        Checks functions whose annotations name a shape.
    """
    if call is None:
        return functools.partial(watched, typechecker=typechecker)
    if inspect.isclass(call):
        own = dataclasses.is_dataclass(call) and inspect.isfunction(vars(call).get("__init__"))
        if own and not hasattr(call.__init__, "__wrapped__"):
            call.__init__ = watched(call.__init__, typechecker=typechecker)
        return call
    if isinstance(call, (classmethod, staticmethod)):
        return type(call)(watched(call.__func__, typechecker=typechecker))
    if isinstance(call, property):
        parts = (call.fget, call.fset, call.fdel)
        return property(*(part and watched(part, typechecker=typechecker) for part in parts))
    if not inspect.isfunction(call):
        return with_shapes(call, typechecker=typechecker)
    hints = {name: _resolved(hint, call) for name, hint in call.__annotations__.items()}
    if any(map(_names_a_shape, hints.values())):
        return with_shapes(call, typechecker=typechecker)
    return functools.wraps(call)(with_types(_annotated(call, hints)))


def _resolved(hint: Any, call: Callable[..., Any]) -> Any:
    """An annotation as a type, or `Any` where its names are imported for the type checker only."""
    bearer = types.SimpleNamespace(__annotations__={"hint": hint})
    try:
        return get_type_hints(bearer, call.__globals__, include_extras=True)["hint"]
    except Exception:
        return Any


def _names_a_shape(hint: Any) -> bool:
    """Whether an array type stands anywhere in an annotation."""
    if inspect.isclass(hint) and issubclass(hint, AbstractArray):
        return True
    inner = getattr(hint, "__args__", ())
    return any(map(_names_a_shape, inner)) if isinstance(inner, tuple) else False


def _annotated(call: types.FunctionType, hints: dict[str, Any]) -> types.FunctionType:
    """A copy of a function with other annotations; the original keeps its own."""
    copy = types.FunctionType(
        call.__code__, call.__globals__, call.__name__, call.__defaults__, call.__closure__
    )
    copy.__kwdefaults__ = call.__kwdefaults__
    copy.__module__, copy.__qualname__ = call.__module__, call.__qualname__
    copy.__annotations__ = hints
    return copy
