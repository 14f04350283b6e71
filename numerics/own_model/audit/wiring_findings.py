"""Findings about the wiring: norms where the recipe has none, shortcuts, multipliers, depths."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from numerics.own_model.audit.finding import Finding
from numerics.recipes.place import ModelSizes, RecipeStream
from numerics.recipes.recipe import Recipe
from numerics.structure.types import Branch, Structure

TYPED = 1e-3
"""Relative difference of multipliers that is none: the forward's are exact, and their authors type
three digits or more."""


def wiring_findings(
    structure: Structure, recipe: Recipe | None, setting: ModelSizes
) -> Iterator[Finding]:
    """Findings about norms and multipliers."""
    branches = structure.branches
    if not branches:
        return
    yield from _norm_free(structure)
    yield from _norms(structure)
    if recipe is not None:
        yield from _placement(branches, recipe)
        yield from _multipliers(branches, recipe, setting)


def _norm_free(structure: Structure) -> Iterator[Finding]:
    """Find what looks like Pre-LN and has its shortcut start behind the norm.

    As a function x = norm(x); x = x + F(x) is Post-LN with one more norm in front. It is a slip
    where the norm belongs to the layer that reads the sum, as in Pre-LN, and not to the layer that
    made it.
    """
    branches = structure.branches
    wrong = [
        b for b in branches if b.norm_before and not b.norm_free_shortcut and not b.norm_on_stream
    ]
    if not wrong and _norms_of_readers(structure):
        wrong = [b for b in branches if b.norm_on_stream]
    if wrong:
        yield Finding(
            "no-norm-free-path",
            f"{_some(wrong, branches).capitalize()} have the shortcut taken after the norm, x = "
            "norm(x); x = x + F(x): there is no path from input to output free of norms. This "
            "behaves as Post-LN, although the norms stand before the branches as in Pre-LN.",
        )


def _norms_of_readers(structure: Structure) -> bool:
    """Whether the norm on the last sum of a layer belongs to the module of the next layer."""
    branches = structure.branches
    own = following = 0
    for view in structure.of_role("norm_gain"):
        if view.branch is None or view.branch + 1 >= len(branches):
            continue
        made, reads = branches[view.branch], branches[view.branch + 1]
        if not made.norm_on_stream or made.layer == reads.layer or made.stream != reads.stream:
            continue
        own += _shared(view.parameter, made.path) > _shared(view.parameter, reads.path)
        following += _shared(view.parameter, reads.path) > _shared(view.parameter, made.path)
    return following > own


def _shared(one: str, other: str) -> int:
    """Words that two module paths begin with in common."""
    count = 0
    for a, b in zip(one.split("."), other.split("."), strict=False):
        if a != b:
            break
        count += 1
    return count


def _norms(structure: Structure) -> Iterator[Finding]:
    branches = structure.branches
    twice = [b for b in branches if b.norm_before and b.norm_on_stream]
    if twice:
        yield Finding(
            "norms",
            f"{_some(twice, branches).capitalize()} have two norms in a row: the sum is "
            "normalised, and the branch that reads it normalises it again.",
        )
    own = branches[-1].stream
    if not structure.final_norm and _all_pre_ln(branches, own):
        yield Finding(
            "norms",
            "There is no norm after the last addition, though the branches are Pre-LN: the stream "
            "grows with depth, and the head reads it as it is.",
            fault=False,
        )
    for stream, count in structure.end_norms:
        if stream.startswith("encoder") and not count and _all_pre_ln(branches, stream):
            yield Finding(
                "norms",
                f"There is no norm after the last addition of the {stream}, though its branches "
                "are Pre-LN: what the other stack reads grows with the depth of this one, and so "
                "does the step of the cross-attention that reads it.",
                fault=False,
            )


def _all_pre_ln(branches: Sequence[Branch], stream: str) -> bool:
    own = [b for b in branches if b.stream == stream]
    return bool(own) and all(b.norm_before and b.norm_free_shortcut for b in own)


def _placement(branches: Sequence[Branch], recipe: Recipe) -> Iterator[Finding]:
    if recipe.placement == "none":
        normed = [b for b in branches if b.norm_before or b.norm_on_stream or b.norm_after]
        if normed:
            yield Finding(
                "wiring",
                f"{recipe.name} is derived without layer norm, and {_some(normed, branches)} have "
                "one: its conditions do not hold here.",
                fault=False,
            )
    if recipe.placement == "on-stream":
        other = [b for b in branches if not b.norm_on_stream]
        if other:
            yield Finding(
                "wiring",
                f"{recipe.name} belongs to Post-LN, LN(x + F(x)), and {_some(other, branches)} "
                "have no norm on the stream.",
                fault=False,
            )
    if recipe.placement == "before":
        post = [b for b in branches if b.norm_on_stream]
        bare = [b for b in branches if not (b.norm_before or b.norm_after or b.norm_on_stream)]
        if post:
            yield Finding(
                "wiring",
                f"{recipe.name} belongs to Pre-LN, x + F(LN x), and {_some(post, branches)} "
                "normalise the stream itself: Post-LN.",
                fault=False,
            )
        if bare:
            yield Finding(
                "wiring",
                f"{recipe.name} belongs to Pre-LN, x + F(LN x), and {_some(bare, branches)} have "
                "no norm at all.",
                fault=False,
            )


def _multipliers(
    branches: Sequence[Branch], recipe: Recipe, setting: ModelSizes
) -> Iterator[Finding]:
    for stream in dict.fromkeys(b.stream for b in branches):
        own = [b for b in branches if b.stream == stream]
        asked = recipe.shortcut(stream, setting)
        if asked is None:
            continue
        found = [b for b in own if b.shortcut_multiplier is not None]
        wrong = [b for b in found if not _is(b.shortcut_multiplier or 0.0, asked)]
        # LN(αx + G) and LN(x + G/α) are one function up to the norm's ε.
        wrong = [b for b in wrong if not _same_after_norm(b, asked)]
        if not wrong:
            continue
        first = wrong[0]
        multiplier = first.shortcut_multiplier or 0.0
        swapped = first.branch_multiplier
        text = (
            f"{_some(wrong, own).capitalize()} of the {stream} multiply the shortcut by "
            f"{multiplier:.4g}; {recipe.name} asks α = {asked:.4g}."
        )
        # A factor of the forward is a number that somebody typed: it is exact, and 1 is no factor.
        other_side = multiplier == 1 and swapped not in (None, 1.0) and _is(swapped, asked)
        if other_side:
            text += f" α = {swapped:.4g} is on the branch: the wrong side."
        else:
            depth = _depth(stream, multiplier, recipe, setting)
            if depth is not None:
                layers = setting.stacks[stream].layers
                text += f" This α belongs to {depth} layers; there are {layers}."
        # A model without any multiplier has another wiring; one with another number has a fault.
        meant = multiplier != 1 or other_side
        fault = meant and asked != 1
        yield Finding("shortcut", text, (), multiplier, asked, multiplier / asked, fault)


def _same_after_norm(branch: Branch, asked: float) -> bool:
    if not branch.norm_on_stream or branch.branch_multiplier in (None, 0.0):
        return False
    ratio = (branch.shortcut_multiplier or 0.0) / (branch.branch_multiplier or 1.0)
    return _is(ratio, asked)


def _is(multiplier: float | None, asked: float) -> bool:
    """Whether a multiplier is the one asked for, to the digits that people type."""
    return multiplier is not None and abs(multiplier / asked - 1) <= TYPED


def _depth(stream: str, found: float, recipe: Recipe, setting: ModelSizes) -> int | None:
    """The depth at which the recipe would ask this multiplier."""
    stack = setting.stacks[stream]

    def asked(layers: int) -> float:
        scaled = round(stack.additions / stack.layers * layers)
        stacks = {**setting.stacks, stream: RecipeStream(stream, layers, scaled)}
        return recipe.shortcut(stream, replace(setting, stacks=stacks)) or 0.0

    best = min(range(1, 1025), key=lambda n: abs(asked(n) - found))
    return best if abs(asked(best) / found - 1) < 2e-3 and best != stack.layers else None


def _some(chosen: Sequence[Branch], branches: Sequence[Branch]) -> str:
    if len(chosen) == len(branches):
        return f"all {len(branches)} branches" if len(branches) > 1 else "its one branch"
    return f"{len(chosen)} of {len(branches)} branches"
