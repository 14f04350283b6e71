"""How far one step moves a branch, under a rule that turns gradients into steps.

With D = ∂G/∂θ for a slot θ, a step −η D (SGD) moves G by η D² on that account, a step −η sign(D)
(Adam's first step, Lion) by η |D|, a step of norm η ‖θ‖ along the gradient (LARS, LAMB) by η |D| θ.
Changes of different slots and blocks add, as each lowers the loss. Noise in the gradients does not
alter that: it comes through the output, so one random factor multiplies the step of every slot.
Everything depends on the depth only through the norms, so a rule is the function
(D, θ) ↦ change of G ÷ η.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import sympy as sp

from theory.errors import InputError, nearest
from theory.scales.stacks import Block, NormPolynomial, Stack

NormChange = Callable[[sp.Expr, sp.Expr], sp.Expr]
DECAY = sp.Rational(9, 10)
"""Of momentum, and Adam's β₁, where no other is given."""


@dataclass(frozen=True)
class UpdateRule:
    """A map from gradients to steps."""

    name: str
    change: NormChange
    """(∂G/∂θ, θ) ↦ the change of G in units of η."""
    power: int
    """How often the change contains what lies between a block and the output: 2 when the step is
    proportional to the gradient, 1 when the step's size does not depend on it."""
    meaning: str


def momentum(decay: sp.Expr = DECAY) -> UpdateRule:
    """Heavy-ball momentum in steady state: Σ_k decay^k = 1/(1 − decay) gradients a step.

    Examples
    --------
    >>> D, theta = sp.symbols("D theta", positive=True)
    >>> momentum().change(D, theta)
    10*D**2
    """
    if not 0 <= decay < 1:
        raise InputError(f"the decay of momentum must lie in [0, 1), got {decay}")
    return UpdateRule(
        "momentum",
        lambda derivative, _: derivative**2 / (1 - decay),
        2,
        f"θ ← θ − η Σ_k {decay}^k g_(t−k), the gradient steady",
    )


def momentum_noise(decay: sp.Expr = DECAY) -> UpdateRule:
    """Heavy-ball momentum where ∂L/∂f is zero-mean noise: gradients add up in mean square.

    Their sum has the RMS √(Σ_k decay^(2k)) = (1 − decay²)^(-1/2) of one gradient's.

    Examples
    --------
    >>> D, theta = sp.symbols("D theta", positive=True)
    >>> momentum_noise(sp.Rational(3, 5)).change(D, theta)
    5*D**2/4
    """
    if not 0 <= decay < 1:
        raise InputError(f"the decay of momentum must lie in [0, 1), got {decay}")
    return UpdateRule(
        "momentum-noise",
        lambda derivative, _: derivative**2 / sp.sqrt(1 - decay**2),
        2,
        f"momentum's steady state on a noisy ∂L/∂f: g × a factor of RMS (1 − {decay}²)^(-1/2)",
    )


def adam_noise(beta: sp.Expr = DECAY) -> UpdateRule:
    """Adam where ∂L/∂f is zero-mean noise: sign(D) times one factor of RMS √((1 − β₁)/(1 + β₁)).

    Examples
    --------
    >>> D, theta = sp.symbols("D theta", positive=True)
    >>> adam_noise(sp.Rational(3, 5)).change(D, theta)
    D/2
    """
    if not 0 <= beta < 1:
        raise InputError(f"β₁ must lie in [0, 1), got {beta}")
    return UpdateRule(
        "adam-noise",
        lambda derivative, _: derivative * sp.sqrt((1 - beta) / (1 + beta)),
        1,
        "Adam's steady state on a noisy ∂L/∂f: sign(g) × a factor of RMS √((1 − β₁)/(1 + β₁))",
    )


