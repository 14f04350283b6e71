"""Multipliers, standard deviations and rates by role for one network, as numbers.

Two ways in. A published recipe at N layers and width n is its formulas evaluated. A structure that
no recipe names gets the member of its family that is asked for: unit matrices, and branches either
as large as a steady stream allows (N^(-1/2), as depth-μP) or so small that what every matrix
computes changes by a Θ(1) fraction (CompleteP's demand). Where a model cannot be given multipliers,
the branch's power goes into the output matrices' std, and their rates make up for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from theory.errors import InputError, require_positive
from theory.parametrisations.conditions import STANDARD
from theory.parametrisations.families import Question, multiplier, solve, std
from theory.parametrisations.judgement import Judgement, judge
from theory.parametrisations.powers import (
    BASE_DEPTH,
    BASE_WIDTH,
    DEPTH,
    LAYER,
    WIDTH,
    Powers,
    Rule,
)
from theory.parametrisations.recipes import Recipe
from theory.parametrisations.step_laws import HALF, StepLaw
from theory.parametrisations.structures import Structure


@dataclass(frozen=True)
class Factors:
    """Numbers for one role; rate, weight decay and ε are factors on the optimizer's own."""

    multiplier: float
    std: float
    rate: float
    weight_decay: float = 1.0
    epsilon: float = 1.0


@dataclass(frozen=True)
class Prescription:
    """Numbers by role, the exponents behind them, and what these do."""

    structure: Structure
    optimizer: str
    layers: int
    base_layers: int
    """Depth at which every factor is 1."""
    exponents: Mapping[str, Powers]
    factors: Mapping[str, Factors]
    judgement: Judgement
    assumed: tuple[str, ...]
    """What no condition forced."""


def evaluated(
    recipe: Recipe,
    layers: int,
    width: int,
    *,
    base_layers: int = 2,
    base_width: int = 256,
    layer: int | None = None,
) -> dict[str, Factors]:
    """A published recipe's numbers by role.

    Parameters
    ----------
    recipe
        Formulas by role.
    layers, width
        N and n of the model.
    base_layers, base_width
        N₀ and n₀ at which the recipe's constants were tuned, where it has such.
    layer
        l, from 1, for recipes that differ by layer.

    Raises
    ------
    InputError
        If a number is below 1, or the recipe differs by layer and none is given.

    Examples
    --------
    >>> from theory.parametrisations.recipes import RECIPES
    >>> round(evaluated(RECIPES["gpt2"], 12, 768)["out"].std, 5)
    0.00408
    >>> evaluated(RECIPES["depth-mup"], 32, 64)["in"].rate
    0.25
    """
    require_positive(layers=layers, width=width, base_layers=base_layers, base_width=base_width)
    at = {DEPTH: layers, WIDTH: width, BASE_DEPTH: base_layers, BASE_WIDTH: base_width}
    if layer is not None:
        require_positive(layer=layer)
        at[LAYER] = layer
    found = {}
    for role in recipe.wired.used:
        rule = recipe.rule(role)
        numbers = [side.subs(at) for side in _sides(rule)]
        if any(number.has(LAYER) for number in numbers):
            raise InputError(f"{recipe.name} differs by layer: {role} needs the layer's number")
        found[role] = Factors(*(float(number) for number in numbers))
    return found


def _sides(rule: Rule) -> tuple[sp.Expr, ...]:
    sides = (rule.multiplier, rule.std, rule.rate, rule.weight_decay, rule.epsilon)
    return tuple(map(sp.sympify, sides))


