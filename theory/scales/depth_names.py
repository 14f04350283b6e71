"""Keeps the names that a user gives to depths apart from the names of a stack's norms.

A depth may be called m, y or v_d, and so may a norm. An architecture is therefore built with a
stand-in for each depth whose name is taken; a solution puts the user's symbol back.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec

import sympy as sp

from theory.errors import InputError
from theory.scales.stacks import Stack

if TYPE_CHECKING:
    from theory.scales.architecture import StackLayout

P = ParamSpec("P")
_DEPTHS = ("layers", "encoder_layers", "decoder_layers", "blocks")
"""Parameters that are depths, in every function that builds an architecture."""


def with_own_names(build: Callable[P, "StackLayout"]) -> Callable[P, "StackLayout"]:
    """Give ``build`` a stand-in for every depth that has the name of one of its norms.

    Examples
    --------
    >>> from theory.scales.architectures import single
    >>> (stand_in, depth), = single("encoder", sp.Symbol("x", positive=True)).stand_ins
    >>> depth, stand_in == depth
    (x, False)
    """

    @wraps(build)
    def apart(*args: P.args, **kwargs: P.kwargs) -> "StackLayout":
        bound = inspect.signature(build).bind(*args, **kwargs)
        depths = {
            name: sp.sympify(bound.arguments[name]) for name in _DEPTHS if name in bound.arguments
        }
        named = set().union(*(depth.free_symbols for depth in depths.values()))
        stand_ins = {
            symbol: sp.Dummy(symbol.name, **symbol.assumptions0)
            for symbol in sorted(named, key=str)
            if not isinstance(symbol, sp.Dummy)
        }

        def built(replaced: Mapping[sp.Basic, sp.Basic]) -> "StackLayout":
            for name, depth in depths.items():
                bound.arguments[name] = depth.xreplace(dict(replaced))
            return build(*bound.args, **bound.kwargs)

        own_names = built(stand_ins)
        given = set(own_names.known).union(*(tie.value.free_symbols for tie in own_names.ties))
        taken = {s.name for s in norms(own_names) | given if not isinstance(s, sp.Dummy)}
        colliding = {symbol: own for symbol, own in stand_ins.items() if symbol.name in taken}
        back = tuple((own, symbol) for symbol, own in colliding.items())
        architecture = built(colliding)
        return replace(architecture, stand_ins=(*architecture.stand_ins, *back))

    return apart


def norms(architecture: "StackLayout") -> set[sp.Symbol]:
    """Symbols of the norms: of the branches, the shortcuts, the memories, and what ties set."""
    found = set().union(*(_norms_of(stack) for stack in architecture.stacks))
    found.update(memory.symbol for memory in architecture.memories)
    found.update(tie.symbol for tie in architecture.ties)
    return found


def _norms_of(stack: Stack) -> set[sp.Symbol]:
    branches = [branch for block, _ in stack.blocks for branch in block.branches]
    return set(stack.shortcut.free_symbols).union(*(b.output.free_symbols for b in branches))


def require_apart(architecture: "StackLayout") -> None:
    """Raise if a count of blocks has the name of a norm: the two would be taken for one."""
    taken = {slot.name for slot in norms(architecture)}
    for stack in architecture.stacks:
        for _, count in stack.blocks:
            for symbol in sorted(sp.sympify(count).free_symbols, key=str):
                if symbol.name in taken and not isinstance(symbol, sp.Dummy):
                    raise InputError(
                        f"a depth must not have the name of a norm, got {symbol} for both in the "
                        f"stack {stack.name}"
                    )


def with_names_of_the_user(
    expression: sp.Expr, architecture: "StackLayout", *, marked: bool = False
) -> sp.Expr:
    """``expression`` with the user's symbols for the stand-ins.

    A depth m is written ``layers(m)`` where the norm of that name occurs beside it, and wherever
    ``marked`` asks for it.
    """
    back = {}
    for own, symbol in architecture.stand_ins:
        beside = {other.name for other in expression.free_symbols - {own}}
        clash = marked or symbol.name in beside
        back[own] = sp.Symbol(f"layers({symbol})", positive=True) if clash else symbol
    return expression.xreplace(back)