SGD = UpdateRule("sgd", lambda derivative, _: derivative**2, 2, "θ ← θ − η g")
SIGN = UpdateRule("sign", lambda derivative, _: derivative, 1, "θ ← θ − η sign(g)")
LAYERWISE = UpdateRule(
    "lamb", lambda derivative, norm: derivative * norm, 1, "θ ← θ − η ‖θ‖ u/‖u‖ in each tensor"
)
ORTHOGONAL = UpdateRule(
    "muon", lambda derivative, _: derivative, 1, "θ ← θ − η U Vᵀ, g = U Σ Vᵀ: spectral norm η"
)
_STEADY = "Adam's first step, and its steady state where the gradient's sign stays"
RULES: dict[str, UpdateRule] = {
    "sgd": SGD,
    "momentum": momentum(),
    "momentum-noise": momentum_noise(),
    "sign": SIGN,
    "adam": UpdateRule("adam", SIGN.change, 1, f"{SIGN.meaning}: {_STEADY}"),
    "adamw": UpdateRule("adamw", SIGN.change, 1, f"{SIGN.meaning}, and θ decays: {_STEADY}"),
    "adam-noise": adam_noise(),
    "lion": UpdateRule("lion", SIGN.change, 1, "θ ← θ − η sign(interpolated g)"),
    "lars": UpdateRule("lars", LAYERWISE.change, 1, "θ ← θ − η ‖θ‖ g/‖g‖ in each tensor"),
    "lamb": LAYERWISE,
    "adafactor": UpdateRule(
        "adafactor", LAYERWISE.change, 1, "θ ← θ − η RMS(θ) u/max(1, RMS(u)) in each tensor"
    ),
    "muon": ORTHOGONAL,
    "muon-match-rms-adamw": UpdateRule(
        "muon-match-rms-adamw",
        ORTHOGONAL.change,
        1,
        "θ ← θ − 0.2 η √max(rows, columns) U Vᵀ, g = U Σ Vᵀ: entries of RMS 0.2 η",
    ),
    "muon-spectral": UpdateRule(
        "muon-spectral",
        ORTHOGONAL.change,
        1,
        "θ ← θ − η √(rows/columns) U Vᵀ, g = U Σ Vᵀ: what a matrix computes moves by RMS η",
    ),
}


def require_bare(name: str, known: Collection[str]) -> None:
    """Refuse numbers behind a known rule's name: the conditions are those of the rule alone.

    Examples
    --------
    >>> require_bare("adamw:eps=1e-3", ("adamw",))
    Traceback (most recent call last):
    ...
    theory.errors.InputError: conditions are solved for the bare rule adamw, with ε = 0 and without
    weight decay, got 'adamw:eps=1e-3' (tfixup check measures with such numbers)
    """
    base, colon, _ = name.partition(":")
    if colon and base in known:
        raise InputError(
            f"conditions are solved for the bare rule {base}, with ε = 0 and without weight decay, "
            f"got {name!r} (tfixup check measures with such numbers)"
        )


def update_rule_named(name: str) -> UpdateRule:
    """Look a rule up; an unknown name is an error that offers the nearest."""
    require_bare(name, RULES)
    if name not in RULES:
        raise nearest(name, RULES, "optimizer")
    return RULES[name]


def branch_gain(branch: NormPolynomial, rule: UpdateRule, shortcut: sp.Expr = sp.S.One) -> sp.Expr:
    """How far a branch moves in one step ÷ η: the sum of the rule's change over trained slots.

    Examples
    --------
    >>> a, b = sp.symbols("a b", positive=True)
    >>> pair = NormPolynomial(a * b, (a, b))
    >>> [branch_gain(pair, rule) for rule in (SGD, SIGN, LAYERWISE)]
    [a**2 + b**2, a + b, 2*a*b]
    """
    return sp.Add(
        *(rule.change(sp.diff(branch.output, slot) / shortcut, slot) for slot in branch.trained)
    )


def block_gain(block: Block, rule: UpdateRule, shortcut: sp.Expr = sp.S.One) -> sp.Expr:
    """Sum of the gains of a block's branches."""
    return sp.Add(*(branch_gain(branch, rule, shortcut) for branch in block.branches))


def stack_gain(stack: Stack, rule: UpdateRule) -> sp.Expr:
    """Sum of the gains of all blocks, each times its count."""
    return sp.Add(
        *(count * block_gain(block, rule, stack.shortcut) for block, count in stack.blocks)
    )


def sensitivity(stack: Stack, activation: sp.Symbol, *, coherent: bool = False) -> sp.Expr:
    """Mean square of ∂G/∂activation, summed over the branches that read ``activation``.

    A step does not choose ∂G/∂activation, so it acts in mean square whatever the rule. The
    ``coherent`` sum Σ |∂G/∂activation| is the worst case, which DeepNorm's bound takes.
    """
    power = 1 if coherent else 2
    return sp.Add(
        *(
            count * (sp.diff(branch.output, activation) / stack.shortcut) ** power
            for block, count in stack.blocks
            for branch in block.branches
            if activation in branch.reads
        )
    )
