"""What is asked of all tensors at once: ties, gains stored as gain − 1, and frozen tables."""

from dataclasses import dataclass, field, replace

import pytest

from numerics.recipes.asked import asks, tie_words
from numerics.recipes.draw import Draw, constant, normal
from numerics.recipes.place import ModelSizes, ParameterPlace
from numerics.recipes.recipe import Recipe
from tests.numerics.recipes.places import place_of, setting_of

SETTING = setting_of(2, 64)


@dataclass(frozen=True)
class ByRole(Recipe):
    """Asks what a test says of each role."""

    answers: dict[str, Draw] = field(default_factory=dict)

    def ask(self, place: ParameterPlace, setting: ModelSizes) -> Draw | None:
        del setting
        return self.answers.get(place.role)


def recipe(**answers: Draw) -> ByRole:
    return ByRole("mine", "here", "a rule", answers=answers)


def table(role: str, name: str = "table", **own: object) -> ParameterPlace:
    place = place_of(role, SETTING)
    tied = ("head",) if role == "embedding" else ("embedding",)
    place = replace(place, view=replace(place.view, parameter=name), tied=tied)
    return replace(place, **own)  # pyright: ignore[reportArgumentType]


TIED = (table("embedding"), table("head"))


@pytest.mark.parametrize("places", [TIED, TIED[::-1]], ids=["head last", "head first"])
def test_the_head_decides_of_a_tied_table(places: tuple[ParameterPlace, ...]) -> None:
    both = recipe(embedding=normal(1.0), head=normal(0.5))
    assert asks(both, places, SETTING) == (normal(0.5), normal(0.5))
    (words,) = tie_words(both, places, SETTING)
    assert words == (
        "table is embedding and head: mine asks N(0, 1) of the embedding and N(0, 0.5) of the "
        "head. The head decides."
    )
    embedding = recipe(embedding=normal(1.0))
    found = dict(zip([p.role for p in places], asks(embedding, places, SETTING), strict=True))
    assert found == {"embedding": normal(1.0), "head": None}
    assert tie_words(embedding, places, SETTING) == ()
    head = recipe(head=normal(0.5))
    found = dict(zip([p.role for p in places], asks(head, places, SETTING), strict=True))
    assert found == {"embedding": None, "head": normal(0.5)}


def test_tables_that_are_not_tied_have_their_own() -> None:
    both = recipe(embedding=normal(1.0), head=normal(0.5))
    apart = (table("embedding", "e", tied=()), table("head", "h", tied=()))
    assert asks(both, apart, SETTING) == (normal(1.0), normal(0.5))
    assert tie_words(both, apart, SETTING) == ()
    # A head of the same name that is not tied does not decide.
    same = (table("embedding"), table("head", tied=()))
    assert asks(both, same, SETTING)[0] == normal(1.0)


@pytest.mark.parametrize(("std", "told"), [(1.0, 0), (1.029, 0), (1 / 1.029, 0), (1.031, 1)])
def test_a_conflict_begins_at_three_percent(std: float, told: int) -> None:
    asked = recipe(embedding=normal(std), head=normal(1.0))
    assert len(tie_words(asked, TIED, SETTING)) == told


def test_gains_that_are_stored_as_gain_minus_one_and_frozen_tensors() -> None:
    gain = place_of("norm_gain", SETTING)
    stored = replace(gain, stored_minus_one=True)
    ones = recipe(norm_gain=constant(1.0), q=constant(1.0))
    assert asks(ones, (gain, stored), SETTING) == (constant(1.0), constant(0.0))
    other = recipe(norm_gain=constant(0.5))
    assert asks(other, (stored,), SETTING) == (constant(0.5),)
    matrix = replace(place_of("q", SETTING), stored_minus_one=True)
    assert asks(ones, (matrix,), SETTING) == (constant(1.0),)
    assert asks(ones, (replace(gain, frozen=True),), SETTING) == (None,)
