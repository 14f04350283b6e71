"""How far one step moves a product of factors, under a rule that turns gradients into steps.

For a branch G = Π f_i the derivative with respect to f_i is Π_{j≠i} f_j. A step −η ∂G/∂f_i (SGD)
moves G by η Σ_i (Π_{j≠i} f_j)²; a step −η sign(∂G/∂f_i) (Adam's first step) moves it by
η Σ_i |Π_{j≠i} f_j|. The two differ by the power to which each derivative enters: 2 and 1.
"""

from dataclasses import dataclass

import sympy as sp

from theory.errors import nearest
from theory.stacks import Block, Branch, Stack


@dataclass(frozen=True)
class UpdateRule:
    """A map from gradients to steps."""

    name: str
    power: int
    """Power of each derivative in the change of the function."""
    meaning: str


SGD = UpdateRule("sgd", 2, "θ ← θ − η g")
SIGN = UpdateRule("sign", 1, "θ ← θ − η sign(g): Adam's first step, Lion's")
RULES = {"sgd": SGD, "sign": SIGN, "adam": SIGN}


def rule_named(name: str) -> UpdateRule:
    """Look a rule up; ``adam`` means its first step, by the sign."""
    if name not in RULES:
        raise nearest(name, RULES, "optimizer")
    return RULES[name]


def branch_gain(branch: Branch, rule: UpdateRule) -> sp.Expr:
    """Σ_i |Π_{j≠i} f_j|^power: the change of a branch in one step, divided by η.

    Examples
    --------
    >>> a, b = sp.symbols("a b", positive=True)
    >>> branch_gain(Branch((a, b), b), SGD), branch_gain(Branch((a, b), b), SIGN)
    (a**2 + b**2, a + b)
    """
    whole = sp.Mul(*branch.factors)
    return sp.Add(*((whole / factor) ** rule.power for factor in branch.factors))


def block_gain(block: Block, rule: UpdateRule) -> sp.Expr:
    """Sum of the gains of a block's branches."""
    return sp.Add(*(branch_gain(branch, rule) for branch in block.branches))


def stack_gain(stack: Stack, rule: UpdateRule) -> sp.Expr:
    """Sum of the gains of all blocks, each times its count."""
    return sp.Add(*(count * block_gain(block, rule) for block, count in stack.blocks))


def sensitivity(stack: Stack, activation: sp.Symbol, rule: UpdateRule) -> sp.Expr:
    """Σ over branches that read ``activation`` of (derivative with respect to it)^power."""
    return sp.Add(
        *(
            count * (sp.Mul(*branch.factors) / activation) ** rule.power
            for block, count in stack.blocks
            for branch in block.branches
            if branch.reads == activation
        )
    )
