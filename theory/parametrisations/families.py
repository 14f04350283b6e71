"""All recipes that meet given conditions: exponents as affine functions of those left free.

Equations are solved exactly; what remains are inequalities in the free exponents. A multiplier c on
a weight with its std divided by c changes only what a step does, so multipliers of trained roles
are taken as 0 unless asked for (with the rate adjusted they give the same training). If no
exponents meet the conditions, the error carries a certificate that proves it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy as sp

from theory.parametrisations.certificates import Contradiction, contradiction, fraction
from theory.parametrisations.conditions import STANDARD, PowerCondition, conditions, merged
from theory.parametrisations.linear_programs import minimum
from theory.parametrisations.powers import Powers, unknown
from theory.parametrisations.recipes import RECIPES, PowerRecipe
from theory.parametrisations.sizes import StructurePowers
from theory.parametrisations.step_laws import StepLaw
from theory.parametrisations.structures import StackStructure


def multiplier(role: str) -> sp.Symbol:
    """Exponent of a role's multiplier."""
    return sp.Symbol(f"multiplier[{role}]", real=True)


def std(role: str) -> sp.Symbol:
    """Exponent of a role's standard deviation."""
    return sp.Symbol(f"std[{role}]", real=True)


def rate(role: str) -> sp.Symbol:
    """Exponent of a role's learning-rate factor."""
    return sp.Symbol(f"rate[{role}]", real=True)


@dataclass(frozen=True)
class Question:
    """What is asked of which structure under which rule."""

    structure: StackStructure
    law: StepLaw
    families: tuple[str, ...] = STANDARD
    """Families of conditions."""
    axis: str = "depth"
    ties: tuple[tuple[str, sp.Expr], ...] = ()
    """Further forms that must be 0, with the reason for each."""
    without: tuple[str, ...] = ()
    """Roles whose own shares are not asked for."""
    multipliers: bool = False
    """Whether trained roles may have multipliers."""

    def conditions(self, powers: Mapping[str, Powers] | None = None) -> tuple[PowerCondition, ...]:
        """Every condition, in the unknown exponents or at given ones."""
        kinds = {role: self.structure.kinds[role] for role in self.structure.used}
        given = unknown(kinds) if powers is None else powers
        sizes = StructurePowers(self.structure, given, self.law, self.axis, steady=True)
        asked = [
            item
            for item in merged(conditions(sizes, self.families))
            if not (item.family == "share" and item.subject in self.without)
        ]
        values = {
            symbol: value
            for role in (kinds if powers is not None else ())
            for symbol, value in (
                (multiplier(role), given[role].multiplier),
                (std(role), given[role].std),
                (rate(role), given[role].rate),
            )
        }
        tied = (
            PowerCondition("tie", reason, sp.sympify(form).subs(values), True)
            for reason, form in self.ties
        )
        if powers is None and not self.multipliers:
            fixed = {multiplier(role): 0 for role in self.structure.trained}
            asked = [replace(item, form=item.form.subs(fixed)) for item in asked]
        return _distinct((*asked, *tied))


def _distinct(asked: tuple[PowerCondition, ...]) -> tuple[PowerCondition, ...]:
    """Each form once, under its first name, without those that are 0 whatever the exponents."""
    found: dict[tuple[sp.Expr, bool], PowerCondition] = {}
    for item in asked:
        form = sp.expand(item.form)
        if form != 0:
            found.setdefault((form, item.exact), item)
    return tuple(found.values())


@dataclass(frozen=True)
class SolutionFamily:
    """Exponents that meet a question's conditions."""

    question: Question
    exponents: Mapping[sp.Symbol, sp.Expr]
    """Every exponent that the conditions involve, in the free ones."""
    free: tuple[sp.Symbol, ...]
    bounds: tuple[sp.Expr, ...]
    """Affine forms in the free exponents that must be at most 0."""
    members: tuple[str, ...]
    """Published recipes that meet all conditions."""

    def __getitem__(self, exponent: sp.Symbol) -> sp.Expr:
        return self.exponents[exponent]

    def range(self, exponent: sp.Symbol) -> tuple[sp.Expr, sp.Expr]:
        """Least and greatest value of an exponent in the family."""
        form = sp.sympify(self.exponents.get(exponent, exponent))
        least, negated = (_least(side, self.bounds, self.free) for side in (form, -form))
        return least, -negated

    def contains(self, powers: Mapping[str, Powers]) -> bool:
        """Whether given exponents meet every condition."""
        return meets(self.question, powers)


