"""Which conditions a recipe meets under an update rule, and by what power it misses the others.

The total change of f is the largest contribution of any role. A role's share is its contribution
over that total, and a share that falls with N belongs to weights that no longer take part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import sympy as sp

from theory.parametrisations.conditions import PowerCondition, conditions, merged
from theory.parametrisations.powers import ZERO
from theory.parametrisations.recipes import PowerRecipe
from theory.parametrisations.sizes import StructurePowers, Sum
from theory.parametrisations.step_laws import StepLaw

_T = TypeVar("_T")


@dataclass(frozen=True)
class Judged:
    """A condition with the power of N or n that was found."""

    condition: str
    power: sp.Expr
    """0 is asked, or at most 0; −∞ means that the quantity is exactly 0."""
    asked: str
    met: bool
    logarithm: bool
    """Whether a logarithm comes on top."""
    meaning: str


@dataclass(frozen=True)
class RecipeJudgement:
    """All conditions of a recipe under a step law."""

    recipe: str
    structure: str
    optimizer: str
    axis: str
    items: tuple[Judged, ...]
    changes: Mapping[str, Sum]
    """Power of the change of f by role, and by kind of block where those differ."""
    gradients: Mapping[str, sp.Expr]
    """Power of one entry's gradient ∂f/∂θ, by the same names."""
    total: Sum
    regular: bool
    """Whether sums over blocks are powers: without norms, or with norms after, a stream that its
    branches outgrow grows or decays exponentially, and the powers say only where that begins."""

    @property
    def met(self) -> tuple[Judged, ...]:
        """Conditions that hold."""
        return tuple(item for item in self.items if item.met)

    @property
    def missed(self) -> tuple[Judged, ...]:
        """Conditions that do not."""
        return tuple(item for item in self.items if not item.met)

    def __getitem__(self, condition: str) -> Judged:
        return next(item for item in self.items if item.condition == condition)


def judge(recipe: PowerRecipe, law: StepLaw, axis: str = "depth") -> RecipeJudgement:
    """Conditions that a recipe meets and misses, with powers.

    Examples
    --------
    >>> from theory.parametrisations.recipes import RECIPES
    >>> from theory.parametrisations.step_laws import STEP_LAWS
    >>> found = judge(RECIPES["gpt2"], STEP_LAWS["adamw"])
    >>> found["stream: stream"].met, found["update"].power
    (True, 1)
    """
    sizes = StructurePowers(recipe.wired, recipe.powers(axis), law, axis)
    changes = _changes(sizes)
    largest = sp.Max(*(item.power for item in changes.values()))
    total = Sum(largest, any(s.logarithm and s.power == largest for s in changes.values()))
    growths = {stream.name: sizes.growth(stream) for stream in recipe.wired.streams}
    regular = all(
        stream.wiring == "pre-norm" or growths[stream.name].power <= 0
        for stream in recipe.wired.streams
    )
    asked = merged(conditions(sizes, ("start", "stream", "scores", "memory", "inside")))
    items = [
        Judged("update", total.power, "0", total.power == 0, total.logarithm, "f moves by Θ(1)"),
        *_stated(asked, growths),
        *_shares(sizes, changes, total),
        *_even(sizes),
    ]
    found = {name: change for (_, name), change in _named(changes).items()}
    gradients = {name: gradient for (_, name), gradient in _named(_gradients(sizes)).items()}
    return RecipeJudgement(
        recipe.name,
        recipe.structure,
        law.name,
        axis,
        tuple(items),
        found,
        gradients,
        total,
        regular,
    )


_MEANINGS = {
    "start": "the stream starts at size Θ(1)",
    "stream": "branches add at most Θ(1) of the stream's start",
    "scores": "attention's logits do not grow",
    "memory": "f's derivative by the memory is Θ(1)",
    "inside": "what the role computes changes by a Θ(1) fraction of itself",
}


def _changes(sizes: StructurePowers) -> dict[tuple[str, str], Sum]:
    """Power of the change of f by (role, kind of block); the ends stand in no block."""
    found = {
        (role, branch.name): sizes.branch_change(stream, branch, role)
        for stream, branch, role in sizes.uses
    }
    ends = {(role, ""): Sum(sizes.change(role, sizes.end_gradient(role))) for role in sizes.ends}
    return found | ends


def _gradients(sizes: StructurePowers) -> dict[tuple[str, str], sp.Expr]:
    """Power of an entry's gradient by (role, kind of block), in the later half of the blocks."""
    found = {
        (role, branch.name): sizes.gradient(stream, branch, role)
        for stream, branch, role in sizes.uses
    }
    return found | {(role, ""): sizes.end_gradient(role) for role in sizes.ends}


def _named(found: Mapping[tuple[str, str], _T]) -> dict[tuple[str, str], _T]:
    """One entry for a role in whose blocks of every kind the values agree, by (role, name)."""
    named = {}
    for (role, place), value in found.items():
        alike = len({item for (other, _), item in found.items() if other == role}) == 1
        named[role, role if alike or not place else f"{role} in {place}"] = value
    return named


def _stated(asked: tuple[PowerCondition, ...], growths: Mapping[str, Sum]) -> list[Judged]:
    return [
        Judged(
            item.name,
            item.form,
            "0" if item.exact else "≤ 0",
            item.met(item.form),
            item.family == "stream" and any(g.logarithm for g in growths.values()),
            _MEANINGS[item.family],
        )
        for item in asked
    ]


def _shares(
    sizes: StructurePowers, changes: Mapping[tuple[str, str], Sum], total: Sum
) -> list[Judged]:
    end, block = "a Θ(1) part of f's change comes through it", ", Θ(1/N) through each block's"
    return [
        Judged(
            f"share: {name}",
            # A change of 0 has no power that a total could be taken from.
            ZERO if change.power == ZERO else change.power - total.power,
            "0",
            change.power == total.power,
            False,
            end + ("" if role in sizes.ends or sizes.axis == "width" else block),
        )
        for (role, name), change in _named(changes).items()
    ]


def _even(sizes: StructurePowers) -> list[Judged]:
    if sizes.axis != "depth":
        return []
    worst = sp.Max(*(sizes.unevenness(*use) for use in sizes.uses))
    meaning = "the first and the last blocks of a kind contribute alike"
    return [Judged("even blocks", worst, "0", worst == 0, False, meaning)]


def repaired_rates(recipe: PowerRecipe, law: StepLaw, axis: str = "depth") -> dict[str, sp.Expr]:
    """Powers of the rates that keep a recipe's scales and give every role a share of Θ(1).

    A rate enters a contribution once, so each falls by the excess of its role's largest.

    Examples
    --------
    >>> from theory.parametrisations.recipes import RECIPES
    >>> from theory.parametrisations.step_laws import STEP_LAWS
    >>> rates = repaired_rates(RECIPES["gpt2"], STEP_LAWS["adamw"])
    >>> rates["out"], rates["in"], rates["embedding"]
    (-1, -1/2, 0)
    """
    sizes = StructurePowers(recipe.wired, recipe.powers(axis), law, axis)
    excess: dict[str, sp.Expr] = {}
    for stream, branch, role in sizes.uses:
        change = sizes.branch_change(stream, branch, role).power
        excess[role] = sp.Max(excess.get(role, ZERO), change)
    excess |= {role: sizes.change(role, sizes.end_gradient(role)) for role in sizes.ends}
    given = recipe.powers(axis)
    # A role that is not reached at the first step keeps its rate.
    return {
        role: given[role].rate - (0 if power == ZERO else power) for role, power in excess.items()
    }
