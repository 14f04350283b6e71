"""What a recipe asks of all tensors of a model at once: ties, and gains stored as gain − 1.

A table that is embedding and head is one tensor, which is drawn once. Where the recipe asks the
two roles for different numbers, the head decides: the first loss then starts near ln V.
"""

from collections.abc import Sequence

from numerics.recipes.draw import Draw, constant
from numerics.recipes.place import ModelSizes, ParameterPlace
from numerics.recipes.recipe import Recipe

SAME = 0.03
"""Relative difference of two standard deviations that is no conflict."""


def asks(
    recipe: Recipe, found: Sequence[ParameterPlace], setting: ModelSizes
) -> tuple[Draw | None, ...]:
    """The distribution asked of every place, decided for tied tables."""
    asked = [None if place.frozen else recipe.ask(place, setting) for place in found]
    heads = {
        place.name: draw
        for place, draw in zip(found, asked, strict=True)
        if place.role == "head" and place.tied and draw is not None
    }
    settled: list[Draw | None] = []
    for place, draw in zip(found, asked, strict=True):
        if place.role == "norm_gain" and place.stored_minus_one and draw == constant(1.0):
            draw = constant(0.0)
        if place.role == "embedding" and place.tied and draw is not None:
            draw = heads.get(place.name, draw)
        settled.append(draw)
    return tuple(settled)


def tie_words(
    recipe: Recipe, found: Sequence[ParameterPlace], setting: ModelSizes
) -> tuple[str, ...]:
    """A sentence for every tied table of which the recipe asks two different things."""
    by_name: dict[str, dict[str, Draw]] = {}
    for place in found:
        draw = recipe.ask(place, setting)
        if place.tied and place.role in ("embedding", "head") and draw is not None:
            by_name.setdefault(place.name, {})[place.role] = draw
    sentences = []
    for name, draws in by_name.items():
        if len(draws) == 2 and _differ(draws["embedding"], draws["head"]):
            sentences.append(
                f"{name} is embedding and head: {recipe.name} asks {draws['embedding'].words} of "
                f"the embedding and {draws['head'].words} of the head. The head decides."
            )
    return tuple(sentences)


def _differ(one: Draw, other: Draw) -> bool:
    low, high = sorted((one.std, other.std))
    return high > low * (1 + SAME)