def meets(question: Question, powers: Mapping[str, Powers]) -> bool:
    """Whether exponents meet a question's conditions, ties included."""
    return all(item.met(item.form) for item in question.conditions(powers))


def solve(question: Question) -> SolutionFamily:
    """The family of all solutions.

    Raises
    ------
    Contradiction
        If there is none, with a certificate of that.

    Examples
    --------
    >>> from theory.parametrisations.step_laws import STEP_LAWS
    >>> from theory.parametrisations.structures import STRUCTURES
    >>> unit = tuple((f"{role} of unit size", std(role)) for role in ("in", "out", "score", "gain"))
    >>> head = (("a head of unit size", std("head")),)
    >>> asked = Question(STRUCTURES["pre-norm"], STEP_LAWS["adamw"], ties=unit + head)
    >>> found = solve(asked)
    >>> found[rate("out")], found.range(multiplier("branch"))
    (-multiplier[branch] - 1, (-oo, -1/2))
    """
    asked = question.conditions()
    exact = [item.form for item in asked if item.exact]
    unknowns = sorted(set().union(*(item.form.free_symbols for item in asked)), key=_order)
    (solution,) = sp.linsolve(exact, *unknowns) or (None,) if exact else (tuple(unknowns),)
    if solution is None:
        raise _refuted(question, asked)
    exponents = dict(zip(unknowns, solution, strict=True))
    free = tuple(symbol for symbol in unknowns if exponents[symbol] == symbol)
    remaining = (sp.expand(item.form.subs(exponents)) for item in asked if not item.exact)
    bounds = tuple(dict.fromkeys(form for form in remaining if form != 0))
    if contradiction(PowerCondition("bound", str(form), form, False) for form in bounds):
        raise _refuted(question, asked)
    bounds = tuple(form for form in bounds if not form.is_number)
    members = tuple(name for name, recipe in RECIPES.items() if _is_member(question, recipe))
    return SolutionFamily(question, exponents, free, bounds, members)


def _order(symbol: sp.Symbol) -> tuple[int, str]:
    """Rates first: they are solved for, and scales are left free."""
    kind = str(symbol).split("[")[0]
    return ("rate", "std", "multiplier").index(kind), str(symbol)


def _least(form: sp.Expr, bounds: tuple[sp.Expr, ...], free: tuple[sp.Symbol, ...]) -> sp.Expr:
    """Least value of an affine form where every bound is at most 0."""
    # Variables are unbounded, so each is a difference of two; each bound gets a slack.
    nothing = dict.fromkeys(free, 0)
    rows, right = [], []
    for position, bound in enumerate(bounds):
        slopes = [fraction(bound.coeff(symbol)) for symbol in free]
        slack = [int(other == position) for other in range(len(bounds))]
        rows.append([*slopes, *(-slope for slope in slopes), *slack])
        right.append(-fraction(bound.subs(nothing)))
    slopes = [fraction(form.coeff(symbol)) for symbol in free]
    found = minimum([*slopes, *(-slope for slope in slopes), *([0] * len(bounds))], rows, right)
    if found.value is None:
        return -sp.oo
    return form.subs(nothing) + sp.Rational(found.value.numerator, found.value.denominator)


def _refuted(question: Question, asked: tuple[PowerCondition, ...]) -> Contradiction:
    found = contradiction(asked)
    assert found is not None, "conditions without a solution have a certificate"
    return Contradiction(question.structure.name, found)


def _is_member(question: Question, recipe: PowerRecipe) -> bool:
    if recipe.structure != question.structure.name or question.axis not in recipe.extent:
        return False
    powers = recipe.powers(question.axis)
    # Powers of the layer's own number are no part of a family.
    by_layer = any(own.multiplier_by_layer or own.std_by_layer for own in powers.values())
    return not by_layer and meets(question, powers)
