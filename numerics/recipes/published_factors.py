"""Factors on rates of published recipes, for the tensors of any traced model.

The formulas are those of `theory.parametrisations.recipes`, evaluated at the model's depth and
width. They belong to a forward with the recipe's multipliers, which is the author's to write.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from numerics.recipes.factors import UNCHANGED, Factors
from numerics.recipes.place import READERS, WRITERS, ModelSizes, ParameterPlace
from theory.errors import InputError, require_positive
from theory.parametrisations.powers import BASE_DEPTH, BASE_WIDTH, DEPTH, WIDTH
from theory.parametrisations.recipes import RECIPES, PowerRecipe

_TABLES = {"embedding": "embedding", "positions": "embedding", "head": "head"}
_VECTORS = {"norm_gain": "gain", "norm_bias": "bias", "bias": "bias"}


@dataclass(frozen=True)
class PublishedFactors:
    """Factors by role, at one depth and width."""

    several: bool
    """Whether roles carry the name of their stream."""
    factors: Mapping[str, Factors]

    def factors_of(self, place: ParameterPlace) -> Factors:
        """The recipe's factors for a tensor; those that it does not name are 1."""
        return self.factors.get(self._role(place), UNCHANGED)

    def _role(self, place: ParameterPlace) -> str:
        if place.branch is None:
            if self.several and place.role in ("embedding", "positions"):
                return "source" if place.stack == "encoder" else "target"
            return _TABLES.get(place.role, "")
        if place.role in ("q", "k"):
            own = "score"
        elif place.role in READERS:
            own = "in"
        elif place.role in WRITERS:
            own = "out"
        else:
            own = _VECTORS.get(place.role, "")
        return f"{place.branch.stream}.{own}" if self.several else own


def published_factors(
    name: str, setting: ModelSizes, base_layers: int, base_width: int
) -> PublishedFactors:
    """The factors of a recipe of `theory.parametrisations.recipes` for a model of these sizes.

    Parameters
    ----------
    name
        The recipe, one of ``RECIPES``.
    setting
        Sizes of the model; N is the deepest stack's number of layers, n the stream's width.
    base_layers, base_width
        N₀ and n₀ at which rates were tuned.

    Raises
    ------
    InputError
        If the recipe multiplies weights in the forward, so that its rates are of other weights.

    Examples
    --------
    >>> from numerics.recipes.place import RecipeStream
    >>> setting = ModelSizes(64, 256, None, None, {"stream": RecipeStream("stream", 8, 16)})
    >>> published_factors("depth-mup", setting, 2, 256).factors["out"].rate
    0.5
    """
    require_positive(base_layers=base_layers, base_width=base_width)
    recipe = RECIPES[name]
    layers = max((stack.layers for stack in setting.stacks.values()), default=1)
    at = {DEPTH: layers, WIDTH: setting.d_model, BASE_DEPTH: base_layers, BASE_WIDTH: base_width}
    found = {}
    for role in recipe.wired.trained:
        _require_plain(recipe, role)
        rule = recipe.rule(role)
        sides = (rule.rate, rule.weight_decay, rule.epsilon)
        found[role] = Factors(*(float(sp.sympify(side).subs(at)) for side in sides))
    return PublishedFactors(len(recipe.wired.streams) > 1, found)


def _require_plain(recipe: PowerRecipe, role: str) -> None:
    multiplier = sp.sympify(recipe.rule(role).multiplier)
    if recipe.wired.kinds[role] == "hidden" and multiplier != 1:
        raise InputError(
            f"recipe {recipe.name} multiplies {role} by {multiplier} in the forward, and its rates "
            "are of such weights: give a recipe for weights as they are"
        )