def prescribe(
    structure: Structure,
    law: StepLaw,
    layers: int,
    *,
    base_layers: int = 1,
    complete: bool = False,
    multipliers: bool = True,
) -> Prescription:
    """Factors by role, relative to the depth at which a model is known to train.

    Parameters
    ----------
    structure
        Streams and branches.
    law
        What the optimizer does with a gradient.
    layers
        N.
    base_layers
        Depth at which every factor is 1: the depth where the base rate was tuned.
    complete
        Demand that what every matrix computes changes by a Θ(1) fraction of itself (CompleteP);
        otherwise branches are as large as a steady stream allows (depth-μP).
    multipliers
        Whether branches may be multiplied; otherwise their power goes into ``out``.

    Raises
    ------
    Contradiction
        If no exponents meet the conditions; the message adds the contradicting ones up.

    Examples
    --------
    >>> from theory.parametrisations.step_laws import law_named
    >>> from theory.parametrisations.structures import structure_named
    >>> found = prescribe(structure_named("pre-norm"), law_named("adamw"), 64, base_layers=4)
    >>> found.factors["branch"].multiplier, found.factors["out"].rate
    (0.25, 0.25)
    """
    require_positive(layers=layers, base_layers=base_layers)
    ties = [*_units(structure, multipliers=multipliers), *_sizes(structure, complete, multipliers)]
    more = ("inside",) if complete else ()
    question = Question(structure, law, (*STANDARD, *more), ties=tuple(ties))
    family = solve(question)
    exponents = {
        role: Powers(*(_chosen(family.exponents, f"{side}[{role}]") for side in _SIDES))
        for role in structure.used
    }
    ratio = layers / base_layers
    factors = {
        role: Factors(*(ratio ** float(getattr(own, side)) for side in _SIDES))
        for role, own in exponents.items()
    }
    recipe = Recipe(
        "prescribed",
        structure.name,
        {
            # A bias starts at 0 whatever its rate.
            role: Rule(*(DEPTH ** getattr(own, side) for side in _SIDES))
            if role != "bias"
            else Rule(std=sp.S.Zero, rate=DEPTH**own.rate)
            for role, own in exponents.items()
        },
        law.name,
        "solved from the conditions",
        shape=structure,
    )
    return Prescription(
        structure,
        law.name,
        layers,
        base_layers,
        exponents,
        factors,
        judge(recipe, law),
        tuple(reason for reason, _ in ties),
    )


_SIDES = ("multiplier", "std", "rate")


def _chosen(exponents: Mapping[sp.Symbol, sp.Expr], name: str) -> sp.Expr:
    """An exponent of the family with whatever is left free at 0."""
    value = sp.sympify(exponents.get(sp.Symbol(name, real=True), 0))
    return value.subs(dict.fromkeys(value.free_symbols, 0))


def _writers(structure: Structure) -> dict[str, str]:
    """The last trained role of each branch, which sets what it adds, by its multiplier's role."""
    return {
        branch.roles[-1]: next(role for role in reversed(branch.roles) if role in structure.trained)
        for stream in structure.streams
        for branch in stream.branches
        if branch.reads is not None and branch.roles[-1] not in structure.trained
    }


def _units(structure: Structure, *, multipliers: bool) -> list[tuple[str, sp.Expr]]:
    """Weights that keep their size; only what writes to a stream may carry the branch's power."""
    carriers = () if multipliers else tuple(_writers(structure).values())
    kept = [role for role in structure.trained if role != "bias" and role not in carriers]
    return [(f"{role} keeps its size", std(role)) for role in kept]


def _sizes(structure: Structure, complete: bool, multipliers: bool) -> list[tuple[str, sp.Expr]]:
    """Branches as large as a steady stream allows, unless CompleteP's demand fixes their size."""
    ties: list[tuple[str, sp.Expr]] = []
    for branch, writer in _writers(structure).items():
        if not multipliers:
            ties.append((f"{branch} stays 1", multiplier(branch)))
        if not complete:
            carrier = multiplier(branch) if multipliers else std(writer)
            ties.append((f"{branch} as large as a steady stream allows", carrier + HALF))
    for stream in structure.streams:
        if stream.shortcut and not complete:
            size = multiplier(stream.shortcut) - HALF
            ties.append((f"{stream.shortcut} as small as a steady stream allows", size))
    return ties
