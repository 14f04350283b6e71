"""Findings about sizes: tensors off the recipe, exchanged factors, a branch's factor as a whole.

A branch's factor is the product along its path: its forward multiplier, and the measured over the
asked standard deviation of v and out, or of w_in, gate and w_out. Tensors that are off while their
product is right are exchanged; a product that is off says how far off the branch is.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from numerics.audit.comparison import MARGIN, SIGMAS, Row
from numerics.audit.finding import Finding, count_names, names_of, plural
from numerics.audit.laws import CLOSE, factor_words, layer_law, too
from numerics.recipes.draw import xavier
from numerics.recipes.place import WRITERS, Setting, Stack
from numerics.recipes.recipe import Recipe
from numerics.structure.types import Branch, Structure

PATHS = (("v", "out"), ("w_in", "gate", "w_out"))
"""Roles along the path of an attention and of an MLP; q and k only choose the mixture."""
DEEPEST = 2048
"""Largest depth that is tried when a number could belong to another depth."""


def scale_findings(
    rows: Sequence[Row], structure: Structure, recipe: Recipe, setting: Setting
) -> Iterator[Finding]:
    """Tensors whose standard deviation is not the one asked, by role and factor."""
    wrong = [row for row in rows if row.problem == "scale"] + _pooled(rows)
    exchanged = {
        row.place
        for path in paths(rows, structure, recipe, setting)
        if _exchanged(path)
        for row in path.rows
    }
    wrong = [row for row in wrong if row.place not in exchanged]
    everything = [row for row in rows if row.factor is not None]
    for group in _alike(wrong):
        yield _scale(group, everything, recipe, setting, alone=len(group) == len(wrong))


def _pooled(rows: Sequence[Row]) -> list[Row]:
    """Rows that agree one by one and disagree together: the same small factor in every layer."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row.factor is not None and row.place.is_matrix:
            groups[row.place.stack, row.place.role].append(row)
    found = []
    for group in groups.values():
        if len(group) < 2 or any(row.problem for row in group):
            continue
        count = sum(row.sample.count for row in group)
        pooled = math.exp(sum(math.log(row.factor or 1.0) for row in group) / len(group))
        kurtosis = max(row.asked.kurtosis if row.asked else 3.0 for row in group)
        if abs(pooled - 1) > MARGIN + SIGMAS * math.sqrt((kurtosis - 1) / (4 * count)):
            found.extend(group)
    return found


