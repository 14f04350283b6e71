"""Which recipe a model was drawn by, when nobody says: the one that most tensors agree with.

Recipes whose base standard deviation is a choice are tried with their own number and with the one
measured in the matrices that read the stream.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from numerics.own_model.audit.comparison import MARGIN, AuditRow, compare
from numerics.own_model.audit.sample import Sample
from numerics.recipes import RECIPES
from numerics.recipes.draw import truncation_shrink
from numerics.recipes.place import READERS, ModelSizes, ParameterPlace
from numerics.recipes.recipe import Placement, Recipe
from numerics.structure.types import Structure
from theory.errors import InputError

FITS = 0.9
"""Share of the drawn tensors that must agree with a recipe for the model to be said to have it."""
NEAR = 0.4
"""Least share of the tensors that a recipe must explain for the model to be compared with it."""
PART = 0.2
"""Least share of the tensors that a second recipe must explain to be named."""


@dataclass(frozen=True)
class Nearest:
    """The recipe that explains most of a model's drawn tensors."""

    recipe: Recipe
    agree: int
    """Drawn tensors that agree with it."""
    drawn: int
    """All drawn tensors: matrices and tables that are not constant."""
    other: Recipe | None
    """A second recipe that explains most of the rest; ``None`` where there is none."""
    other_agree: int
    roles: tuple[str, ...]
    """Roles that the second recipe explains."""

    @property
    def fits(self) -> bool:
        """Whether the model has this recipe."""
        return self.drawn > 0 and self.agree >= FITS * self.drawn

    @property
    def near(self) -> bool:
        """Whether it explains enough to compare the model with it."""
        return self.agree >= NEAR * self.drawn

    @property
    def words(self) -> str:
        """The answer in a sentence."""
        if self.other is not None:
            return (
                f"Two recipes mixed: {self.recipe.name} in {self.agree} of {self.drawn} drawn "
                f"tensors, {self.other.name} in {self.other_agree} ({', '.join(self.roles)})."
            )
        name = "torch's defaults" if is_torch(self.recipe) else self.recipe.name
        share = f"{self.agree} of {self.drawn} drawn tensors agree"
        if not self.near:
            return f"No recipe is near: of {name}, {share}."
        return f"{'Recipe found' if self.fits else 'Nearest recipe'}: {name} ({share})."


def is_torch(recipe: Recipe) -> bool:
    """Whether it is one of torch's defaults."""
    return recipe.name in ("torch", "torch-transformer")


def nearest_recipe(
    found: tuple[ParameterPlace, ...],
    samples: tuple[Sample, ...],
    setting: ModelSizes,
    structure: Structure,
) -> Nearest | None:
    """The recipe nearest to a model; ``None`` where nothing was drawn."""
    drawn = [i for i, p in enumerate(found) if is_drawn(p, samples[i])]
    if not drawn:
        return None
    placement = placement_of(structure)
    scored = []
    for recipe in _candidates(found, samples):
        try:
            rows = compare(found, samples, recipe, setting)
        except InputError:
            continue  # the recipe is not defined for this number of stacks
        agreeing = {i for i in drawn if rows[i].agrees}
        constants = sum(row.agrees is True for row in rows if row.factor is None)
        matches = (recipe.placement == placement) + 0.5 * (recipe.placement == "any")
        # A recipe's own number explains more than a number that was fitted.
        matches -= 2 * (":" in recipe.name)
        scored.append((len(agreeing), matches, constants, agreeing, recipe))
    best = max(scored, key=lambda item: item[:3])
    rest = [i for i in drawn if i not in best[3]]
    other = max(scored, key=lambda item: (len(item[3] & set(rest)), item[1], item[2]))
    explained = other[3] & set(rest)
    mixed = (
        len(rest) > (1 - FITS) * len(drawn)
        and len(explained) >= max(2, PART * len(drawn), 0.8 * len(rest))
        and best[0] >= PART * len(drawn)
    )
    return Nearest(
        best[4],
        best[0],
        len(drawn),
        other[4] if mixed else None,
        len(explained) if mixed else 0,
        tuple(dict.fromkeys(found[i].role for i in sorted(explained))) if mixed else (),
    )


def is_drawn(place: ParameterPlace, sample: Sample) -> bool:
    """Whether a place is a matrix or a table with entries that were drawn."""
    table = place.role in ("embedding", "positions", "head")
    return (place.is_matrix or table) and sample.shape not in ("zero", "constant")


def placement_of(structure: Structure) -> Placement:
    """Where most branches have their norms."""
    kinds: Counter[Placement] = Counter()
    for branch in structure.branches:
        if branch.norm_on_stream:
            kinds["on-stream"] += 1
        elif branch.norm_before or branch.norm_after:
            kinds["before"] += 1
        else:
            kinds["none"] += 1
    return kinds.most_common(1)[0][0] if kinds else "any"


def _candidates(found: Sequence[ParameterPlace], samples: Sequence[Sample]) -> Iterator[Recipe]:
    stds = [
        sample.std
        for place, sample in zip(found, samples, strict=True)
        if place.role in READERS and sample.std > 0
    ]
    for recipe in RECIPES.values():
        yield recipe
        if recipe.fitted and stds:
            base: Any = recipe
            measured = median(stds) / truncation_shrink(getattr(base, "cut", math.inf))
            if abs(measured / base.std - 1) > MARGIN:
                rounded = float(f"{measured:.3g}")
                name = f"{recipe.name}:std={rounded:g}"
                yield replace(base, std=measured, name=name)


def explained(rows: Sequence[AuditRow], others: Sequence[AuditRow]) -> list[AuditRow]:
    """Rows that disagree with one recipe and agree with another."""
    return [one for one, two in zip(rows, others, strict=True) if one.problem and two.agrees]
