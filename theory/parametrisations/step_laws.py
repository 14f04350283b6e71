"""How the change that one step makes scales with the gradient, the weight and the matrix's shape.

A step changes each entry of a weight θ by η |g|^(p−1) |θ|^q up to sign, where g = ∂f/∂θ: p = 2 for
SGD, p = 1 for rules whose step does not grow with the gradient, q = 1 for rules whose step is a
fraction of the weight. Along its own gradient such a step is *coherent*: the contributions of all
entries and of all blocks to the change of f have one sign, and k of them add to k. A step that does
not follow the gradient, such as weight decay, is incoherent: k contributions add to √k.

p and q are read off the rules of ``theory.scales.update_rules``, which are functions of g and θ.
"""

from dataclasses import dataclass

import sympy as sp

from theory.errors import nearest
from theory.scales.muon_scalings import MUONS
from theory.scales.update_rules import RULES, UpdateRule, require_bare

HALF = sp.Rational(1, 2)


@dataclass(frozen=True)
class StepLaw:
    """Powers of gradient, weight and shape in the step of one weight."""

    name: str
    gradient_power: int
    """p: the change of f along a step contains p factors of the gradient."""
    weight_power: int
    """q: 1 when the step is a fraction of the weight, 0 when it does not depend on it."""
    orthogonal: bool
    """Whether a hidden matrix moves by an orthogonal matrix, whose shape sets its entries."""
    coherent: bool
    """Whether contributions of entries and of blocks add with one sign."""
    meaning: str
    widened: bool = False
    """Whether a hidden matrix's step is larger by √max(fan-in, fan-out)."""

    def scaling_power(self, fans: tuple[int, int], *, matrix: bool) -> sp.Rational:
        """Power by which a rule's own factor on a matrix's step grows, from those of the fans.

        Muon's other factors, √max(1, fan-out/fan-in) and √(fan-out/fan-in), are 1 on matrices whose
        fans grow alike, as those of the blocks do.
        """
        return HALF * max(fans) if self.widened and matrix else sp.S.Zero

    def shape_power(self, *, matrix: bool) -> sp.Rational:
        """The power ε by which a tensor's step goes with its number of entries.

        f moves by (number of entries)^ε times what one entry's gradient suggests.
        """
        return HALF if self.orthogonal and matrix else sp.S.One


def degrees(rule: UpdateRule) -> tuple[int, int]:
    """How a rule's change scales when the gradient or the weight is multiplied, as powers (p, q).

    Examples
    --------
    >>> [degrees(RULES[name]) for name in ("sgd", "momentum", "adam", "muon", "lamb")]
    [(2, 0), (2, 0), (1, 0), (1, 0), (1, 1)]
    """
    derivative, weight, factor = sp.symbols("D theta t", positive=True)
    whole = rule.change(derivative, weight)
    scaled = (rule.change(factor * derivative, weight), rule.change(derivative, factor * weight))
    powers = (sp.simplify(factor * sp.diff(sp.log(side / whole), factor)) for side in scaled)
    gradient_power, weight_power = (int(power) for power in powers)
    return gradient_power, weight_power


def _law(name: str, rule: UpdateRule) -> StepLaw:
    gradient_power, weight_power = degrees(rule)
    orthogonal = name in MUONS
    meaning = rule.meaning + ("; sign(g) outside the hidden matrices" if orthogonal else "")
    widened = name == "muon-match-rms-adamw"
    return StepLaw(name, gradient_power, weight_power, orthogonal, True, meaning, widened)


STEP_LAWS: dict[str, StepLaw] = {
    **{name: _law(name, rule) for name, rule in RULES.items()},
    "weight-decay": StepLaw("weight-decay", 1, 1, False, False, "θ ← (1 − η) θ: no gradient"),
    "random": StepLaw("random", 1, 0, False, False, "θ ← θ + η ξ, ξ of size 1, independent of g"),
}
"""Step laws by name: every update rule, and two incoherent steps."""


def law_named(name: str) -> StepLaw:
    """Look a step law up; an unknown name is an error that offers the nearest.

    Examples
    --------
    >>> law_named("adamw").gradient_power
    1
    """
    require_bare(name, STEP_LAWS)
    if name not in STEP_LAWS:
        raise nearest(name, STEP_LAWS, "optimizer")
    return STEP_LAWS[name]
