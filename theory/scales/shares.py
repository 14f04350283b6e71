"""Each block's share of its stack's update, and how that share changes with the depth.

A condition sets the sum over a stack's blocks to 1 and says nothing about the summands. Where the
norms of unlike blocks are tied, one kind of block may fall behind: a gated MLP is of degree 8 in a
common norm where attention is of degree 4, so its share falls as 1/N.
"""

from dataclasses import dataclass

import sympy as sp

from theory.derivations.orders import order
from theory.scales.solver import Solution
from theory.scales.update_rules import branch_gain, stack_gain

_DEPTH = sp.Symbol("N", positive=True)


@dataclass(frozen=True)
class Share:
    """What the blocks of one kind contribute to their stack's update."""

    stack: str
    block: str
    value: sp.Expr
    """Between 0 and 1, in the depths and in the free norms."""

    depths: frozenset[sp.Symbol]
    """Symbols that are depths."""

    @property
    def law(self) -> tuple[sp.Expr, sp.Expr] | None:
        """Constant and power of the leading term c N^p as all depths N grow alike."""
        if self.value.free_symbols - self.depths:
            return None
        alike = self.value.xreplace(dict.fromkeys(self.depths, _DEPTH))
        leading = order(sp.simplify(sp.powdenest(alike, force=True)), _DEPTH)
        return leading.coefficient, leading.power


def shares(solution: Solution) -> tuple[Share, ...]:
    """Share of every kind of block in its stack's gain at the solution's norms.

    Examples
    --------
    >>> from theory.scales.architectures import single
    >>> from theory.scales.solver import solve
    >>> from theory.scales.update_rules import SGD
    >>> gated = solve(single("decoder", sp.Integer(6), mlp="gated"), SGD)
    >>> [(share.block, round(float(share.value), 3)) for share in shares(gated)]
    [('self-attention', 0.896), ('gated MLP', 0.104)]
    >>> N = sp.Symbol("N", positive=True)
    >>> [share.law for share in shares(solve(single("decoder", N, mlp="gated"), SGD))]
    [(1, 0), (7/9, -1)]
    """
    architecture = solution.architecture
    own = dict(architecture.stand_ins)
    found = []
    for stack in architecture.stacks:
        parts: dict[str, sp.Expr] = {}
        for block, count in stack.blocks:
            for branch in block.branches:
                name = branch.name or block.name
                gain = count * branch_gain(branch, solution.rule, stack.shortcut)
                parts[name] = parts.get(name, sp.S.Zero) + gain
        whole = stack_gain(stack, solution.rule)
        counts = set().union(*(sp.sympify(count).free_symbols for _, count in stack.blocks))
        depths = frozenset(own.get(symbol, symbol) for symbol in counts)
        for name, part in parts.items():
            # One simultaneous replacement: a value may contain a depth with a norm's own symbol.
            value = (part / whole).xreplace({**solution.scales, **own})
            value = sp.simplify(sp.powdenest(value, force=True))
            found.append(Share(stack.name, name, value, depths))
    return tuple(found)
