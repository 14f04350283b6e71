"""What a recipe says about one role: multiplier, standard deviation, rate, and their powers.

A recipe states formulas in the number of layers N, the layer's own number l, the width n, and the
depth N₀ and width n₀ at which it was tuned. The solver works with their powers: a quantity is
N^a n^b l^c times a constant. The powers are read off the formulas, so both are one statement.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from theory.derivations.orders import order
from theory.errors import InputError

DEPTH, LAYER, WIDTH = sp.symbols("N l n", positive=True)
"""Layers, the number of a layer from 1, and the width."""
BASE_DEPTH, BASE_WIDTH = sp.symbols("N_0 n_0", positive=True)
"""Depth and width at which a recipe's constants were tuned."""
AXES: Mapping[str, sp.Symbol] = {"depth": DEPTH, "width": WIDTH}
"""What grows."""
ZERO = -sp.oo
"""The power of a quantity that is exactly 0."""


@dataclass(frozen=True)
class RolePowers:
    """Formulas for one role; entries not given are 1."""

    multiplier: sp.Expr = sp.S.One
    """In the forward pass, on the weight or on the branch."""
    std: sp.Expr = sp.S.One
    """Of each entry at initialisation; a gain's value."""
    rate: sp.Expr = sp.S.One
    """Factor on the learning rate."""
    weight_decay: sp.Expr = sp.S.One
    """Factor on decoupled weight decay."""
    epsilon: sp.Expr = sp.S.One
    """Factor on Adam's ε."""


@dataclass(frozen=True)
class Powers:
    """Exponents of one role along one axis."""

    multiplier: sp.Expr = sp.S.Zero
    std: sp.Expr = sp.S.Zero
    rate: sp.Expr = sp.S.Zero
    multiplier_by_layer: sp.Expr = sp.S.Zero
    """Power of the layer's number l in the multiplier."""
    std_by_layer: sp.Expr = sp.S.Zero


def power(formula: sp.Expr | int, symbol: sp.Symbol) -> sp.Expr:
    """Exponent of ``symbol`` in a formula as it grows; −∞ for the formula 0.

    Examples
    --------
    >>> power(1 / sp.sqrt(2 * DEPTH), DEPTH), power(0, DEPTH)
    (-1/2, -oo)
    """
    formula = sp.sympify(formula)
    if formula == 0:
        return ZERO
    found = order(sp.expand(formula), symbol)
    if found.log_power != 0:
        raise InputError(f"no power of {symbol} alone: {formula}")
    return found.power


def powers(rule: RolePowers, axis: str) -> Powers:
    """Exponents of a rule along the depth or the width.

    Examples
    --------
    >>> powers(RolePowers(std=1 / sp.sqrt(2 * DEPTH * WIDTH)), "depth").std
    -1/2
    """
    symbol = AXES[axis]
    sizes = (rule.multiplier, rule.std)
    by_layer = (
        power(size, LAYER) if axis == "depth" and size != 0 else sp.S.Zero for size in sizes
    )
    return Powers(*(power(side, symbol) for side in (*sizes, rule.rate)), *by_layer)


def unknown(roles: Mapping[str, str]) -> dict[str, Powers]:
    """Symbols for the multiplier, std and rate of each role; a constant has a multiplier alone.

    Examples
    --------
    >>> unknown({"out": "hidden", "branch": "constant"})["out"].rate
    rate[out]
    """
    found = {}
    for role, kind in roles.items():
        names = ("multiplier",) if kind == "constant" else ("multiplier", "std", "rate")
        found[role] = Powers(**{name: sp.Symbol(f"{name}[{role}]", real=True) for name in names})
    return found
