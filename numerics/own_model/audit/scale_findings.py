"""Findings about the size of single tensors: how far off, in all layers, and what explains it.

Tensors of one role, or of several with the same factors by layer, are one finding. A factor is put
into words where it is one of the field's: a power of the depth or of the layer's number, the
reciprocal of what is asked, the number of another depth.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from numerics.own_model.audit.comparison import MARGIN, SIGMAS, AuditRow
from numerics.own_model.audit.finding import Finding, count_names, names_of, plural
from numerics.own_model.audit.laws import CLOSE, factor_named, layer_law
from numerics.recipes.draw import xavier
from numerics.recipes.place import WRITERS, ModelSizes, ParameterPlace, RecipeStream
from numerics.recipes.recipe import Recipe

DEEPEST = 2048
"""Largest depth that is tried when a number could belong to another depth."""


def scale_findings(
    rows: Sequence[AuditRow],
    recipe: Recipe,
    setting: ModelSizes,
    exchanged: Collection[ParameterPlace] = (),
) -> Iterator[Finding]:
    """Tensors whose standard deviation is not the one asked, by role and factor.

    ``exchanged`` are places that `branch_findings` speaks of.
    """
    wrong = [row for row in rows if row.problem == "scale"] + _pooled(rows)
    wrong = [row for row in wrong if row.place not in exchanged]
    everything = [row for row in rows if row.factor is not None]
    for group in _alike(wrong):
        yield _scale(group, everything, recipe, setting, alone=len(group) == len(wrong))


def _pooled(rows: Sequence[AuditRow]) -> list[AuditRow]:
    """Rows that agree one by one and disagree together: the same small factor in every layer."""
    groups: dict[tuple[str, str], list[AuditRow]] = defaultdict(list)
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


def _alike(rows: Sequence[AuditRow]) -> Iterator[list[AuditRow]]:
    """Rows of one role, or of several roles with the same factors by layer."""
    by_role: dict[tuple[str, str, str], list[AuditRow]] = defaultdict(list)
    for row in rows:
        kind = row.place.branch.kind if row.place.branch else ""
        by_role[row.place.stack, kind, row.place.role].append(row)
    merged: list[list[AuditRow]] = []
    for group in by_role.values():
        for other in merged:
            if _same_factors(group, other):
                other.extend(group)
                break
        else:
            merged.append(list(group))
    yield from merged


def _same_factors(group: Sequence[AuditRow], other: Sequence[AuditRow]) -> bool:
    one, two = _by_layer(group), _by_layer(other)
    if (0 in one) != (0 in two) or not set(one) & set(two):
        return False
    if (group[0].place.role in WRITERS) != (other[0].place.role in WRITERS):
        return False
    wide = max(2 * CLOSE, max(row.tolerance for row in (*group, *other)))
    return all(abs(one[layer] / two[layer] - 1) < wide for layer in set(one) & set(two))


def _by_layer(rows: Sequence[AuditRow]) -> dict[int, float]:
    """The geometric mean of the factors by layer."""
    logs: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        logs[row.place.layer].append(math.log(max(row.factor or 0.0, 1e-300)))
    return {layer: math.exp(sum(values) / len(values)) for layer, values in logs.items()}


def _scale(
    group: Sequence[AuditRow],
    everything: Sequence[AuditRow],
    recipe: Recipe,
    setting: ModelSizes,
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
        f"{plural(len(names), 'tensor')} {'write' if len(names) > 1 else 'writes'} to the stream"
        if (writers)
        else plural(len(group), "tensor")
    )
    text = f"{what} ({count_names(row.place.name for row in group)}): "
    law = layer_law(_by_layer(group))
    stack = setting.stacks.get(first.place.stack)
    asked = value_range(row.asked.std for row in group if row.asked)
    found = value_range(row.sample.std for row in group)
    text += f"{recipe.name} asks std {asked}, found {found}: "
    if spread > 1.1:
        text += f"off by {law.words} in layer l" if law else f"factors {value_range(factors)}"
    else:
        words = factor_named(
            max(middle, 1 / middle),
            additions=stack.additions if stack else None,
            layers=stack.layers if stack else None,
        ).words
        text += f"{words} times too {'large' if middle >= 1 else 'small'}"
    text += "." + "".join(
        f" {sentence}"
        for sentence in (
            _packed(group, middle),
            _reciprocal(first, middle),
            _other_depth(first, recipe, setting),
            _cut(group),
            _rest(group, everything, alone=alone),
        )
        if sentence
    )
    single = len(group) == 1 and alone and len(everything) > 4
    kind = "one-tensor" if single else "scale"
    return Finding(kind, text, names, first.sample.std, first.asked.std, middle)


def value_range(values: Iterable[float]) -> str:
    """One number for values that scatter by less than a tenth, otherwise least to largest."""
    found = sorted(values)
    low, high = found[0], found[-1]
    # Samples of one standard deviation scatter: one number stands for them.
    return f"{found[len(found) // 2]:.5g}" if high < 1.1 * low else f"{low:.4g} to {high:.4g}"


def _packed(group: Sequence[AuditRow], factor: float) -> str:
    """Whether q, k, v were drawn by Xavier as one matrix of (3d, d)."""
    rows = [row for row in group if row.place.view.rows is not None]
    together = len(rows) == len(group) and {row.place.role for row in group} <= {"q", "k", "v"}
    if not together or abs(factor * 2**0.5 - 1) > CLOSE:
        return ""
    return (
        "q, k and v are rows of one matrix, for which Xavier sees fan_out = 3d: multiply by √2, "
        "and v by the recipe's factor besides."
    )


def _reciprocal(row: AuditRow, factor: float) -> str:
    """Whether the factor on Xavier is the reciprocal of the one asked."""
    assert row.asked is not None
    base = xavier(*row.place.fans).std
    asked = row.asked.std / base
    found = asked * factor
    if abs(asked - 1) < 0.1 or abs(asked * found - 1) > CLOSE:
        return ""
    return (
        f"The gain {found:.4g} on Xavier is the reciprocal of the gain {asked:.4g} asked: the "
        "exponent has the wrong sign."
    )


def _other_depth(row: AuditRow, recipe: Recipe, setting: ModelSizes) -> str:
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


def _asked_at(row: AuditRow, recipe: Recipe, setting: ModelSizes, layers: int) -> float:
    """What the recipe would ask of a tensor if its stack had another depth."""
    name = row.place.stack
    stack = setting.stacks[name]
    other = RecipeStream(name, layers, max(1, round(stack.additions / stack.layers * layers)))
    draw = recipe.ask(row.place, replace(setting, stacks={**setting.stacks, name: other}))
    return draw.std if draw else 0.0


def _cut(group: Sequence[AuditRow]) -> str:
    """Whether a cut explains the factor."""
    cuts = {round(row.sample.cut, 1) for row in group if row.sample.shape == "truncated"}
    if len(cuts) != 1 or not all(row.sample.shape == "truncated" for row in group):
        return ""
    (cut,) = cuts
    return f"The normal is cut at {cut:g}σ, which shrinks its standard deviation."


def _rest(group: Sequence[AuditRow], everything: Sequence[AuditRow], *, alone: bool) -> str:
    others = len(everything) - len(group)
    return f"The {others} other drawn tensors agree." if alone and others > 0 else ""
