"""Findings about whole branches: factors exchanged within one, and branches off as a whole.

The factor of a branch is the product along its path: the forward's multiplier, times the measured
over the asked standard deviations of v and out, or of w_in, gate and w_out. Where tensors are off
and their product is right, factors were exchanged between them. Where the product is off, it says
how far off the branch is.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from numerics.own_model.audit.comparison import AuditRow
from numerics.own_model.audit.finding import Finding, count_names, names_of
from numerics.own_model.audit.laws import CLOSE, factor_named, inverse_words, layer_law, too
from numerics.own_model.audit.scale_findings import value_range
from numerics.recipes.place import WRITERS, ModelSizes, ParameterPlace
from numerics.recipes.recipe import Recipe
from numerics.structure.types import Branch, Structure

PATHS = (("v", "out"), ("w_in", "gate", "w_out"))
"""Roles along the path of an attention and of an MLP; q and k only choose the mixture."""


@dataclass(frozen=True)
class Path:
    """One branch against the recipe."""

    branch: Branch
    rows: tuple[AuditRow, ...]
    multiplier: float
    """The forward's multiplier over the one asked."""

    @property
    def factor(self) -> float:
        """Multiplier and standard deviations together, found over asked."""
        return self.multiplier * math.prod(row.factor or 0.0 for row in self.rows)

    @property
    def tolerance(self) -> float:
        """What chance and the margins allow."""
        return sum(row.tolerance for row in self.rows) + 1e-6


def paths(
    rows: Sequence[AuditRow], structure: Structure, recipe: Recipe, setting: ModelSizes
) -> Iterator[Path]:
    """Every branch of which the recipe asks for all matrices on the path."""
    owned: dict[int, list[AuditRow]] = defaultdict(list)
    for row in rows:
        if (
            row.place.branch is not None
            and row.factor is not None
            and row.place.view.expert
            in (
                None,
                0,
            )
        ):
            owned[row.place.branch.index].append(row)
    for branch in structure.branches:
        asked = recipe.multiplier(branch.stream, setting)
        if branch.branch_multiplier is None or asked is None:
            continue
        for roles in PATHS:
            found = tuple(row for row in owned[branch.index] if row.place.role in roles)
            if any(row.place.role in WRITERS for row in found) and len(found) > 1:
                yield Path(branch, found, branch.branch_multiplier / asked)


def exchanged_places(found: Sequence[Path]) -> set[ParameterPlace]:
    """The places of the branches whose tensors are off while their product is right."""
    return {row.place for path in found if _exchanged(path) for row in path.rows}


def branch_findings(
    found: Sequence[Path], recipe: Recipe, setting: ModelSizes
) -> Iterator[Finding]:
    """Factors exchanged within a branch, and branches whose whole factor is off."""
    exchanged = [path for path in found if _exchanged(path)]
    if exchanged:
        yield _exchange(exchanged)
    off = [
        path
        for path in found
        if abs(path.factor - 1) > path.tolerance + 0.02
        and path.factor > 0
        and path not in exchanged
        # One wrong tensor is its own finding.
        and (abs(path.multiplier - 1) > 0.02 or sum(bool(row.problem) for row in path.rows) > 1)
    ]
    by_kind: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for path in off:
        by_kind[path.branch.stream, path.branch.kind].append(path)
    for (_, kind), group in by_kind.items():
        yield _branch_factor(kind, group, recipe, setting)


def _exchanged(path: Path) -> bool:
    wrong = [row for row in path.rows if row.problem == "scale"]
    return len(wrong) > 1 and abs(path.factor - 1) <= path.tolerance + 0.02


def _exchange(group: Sequence[Path]) -> Finding:
    wrong = [row for path in group for row in path.rows if row.problem == "scale"]
    roles: dict[str, list[AuditRow]] = defaultdict(list)
    for row in wrong:
        roles[row.place.role].append(row)
    parts = []
    for role, rows in roles.items():
        middle = sorted(row.factor or 0.0 for row in rows)[len(rows) // 2]
        kind = "the residual writer" if role in WRITERS else "an input of the branch"
        parts.append(f"{count_names(r.place.name for r in rows)} ({role}, {kind}) is {too(middle)}")
    text = (
        f"In {len(group)} branch{'es' if len(group) > 1 else ''} the wrong tensor is scaled: "
        f"{'; '.join(parts)}. The product is right, so the branch's output and the total update "
        "hardly change; the shares of these tensors in the update are exchanged."
    )
    first = next(row for row in wrong if row.place.role in WRITERS or row is wrong[-1])
    return Finding(
        "wrong-tensor",
        text,
        names_of(row.place for row in wrong),
        first.sample.std,
        first.asked.std if first.asked else None,
        first.factor,
    )


def _branch_factor(
    kind: str, group: Sequence[Path], recipe: Recipe, setting: ModelSizes
) -> Finding:
    logs: dict[int, list[float]] = defaultdict(list)
    for path in group:
        logs[path.branch.layer].append(math.log(max(path.factor, 1e-300)))
    by_layer = {layer: math.exp(sum(v) / len(v)) for layer, v in logs.items()}
    law = layer_law(by_layer)
    last = group[-1]
    stack = setting.stacks[last.branch.stream]
    spread = max(by_layer.values()) / min(by_layer.values())
    named = factor_named(last.factor, additions=stack.additions, layers=stack.layers)
    exact = named.value
    if spread > 1.1 and law:
        exact = law.at(last.branch.layer)
        words = f"{law.words} times what {recipe.name} asks in layer l, {exact:.4g} in the last"
    elif spread > 1.1:
        words = f"{value_range(list(by_layer.values()))} times what {recipe.name} asks"
    else:
        words = f"{named.words} times what {recipe.name} asks"
    count = f"{len(group)} {kind} branches" if len(group) > 1 else f"The {kind} branch"
    verb = "are" if len(group) > 1 else "is"
    text = f"{count} as a whole, multipliers and standard deviations together, {verb} {words}."
    shrink = _depth_factor(last, recipe, setting)
    if shrink is not None:
        text += f" The branch's depth factor there is {inverse_words(shrink * exact)}, "
        text += f"meant {inverse_words(shrink)}."
    twice = shrink is not None and abs(last.multiplier / shrink - 1) < 0.1
    if twice and abs(last.multiplier - 1) > 0.02 and abs(last.factor / last.multiplier - 1) < 0.1:
        text += (
            f" The forward multiplies the branch by {last.multiplier:.4g} and the standard "
            "deviations have their factor as well: one of the two is too many."
        )
    return Finding(
        "branch-factor",
        text,
        names_of(row.place for path in group for row in path.rows if row.problem),
        last.factor,
        1.0,
        last.factor,
        # A multiplier of its own beside the rule is another parametrisation; the rule's own factor
        # a second time is a fault.
        any(row.problem for row in last.rows) or twice,
    )


def _depth_factor(path: Path, recipe: Recipe, setting: ModelSizes) -> float | None:
    """What a recipe with one base std divides a writer by: 1/√B or 1/√(2l)."""
    base = getattr(recipe, "std", None)
    writer = next((row for row in path.rows if row.place.role in WRITERS), None)
    if base is None or writer is None or writer.asked is None:
        return None
    del setting
    shrink = writer.asked.std / base
    return shrink if abs(shrink - 1) > CLOSE else None
