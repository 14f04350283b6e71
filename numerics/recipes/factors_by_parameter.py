"""The factors that a recipe puts on the optimizer's settings, parameter by parameter.

CompleteP, depth-μP and u-μP give every role a learning rate of its own. The roles come from the
model's structure, and the factors from its depth and width. A scheme states its factors in its
prescription; a published parametrisation that is no scheme states them as formulas.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from torch import nn

from numerics.models.spec import ModelSpec
from numerics.recipes import ALIASES, RECIPES, as_recipe, is_recipe, recipe_named
from numerics.recipes.factors import UNCHANGED, Factors
from numerics.recipes.from_scheme import prescribed, role_in_scheme
from numerics.recipes.place import ModelSizes, ParameterPlace, places, setting_of
from numerics.recipes.published_factors import published_factors
from numerics.recipes.recipe import Recipe
from numerics.schemes import SCHEMES, Prescription, Scheme, is_scheme, scheme_named
from numerics.structure.types import Structure
from theory.errors import InputError, nearest
from theory.parametrisations.recipes import RECIPES as PUBLISHED

BASE_LAYERS, BASE_WIDTH = 2, 256
"""N₀ and n₀ of published formulas where the user names none."""
_TABLES = {"embedding": "embeddings", "positions": "embeddings", "head": "output"}


@dataclass(frozen=True)
class SchemeFactors:
    """A scheme's factors by role at one model's sizes."""

    spec: ModelSpec
    prescription: Prescription

    def factors_of(self, place: ParameterPlace) -> Factors:
        """The scheme's factors for a tensor; those that it does not name are 1."""
        names = _names(place, role_in_scheme(place, self.spec))

        def one(table: Mapping[str, float]) -> float:
            return next((table[name] for name in names if name in table), 1.0)

        p = self.prescription
        return Factors(one(p.rates), one(p.weight_decays), one(p.epsilons))


def _names(place: ParameterPlace, role: str | None) -> tuple[str, ...]:
    """Names under which a factor may stand, the most specific first."""
    if role is not None:
        return (role, "matrices", "hidden")
    if place.role in _TABLES:
        return (_TABLES[place.role],)
    return ("vectors", "hidden") if place.branch is not None else ("final_norm",)


def require_factors(name: str) -> None:
    """Raise unless the name is one of a scheme, a published recipe or an initialisation recipe.

    Examples
    --------
    >>> try:
    ...     require_factors("complete")
    ... except InputError as refused:
    ...     print(str(refused).partition(" or ")[0])
    unknown recipe 'complete': did you mean 'completep'
    """
    base = name.partition(":")[0]
    if is_scheme(name):
        scheme_named(name)
    elif is_recipe(name):
        recipe_named(name)
    elif name not in PUBLISHED:
        raise nearest(base, [*SCHEMES, *PUBLISHED, *RECIPES, *ALIASES], "recipe")


def factors_by_parameter(
    model: nn.Module,
    recipe: str | Recipe | Scheme,
    structure: Structure | None,
    *,
    base_layers: int | None = None,
    base_width: int | None = None,
) -> dict[str, Factors]:
    """The factors on rate, weight decay and ε of every parameter that has a role.

    Parameters
    ----------
    model
        Any module.
    recipe
        A scheme, a published parametrisation or an initialisation recipe, or its name; a scheme's
        numbers may be changed behind a colon.
    structure
        What `trace_structure` found in the model.
    base_layers, base_width
        Depth and width at which the rate was tuned; ``None`` is the recipe's own, else 2 and 256.

    Returns
    -------
    dict of str to Factors
        By parameter; a tied table has the embedding's.

    Raises
    ------
    InputError
        For an unknown name, a structure that is not understood, or different factors on matrices
        that one parameter holds.

    Examples
    --------
    >>> import torch
    >>> from numerics.structure.trace import trace_structure
    >>> layer = nn.TransformerEncoderLayer(64, 2, 128, batch_first=True, norm_first=True)
    >>> model = nn.TransformerEncoder(layer, 8, enable_nested_tensor=False)
    >>> structure = trace_structure(model, torch.randn(2, 3, 64))
    >>> factors_by_parameter(model, "depth-mup", structure)["layers.0.linear1.weight"].rate
    0.5
    """
    if structure is None or not structure.understood or not structure.branches:
        reasons = structure.reasons if structure is not None else ()
        raise InputError(
            "a model must have an understood structure for rates by role"
            + (f": {' '.join(reasons)}" if reasons else "")
        )
    rule = _rule(recipe, setting_of(structure, model), base_layers, base_width)
    by_name: dict[str, list[ParameterPlace]] = {}
    for place in places(structure, model):
        by_name.setdefault(place.name, []).append(place)
    return {name: _one(name, own, rule) for name, own in by_name.items()}


def _rule(
    recipe: str | Recipe | Scheme,
    setting: ModelSizes,
    base_layers: int | None,
    base_width: int | None,
) -> Callable[[ParameterPlace], Factors]:
    """What says the factors of a place."""
    if isinstance(recipe, str):
        require_factors(recipe)
        if is_scheme(recipe):
            recipe = scheme_named(recipe)
        elif recipe in PUBLISHED:
            base = (base_layers or BASE_LAYERS, base_width or BASE_WIDTH)
            return published_factors(recipe, setting, *base).factors_of
        else:
            recipe = recipe_named(recipe)
    if not isinstance(recipe, Scheme):
        return as_recipe(recipe).factors_of
    given = {"base_layers": base_layers, "base_width": base_width}
    own = {field.name for field in fields(recipe)}
    changes = {
        name: float(value) for name, value in given.items() if value is not None and name in own
    }
    return SchemeFactors(*prescribed(replace(recipe, **changes), setting)).factors_of


def _one(
    name: str, own: Sequence[ParameterPlace], rule: Callable[[ParameterPlace], Factors]
) -> Factors:
    tables = [place for place in own if place.role in _TABLES]
    if len(tables) == len(own):
        embedding = next((place for place in own if place.role == "embedding"), own[0])
        return rule(embedding)
    asked = {rule(place): place for place in own}
    if len(asked) > 1:
        words = ", ".join(f"{place.role} {f.rate:.4g}" for f, place in asked.items())
        raise InputError(f"{name} holds tensors with different factors on the rate: {words}")
    return next(iter(asked), UNCHANGED)
