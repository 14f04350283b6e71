"""Initialisation recipes by name: what every role of any Transformer should be drawn from.

In this package N(0, s) has the *standard deviation* s, as in most code. Writers are the matrices
that write into the residual stream, and B is the number of residual additions of a stack.
"""

from dataclasses import fields, replace

from numerics.recipes.clip import CLIP
from numerics.recipes.flat import BERT, BERT_TRUNCATED, LLAMA_FLAT
from numerics.recipes.from_scheme import FROM_SCHEMES, recipe_of
from numerics.recipes.gpt2 import GPT2_RECIPE, MODERNBERT
from numerics.recipes.llama_depth import LLAMA_DEPTH
from numerics.recipes.mitchell import MITCHELL
from numerics.recipes.recipe import Recipe as Recipe
from numerics.recipes.small_init import SMALL_INIT, WANG_INIT
from numerics.recipes.t5 import T5_RECIPE
from numerics.recipes.torch_defaults import TORCH, TORCH_TRANSFORMER
from numerics.schemes import Scheme
from numerics.schemes.flat import Flat
from numerics.schemes.user_scheme import UserSchemeName, user_object, user_scheme_name
from theory.errors import InputError, nearest, words_of

_OWN = (
    *(GPT2_RECIPE, BERT, LLAMA_FLAT, LLAMA_DEPTH, SMALL_INIT, WANG_INIT, MITCHELL, T5_RECIPE),
    *(BERT_TRUNCATED, MODERNBERT, CLIP, TORCH, TORCH_TRANSFORMER),
)
_XAVIER = {
    name: found for name, found in FROM_SCHEMES.items() if not isinstance(found.scheme, Flat)
}
RECIPES: dict[str, Recipe] = {**_XAVIER, **{recipe.name: recipe for recipe in _OWN}}
"""Every recipe: the families in use today, torch's defaults, and one for each scheme on Xavier.

Schemes that start from N(0, 0.02) differ in their wiring more than in what they draw; as recipes
for any model the families stand for them.
"""
ALIASES = {
    "megatron": "gpt2",
    "nanogpt": "gpt2",
    "gpt-neox": "wang-init",
    "llama": "llama-flat",
    "torchtitan": "llama-depth",
    "olmo": "mitchell",
    "torch-linear": "torch",
    "torch-encoder": "torch",
    "fixup": "r-fixup",
}
"""Other names of recipes."""


def recipe_named(name: str) -> Recipe:
    """The recipe of a name, with its numbers changed where the name says so.

    Examples
    --------
    >>> recipe_named("gpt2:std=0.08")  # doctest: +ELLIPSIS
    GPT2Recipe(name='gpt2', ..., std=0.08, cut=inf)
    >>> recipe_named("gpt2:std=thin")
    Traceback (most recent call last):
    ...
    theory.errors.InputError: std of recipe gpt2 must be a number, got 'thin'
    """
    base, colon, settings = name.partition(":")
    key = ALIASES.get(base, base)
    if key in RECIPES:
        recipe = RECIPES[key]
    elif own := user_scheme_name(name):
        recipe, colon = _user_recipe(own), own.settings
        base, settings = own.place, ",".join(own.settings)
    else:
        raise nearest(base, [*RECIPES, *ALIASES], "recipe")
    for setting in words_of(f"numbers of recipe {base}", settings) if colon else ():
        recipe = replace(recipe, **_number(setting, recipe))
    return recipe


def as_recipe(recipe: str | Recipe | Scheme) -> Recipe:
    """The recipe that a caller means: by its name, as the object itself, or that of a scheme.

    Raises
    ------
    InputError
        If it is none of these, or nothing has the name.

    Examples
    --------
    >>> as_recipe("gpt2") is as_recipe(RECIPES["gpt2"])
    True
    """
    if isinstance(recipe, str):
        return recipe_named(recipe)
    if isinstance(recipe, Scheme):
        return recipe_of(recipe)
    if not isinstance(recipe, Recipe):
        raise InputError(
            "a recipe must be a name, or a tfixup.Recipe or tfixup.Scheme object, got "
            f"{recipe!r:.60}"
        )
    return recipe


def is_recipe(name: str) -> bool:
    """Whether a name is that of a recipe: of this package, or of the user's own.

    Examples
    --------
    >>> is_recipe("gpt2:std=0.08"), is_recipe("llama"), is_recipe("math:pi")
    (True, True, False)
    """
    if name.partition(":")[0] in (*RECIPES, *ALIASES):
        return True
    own = user_scheme_name(name)
    return own is not None and isinstance(user_object(own, "recipe"), (Recipe, Scheme))


def _user_recipe(name: UserSchemeName) -> Recipe:
    """The recipe, or that of the scheme, which the user's own code has under a name."""
    found = user_object(name, "recipe")
    if not isinstance(found, (Recipe, Scheme)):
        raise InputError(
            f"a recipe must be a tfixup.Recipe or a tfixup.Scheme, got {name.place} of type "
            f"{type(found).__name__}"
        )
    return as_recipe(found)


def _number(setting: str, recipe: Recipe) -> dict[str, float]:
    key, equals, text = setting.partition("=")
    known = [f.name for f in fields(recipe) if f.type in (float, "float")]
    if not equals or key not in known:
        can = f"std=NUMBER and the like ({', '.join(known)})" if known else "no numbers"
        raise InputError(f"recipe {recipe.name} takes {can}, got {setting!r}")
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{key} of recipe {recipe.name} must be a number, got {text!r}") from None
    if not 0 < value < float("inf"):
        raise InputError(f"{key} of recipe {recipe.name} must be positive, got {text}")
    return {key: value}
