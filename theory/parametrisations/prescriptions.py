"""Multipliers, standard deviations and rates by role for one network, as numbers.

Two ways in. A published recipe at N layers and width n is its formulas evaluated. A structure that
no recipe names gets the member of its family that is asked for: unit matrices, and branches either
as large as a steady stream allows (N^(-1/2), as depth-μP) or so small that what every matrix
computes changes by a Θ(1) fraction (CompleteP's demand). Where a model cannot be given multipliers,
the branch's power goes into the std of what writes to the stream, and its rate makes up for it.

Weight decay takes the fraction η λ of a weight in a step, which moves f by a Θ(1) fraction of what
the branches add, whatever the depth, if η λ does not depend on it: λ has the inverse factor of η.
Adam's ε stands beside a gradient's entries and has their power.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from theory.errors import InputError, require_positive
from theory.parametrisations.conditions import STANDARD
from theory.parametrisations.families import Question, SolutionFamily, multiplier, solve, std
from theory.parametrisations.judgement import RecipeJudgement, judge
from theory.parametrisations.powers import (
    BASE_DEPTH,
    BASE_WIDTH,
    DEPTH,
    LAYER,
    WIDTH,
    Powers,
    RolePowers,
)
from theory.parametrisations.recipes import PowerRecipe
from theory.parametrisations.sizes import StructurePowers
from theory.parametrisations.step_laws import HALF, StepLaw
from theory.parametrisations.structures import ResidualStream, RoleProduct, StackStructure


@dataclass(frozen=True)
class RoleFactors:
    """Numbers for one role; rate, weight decay and ε are factors on the optimizer's own."""

    multiplier: float
    std: float
    rate: float
    weight_decay: float = 1.0
    epsilon: float = 1.0


@dataclass(frozen=True)
class PowerPrescription:
    """Numbers by role, the exponents behind them, and what these do."""

    structure: StackStructure
    optimizer: str
    layers: int
    base_layers: int
    """Depth at which every factor is 1."""
    exponents: Mapping[str, Powers]
    gradients: Mapping[str, sp.Expr]
    """Power of one entry's gradient."""
    factors: Mapping[str, RoleFactors]
    family: SolutionFamily
    """Every answer that meets the conditions with the model's multipliers, gains and head."""
    judgement: RecipeJudgement
    assumed: tuple[str, ...]
    """What no condition forced."""


def evaluated(
    recipe: PowerRecipe,
    layers: int,
    width: int,
    *,
    base_layers: int = 2,
    base_width: int = 256,
    layer: int | None = None,
) -> dict[str, RoleFactors]:
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
        found[role] = RoleFactors(*(float(number) for number in numbers))
    return found


def _sides(rule: RolePowers) -> tuple[sp.Expr, ...]:
    sides = (rule.multiplier, rule.std, rule.rate, rule.weight_decay, rule.epsilon)
    return tuple(map(sp.sympify, sides))


def prescribe(
    structure: StackStructure,
    law: StepLaw,
    layers: int,
    *,
    base_layers: int = 1,
    complete: bool = False,
    multipliers: bool = True,
    given: Mapping[str, sp.Rational] | None = None,
) -> PowerPrescription:
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
    given
        Powers of the multipliers that a model has and that are not free, by role.

    Raises
    ------
    InputError
        If a branch has neither a multiplier nor a weight that sets the size of what it adds.
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
    fixed = dict(given or {})
    if not multipliers:
        fixed = dict.fromkeys(_branch_multipliers(structure), sp.S.Zero) | fixed
    carriers = _carriers(structure, fixed)
    ties = [*_units(structure, carriers), *_sizes(structure, carriers, fixed, complete)]
    more = ("inside",) if complete else ()
    question = Question(structure, law, (*STANDARD, *more), ties=tuple(ties))
    family = solve(question)
    exponents = {
        role: Powers(*(_chosen(family.exponents, f"{side}[{role}]") for side in _SIDES))
        for role in structure.used
    }
    recipe = PowerRecipe(
        "prescribed",
        structure.name,
        {
            # A bias starts at 0 whatever its rate.
            role: RolePowers(*(DEPTH ** getattr(own, side) for side in _SIDES))
            if role != "bias"
            else RolePowers(std=sp.S.Zero, rate=DEPTH**own.rate)
            for role, own in exponents.items()
        },
        law.name,
        "solved from the conditions",
        shape=structure,
    )
    gradients = _gradients(recipe, law)
    factors = {
        role: _factors(own, gradients.get(role, sp.S.Zero), layers / base_layers)
        for role, own in exponents.items()
    }
    return PowerPrescription(
        structure,
        law.name,
        layers,
        base_layers,
        exponents,
        gradients,
        factors,
        solve(replace(question, ties=tuple(_unforced(structure, ties)))),
        judge(recipe, law),
        tuple(reason for reason, _ in ties),
    )


_SIDES = ("multiplier", "std", "rate")