def _alike(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows of one role, or of several roles with the same factors by layer."""
    by_role: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        kind = row.place.branch.kind if row.place.branch else ""
        by_role[row.place.stack, kind, row.place.role].append(row)
    merged: list[list[Row]] = []
    for group in by_role.values():
        for other in merged:
            if _same_factors(group, other):
                other.extend(group)
                break
        else:
            merged.append(list(group))
    yield from merged


def _same_factors(group: Sequence[Row], other: Sequence[Row]) -> bool:
    one, two = _by_layer(group), _by_layer(other)
    if (0 in one) != (0 in two) or not set(one) & set(two):
        return False
    if (group[0].place.role in WRITERS) != (other[0].place.role in WRITERS):
        return False
    wide = max(2 * CLOSE, max(row.tolerance for row in (*group, *other)))
    return all(abs(one[layer] / two[layer] - 1) < wide for layer in set(one) & set(two))


def _by_layer(rows: Sequence[Row]) -> dict[int, float]:
    """The geometric mean of the factors by layer."""
    logs: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        logs[row.place.layer].append(math.log(max(row.factor or 0.0, 1e-300)))
    return {layer: math.exp(sum(values) / len(values)) for layer, values in logs.items()}


def _scale(
    group: Sequence[Row],
    everything: Sequence[Row],
    recipe: Recipe,
    setting: Setting,
    *,
    alone: bool,
) -> Finding:
    factors = [row.factor or 0.0 for row in group]
    middle = sorted(factors)[len(factors) // 2]
    first = group[0]
    assert first.asked is not None
    names = names_of(row.place for row in group)
    spread = max(factors) / max(min(factors), 1e-300)
    writers = all(row.place.role in WRITERS for row in group)
    what = (
        f"{plural(len(group), 'tensor')} {'write' if len(group) > 1 else 'writes'} to the stream"
        if (writers)
        else plural(len(group), "tensor")
    )
    text = f"{what} ({count_names(row.place.name for row in group)}): "
    law = layer_law(_by_layer(group))
    stack = setting.stacks.get(first.place.stack)
    if law and spread > 1.1:
        text += (
            f"{recipe.name} asks {_range(row.asked.std for row in group if row.asked)}, found "
            f"{_range(row.sample.std for row in group)}: off by {law} in layer l"
        )
    elif spread > 1.1:
        text += (
            f"{recipe.name} asks {_range(row.asked.std for row in group if row.asked)}, found "
            f"{_range(row.sample.std for row in group)}: factors {_range(factors)}"
        )
    else:
        words = factor_words(
            middle if middle >= 1 else 1 / middle,
            additions=stack.additions if stack else None,
            layers=stack.layers if stack else None,
        )
        size = "large" if middle >= 1 else "small"
        text += (
            f"{recipe.name} asks std {_range(row.asked.std for row in group if row.asked)}, found "
            f"{_range(row.sample.std for row in group)}: {words} times too {size}"
        )
    text += "." + "".join(
        f" {sentence}"
        for sentence in (
            _reciprocal(first),
            _other_depth(first, recipe, setting),
            _cut(group),
            _rest(group, everything, alone=alone),
        )
        if sentence
    )
    single = len(group) == 1 and alone and len(everything) > 4
    kind = "one-tensor" if single else "scale"
    return Finding(kind, text, names, first.sample.std, first.asked.std, middle)


def _range(values: Iterator[float] | Sequence[float]) -> str:
    found = sorted(values)
    low, high = found[0], found[-1]
    # Samples of one standard deviation scatter: one number stands for them.
    return f"{found[len(found) // 2]:.5g}" if high < 1.1 * low else f"{low:.4g} to {high:.4g}"


def _reciprocal(row: Row) -> str:
    """Whether the factor on Xavier is the reciprocal of the one asked."""
    assert row.asked is not None
    base = xavier(*row.place.fans).std
    asked, found = row.asked.std / base, row.sample.std / base
    if abs(asked - 1) < 0.1 or abs(asked * found - 1) > CLOSE:
        return ""
    return (
        f"The gain {found:.4g} on Xavier is the reciprocal of the gain {asked:.4g} asked: the "
        "exponent has the wrong sign."
    )


def _other_depth(row: Row, recipe: Recipe, setting: Setting) -> str:
    """The depth of a single stack at which the number found would be right."""
    if len(setting.stacks) != 1 or row.place.branch is None or row.asked is None:
        return ""
    (stack,) = setting.stacks.values()
    asked = {n: _asked_at(row, recipe, setting, n) for n in range(1, DEEPEST + 1)}
    if asked[1] == asked[DEEPEST] or min(asked.values()) <= 0:
        return ""
    best = min(asked, key=lambda n: abs(math.log(asked[n] / row.sample.std)))
    if best == stack.layers or abs(asked[best] / row.sample.std - 1) > row.tolerance:
        return ""
    if best == 1:
        return ""
    return f"It would be right at N = {best} layers; there are {stack.layers}."


def _asked_at(row: Row, recipe: Recipe, setting: Setting, layers: int) -> float:
    """What the recipe would ask of a tensor if its stack had another depth."""
    name = row.place.stack
    stack = setting.stacks[name]
    other = Stack(name, layers, max(1, round(stack.additions / stack.layers * layers)))
    draw = recipe.ask(row.place, replace(setting, stacks={**setting.stacks, name: other}))
    return draw.std if draw else 0.0


def _asked_by_depth(row: Row, recipe: Recipe, setting: Setting) -> bool:
    """Whether what is asked depends on the depth, or on the layer's number."""
    by_depth = _asked_at(row, recipe, setting, 1) != _asked_at(row, recipe, setting, 64)
    other = recipe.ask(replace(row.place, layer=row.place.layer + 7), setting)
    return by_depth or (other is not None and row.asked is not None and other.std != row.asked.std)


def _cut(group: Sequence[Row]) -> str:
    """Whether a cut explains the factor."""
    cuts = {round(row.sample.cut, 1) for row in group if row.sample.shape == "truncated"}
    if len(cuts) != 1 or not all(row.sample.shape == "truncated" for row in group):
        return ""
    (cut,) = cuts
    return f"The normal is cut at {cut:g}σ, which shrinks its standard deviation."


def _rest(group: Sequence[Row], everything: Sequence[Row], *, alone: bool) -> str:
    others = len(everything) - len(group)
    return f"The {others} other drawn tensors agree." if alone and others > 0 else ""


@dataclass(frozen=True)
class Path:
    """One branch against the recipe."""

    branch: Branch
    rows: tuple[Row, ...]
    multiplier: float
    """Forward multiplier found over the one asked."""

    @property
    def factor(self) -> float:
        """Multiplier and standard deviations together, found over asked."""
        return self.multiplier * math.prod(row.factor or 0.0 for row in self.rows)

    @property
    def tolerance(self) -> float:
        """What chance and the margins allow."""
        return sum(row.tolerance for row in self.rows) + 1e-6


def paths(
    rows: Sequence[Row], structure: Structure, recipe: Recipe, setting: Setting
) -> Iterator[Path]:
    """Every branch whose path's matrices are all asked for."""
    owned: dict[int, list[Row]] = defaultdict(list)
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


def branch_findings(
    rows: Sequence[Row], structure: Structure, recipe: Recipe, setting: Setting
) -> Iterator[Finding]:
    """Factors exchanged within a branch, and branches whose whole factor is off."""
    found = list(paths(rows, structure, recipe, setting))
    exchanged = [path for path in found if _exchanged(path)]
    if exchanged:
        yield _exchange(exchanged)
    off = [
        path
        for path in found
        if abs(path.factor - 1) > path.tolerance + 0.02
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
    roles: dict[str, list[Row]] = defaultdict(list)
    for row in wrong:
        roles[row.place.role].append(row)
    parts = []
    for role, rows in roles.items():
        middle = sorted(row.factor or 0.0 for row in rows)[len(rows) // 2]
        kind = "the residual writer" if role in WRITERS else "an input of the branch"
        parts.append(f"{count_names(r.place.name for r in rows)} ({role}, {kind}) is {too(middle)}")
    text = (
        f"In {len(group)} branch{'es' if len(group) > 1 else ''} the wrong tensor is scaled: "
        f"{'; '.join(parts)}. The product is right, so the branch's output and the total update hardly change; the shares of these "
        "tensors in the update are exchanged."
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


def _branch_factor(kind: str, group: Sequence[Path], recipe: Recipe, setting: Setting) -> Finding:
    logs: dict[int, list[float]] = defaultdict(list)
    for path in group:
        logs[path.branch.layer].append(math.log(max(path.factor, 1e-300)))
    by_layer = {layer: math.exp(sum(v) / len(v)) for layer, v in logs.items()}
    law = layer_law(by_layer)
    last = group[-1]
    stack = setting.stacks[last.branch.stream]
    spread = max(by_layer.values()) / min(by_layer.values())
    if spread > 1.1 and law:
        words = f"{law} times what {recipe.name} asks in layer l, {last.factor:.4g} in the last"
    elif spread > 1.1:
        words = f"{_range(list(by_layer.values()))} times what {recipe.name} asks"
    else:
        found = factor_words(last.factor, additions=stack.additions, layers=stack.layers)
        words = f"{found} times what {recipe.name} asks"
    count = f"{len(group)} {kind} branches" if len(group) > 1 else f"The {kind} branch"
    verb = "are" if len(group) > 1 else "is"
    text = f"{count} as a whole, multipliers and standard deviations together, {verb} {words}."
    shrink = _depth_factor(last, recipe, setting)
    if shrink is not None:
        text += f" The branch's depth factor there is {_inverse(shrink * last.factor)}, meant "
        text += f"{_inverse(shrink)}."
    if abs(last.multiplier - 1) > 0.02 and abs(last.factor / last.multiplier - 1) < 0.1:
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
        # A multiplier beside a rule without the depth is another parametrisation, not a fault.
        any(row.problem for row in last.rows) or _asked_by_depth(last.rows[-1], recipe, setting),
    )


def _depth_factor(path: Path, recipe: Recipe, setting: Setting) -> float | None:
    """What a recipe with one base std divides a writer by: 1/√B or 1/√(2l)."""
    base = getattr(recipe, "std", None)
    writer = next((row for row in path.rows if row.place.role in WRITERS), None)
    if base is None or writer is None or writer.asked is None:
        return None
    del setting
    shrink = writer.asked.std / base
    return shrink if abs(shrink - 1) > CLOSE else None


def _inverse(value: float) -> str:
    inverse = 1 / value
    near = round(inverse)
    if near > 1 and abs(inverse / near - 1) < CLOSE:
        return f"{value:.4g} = 1/{near}"
    square = round(inverse**2)
    if square > 1 and abs(inverse**2 / square - 1) < 2 * CLOSE:
        return f"{value:.4g} = 1/√{square}"
    return f"{value:.4g}"
