"""Stacks with what connects them, as data: tied norms, memories, what else is demanded.

A *tie* sets one norm to another: each is an assumption that no condition forces, and a solution
lists it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from theory.scales.stacks import Stack
from theory.scales.update_rules import UpdateRule


@dataclass(frozen=True)
class Tie:
    """One norm set to an expression in others."""

    symbol: sp.Symbol
    value: sp.Expr
    because: str


@dataclass(frozen=True)
class Memory:
    """An activation that one stack produces and another reads.

    *Separate*, as in T-Fixup: the producer's own gain is one condition, that the reader's
    sensitivity is Θ(1) another. *Composed*, as in DeepNorm: one condition on their product, the
    sensitivity to the power ``passes`` (the change passes it once, its gradient once more).
    """

    symbol: sp.Symbol
    producer: str
    reader: str
    composed: bool = False
    coherent: bool = False
    """Whether the blocks that read it add up in the worst case instead of in mean square."""
    passes: int | None = None
    """``None``: as often as the update rule says."""


@dataclass(frozen=True)
class FurtherCondition:
    """A condition that the bound on the update does not ask for: left side = 1."""

    name: str
    left_side: Callable[[UpdateRule], sp.Expr]
    because: str


@dataclass(frozen=True)
class StackLayout:
    """Stacks with what connects them."""

    name: str
    stacks: tuple[Stack, ...]
    memories: tuple[Memory, ...] = ()
    ties: tuple[Tie, ...] = ()
    further: tuple[FurtherCondition, ...] = ()
    known: tuple[sp.Symbol, ...] = ()
    """Symbols that are given, not solved for: depths, and norms that the data fix."""
    remarks: tuple[str, ...] = ()
    """What else the description takes for granted."""
    stand_ins: tuple[tuple[sp.Symbol, sp.Symbol], ...] = ()
    """(stand-in, the user's symbol) of each depth that has the name of a norm."""

    def stack(self, name: str) -> Stack:
        """The stack of that name."""
        return next(stack for stack in self.stacks if stack.name == name)