def _unforced(
    structure: StackStructure, ties: Iterable[tuple[str, sp.Expr]]
) -> Iterator[tuple[str, sp.Expr]]:
    """The assumptions about what is no initialisation's to choose: multipliers, gains, the head."""
    kept = [std(r) for r in structure.trained if structure.kinds[r] in ("vector", "output")]
    for reason, form in ties:
        symbols = form.free_symbols
        if symbols <= set(kept) or not any(str(one).startswith("std") for one in symbols):
            yield reason, form


def _factors(own: Powers, gradient: sp.Expr, ratio: float) -> RoleFactors:
    sides = (own.multiplier, own.std, own.rate, -own.rate, gradient)
    return RoleFactors(*(ratio ** float(side) for side in sides))


def _gradients(recipe: PowerRecipe, law: StepLaw) -> dict[str, sp.Expr]:
    """Power of the largest gradient's entries by role."""
    sizes = StructurePowers(recipe.wired, recipe.powers(), law)
    found: dict[str, sp.Expr] = {role: sizes.end_gradient(role) for role in sizes.ends}
    for stream, branch, role in sizes.uses:
        own = sizes.gradient(stream, branch, role)
        found[role] = sp.Max(found.get(role, own), own)
    return found


def _chosen(exponents: Mapping[sp.Symbol, sp.Expr], name: str) -> sp.Expr:
    """An exponent of the family with whatever is left free at 0."""
    value = sp.sympify(exponents.get(sp.Symbol(name, real=True), 0))
    return value.subs(dict.fromkeys(value.free_symbols, 0))


def _adding(structure: StackStructure) -> Iterator[tuple[ResidualStream, RoleProduct, str | None]]:
    """Each branch that reads something, with its multiplier's role if it has one."""
    for stream in structure.streams:
        for branch in stream.branches:
            if branch.reads is not None:
                last = branch.roles[-1]
                yield stream, branch, None if last in structure.trained else last


def _branch_multipliers(structure: StackStructure) -> tuple[str, ...]:
    return tuple(dict.fromkeys(role for *_, role in _adding(structure) if role is not None))


def _carriers(
    structure: StackStructure, fixed: Mapping[str, sp.Rational]
) -> dict[tuple[str, str], sp.Symbol]:
    """What sets the size of what a branch adds, by stream and branch.

    The multiplier where it is free, else the std of the last trained role behind every norm; in a
    stream with norms after the additions the shortcut's multiplier where that is free.
    """
    found = {}
    for stream, branch, role in _adding(structure):
        if stream.shortcut is not None and stream.shortcut not in fixed and role is None:
            continue
        if role is not None and role not in fixed:
            found[stream.name, branch.name] = multiplier(role)
            continue
        writers = [one for one in branch.roles[branch.normed :] if one in structure.trained]
        if not writers:
            raise InputError(
                f"{branch.name} is normed without a gain before it is added, so its size is 1 "
                "whatever its weights: only a multiplier on it can keep the stream's size"
            )
        found[stream.name, branch.name] = std(writers[-1])
    return found


def _units(
    structure: StackStructure, carriers: Mapping[tuple[str, str], sp.Symbol]
) -> list[tuple[str, sp.Expr]]:
    """Weights that keep their size; only what sets a branch's size may carry a power."""
    vectors = {
        vector
        for stream in structure.streams
        for branch in stream.branches
        for vector, _ in branch.offsets
    }
    kept = [
        role
        for role in structure.trained
        if role != "bias" and role not in vectors and std(role) not in carriers.values()
    ]
    inputs = [
        (f"{stream.embedding} is of size 1", multiplier(stream.embedding))
        for stream in structure.streams
        if structure.kinds[stream.embedding] == "constant"
    ]
    return [*((f"{role} keeps its size", std(role)) for role in kept), *inputs]


def _sizes(
    structure: StackStructure,
    carriers: Mapping[tuple[str, str], sp.Symbol],
    fixed: Mapping[str, sp.Rational],
    complete: bool,
) -> list[tuple[str, sp.Expr]]:
    """Branches as large as a steady stream allows, unless CompleteP's demand fixes their size."""
    ties: list[tuple[str, sp.Expr]] = [
        (f"{role} stays 1" if power == 0 else f"{role} is N^({power})", multiplier(role) - power)
        for role, power in fixed.items()
    ]
    for stream, branch, role in _adding(structure):
        carrier = carriers.get((stream.name, branch.name))
        if complete or carrier is None:
            continue
        own = fixed.get(role, sp.S.Zero) if role is not None else sp.S.Zero
        alpha = fixed.get(stream.shortcut, sp.S.Zero) if stream.shortcut else sp.S.Zero
        # A multiplier that is smaller than it need be asks nothing more of the weights.
        size = sp.Min(0, alpha - HALF - own)
        if stream.shortcut is not None and stream.shortcut not in fixed:
            size = sp.S.Zero
        ties.append((f"{role or branch.name} as large as a steady stream allows", carrier - size))
    for stream in structure.streams:
        if stream.shortcut and stream.shortcut not in fixed and not complete:
            size = multiplier(stream.shortcut) - HALF
            ties.append((f"{stream.shortcut} as small as a steady stream allows", size))
    return list(dict.fromkeys(ties))
