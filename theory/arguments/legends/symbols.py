"""The names that a derivation uses, each with its meaning and the sign it is taken to have."""

from collections.abc import Iterable
from dataclasses import dataclass

import sympy as sp
from sympy.core.function import AppliedUndef

from theory.arguments.legends import meanings
from theory.derivations.derivation import Step


@dataclass(frozen=True)
class NamedSymbol:
    """A name that a derivation uses."""

    name: str
    meaning: str
    sign: str
    """What is assumed of it, such as ``positive integer``; empty for operators and functions."""


def names_in(statement: sp.Basic) -> dict[str, str]:
    """Every free name of a statement, with what is assumed of it.

    Examples
    --------
    >>> n, m = sp.Symbol("n", integer=True, positive=True), sp.IndexedBase("m", real=True)
    >>> j = sp.Symbol("j", integer=True)
    >>> names_in(sp.Eq(sp.Sum(m[j], (j, 1, n)), 0, evaluate=False))
    {'m': 'real', 'n': 'positive integer'}
    """
    found: dict[str, str] = {}
    bases = {entry.base for entry in statement.atoms(sp.Indexed)}
    labels = {base.label for base in bases}
    for symbol in statement.free_symbols:
        if isinstance(symbol, sp.Symbol) and symbol not in labels:
            found[symbol.name] = _assumed(symbol)
    for base in bases:
        found[str(base)] = _assumed(base)
    for applied in statement.atoms(AppliedUndef):
        found[type(applied).__name__] = ""
    return dict(sorted(found.items()))


def _assumed(symbol: sp.Basic) -> str:
    number = " integer" if symbol.is_integer else ""
    for sign in ("positive", "nonnegative"):
        if getattr(symbol, f"is_{sign}"):
            return f"{'non-negative' if sign == 'nonnegative' else sign}{number}"
    if symbol.is_commutative is False:
        return "does not commute"
    if symbol.is_integer:
        return "integer"
    return "real" if symbol.is_real else ""


def legend(claim: str, steps: Iterable[Step]) -> tuple[NamedSymbol, ...]:
    """Names of all steps, each once, in alphabetical order.

    Raises
    ------
    KeyError
        If a name has no meaning in ``theory.arguments.legends``: every name needs one.
    """
    known = meanings(claim)
    signs: dict[str, str] = {}
    for step in steps:
        for name, sign in names_in(step.statement).items():
            signs[name] = signs.get(name) or sign
    return tuple(
        NamedSymbol(name, known[name], signs[name]) for name in sorted(signs, key=str.lower)
    )
