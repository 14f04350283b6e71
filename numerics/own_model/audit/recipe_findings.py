"""Findings about the recipe as a whole: torch's defaults, a wrong base, two recipes, unknown names.

A base is wrong where the recipe's factor on Xavier was multiplied onto what torch had drawn. Every
tensor then has torch's standard deviation times the factor.
"""

import fnmatch
import inspect
import re
from collections.abc import Iterator, Sequence

from torch import nn

from numerics.own_model.audit.comparison import AuditRow, compare
from numerics.own_model.audit.finding import Finding, count_names, names_of
from numerics.own_model.audit.nearest import Nearest, is_drawn, is_torch
from numerics.recipes.draw import xavier
from numerics.recipes.place import MATRICES, ModelSizes
from numerics.recipes.recipe import Recipe
from numerics.recipes.torch_defaults import TORCH, TORCH_TRANSFORMER
from numerics.structure.types import Structure

MOST = 0.9
"""Share of the tensors from which on a finding speaks of all of them."""


def recipe_findings(
    rows: Sequence[AuditRow],
    recipe: Recipe,
    setting: ModelSizes,
    nearest: Nearest | None,
    model: nn.Module,
    *,
    given: bool,
) -> Iterator[Finding]:
    """Single causes that explain many disagreements at once."""
    if nearest is not None and nearest.other is not None and not given:
        yield Finding("mixed-recipes", nearest.words)
        return
    yield from _torch(rows, recipe, setting, model)
    yield from _base(rows, recipe, setting)


def _torch(
    rows: Sequence[AuditRow], recipe: Recipe, setting: ModelSizes, model: nn.Module
) -> Iterator[Finding]:
    if is_torch(recipe):
        return
    drawn = [i for i, row in enumerate(rows) if is_drawn(row.place, row.sample)]
    wrong = [i for i in drawn if rows[i].problem]
    if not wrong:
        return
    places = tuple(row.place for row in rows)
    samples = tuple(row.sample for row in rows)
    best: list[int] = []
    name = ""
    for default in (TORCH, TORCH_TRANSFORMER):
        others = compare(places, samples, default, setting)
        same = [i for i in wrong if others[i].agrees]
        if len(same) > len(best):
            best, name = same, default.source
    if not best or len(best) < min(3, len(wrong)) or len(best) < 0.5 * len(wrong):
        return
    shapes = {rows[i].sample.shape for i in best}
    kind = "uniform" if "uniform" in shapes else "as drawn by the module"
    text = (
        f"{'All ' if len(best) == len(drawn) else f'{len(best)} of '}{len(drawn)} drawn tensors "
        f"({count_names(rows[i].place.name for i in best)}) have torch's defaults ({kind}; {name}):"
        f" nothing of {recipe.name} has reached them."
    )
    defined = _initialisers(model)
    if defined:
        text += f" The model defines {', '.join(defined[:3])}, which seems not to have run on them."
    yield Finding("torch-defaults", text, names_of(rows[i].place for i in best))


def _initialisers(model: nn.Module) -> list[str]:
    """Methods of the user's own classes that look like initialisers: a label, no evidence."""
    found: dict[str, None] = {}
    for module in model.modules():
        kind = type(module)
        if kind.__module__.startswith("torch."):
            continue
        for name, value in vars(kind).items():
            if inspect.isfunction(value) and re.search(r"init.*(weight|param)|reset_param", name):
                found[f"{kind.__name__}.{name}"] = None
    return list(found)


def _base(rows: Sequence[AuditRow], recipe: Recipe, setting: ModelSizes) -> Iterator[Finding]:
    """Torch's standard deviation times the recipe's factor on Xavier."""
    places = tuple(row.place for row in rows)
    samples = tuple(row.sample for row in rows)
    wrong = [
        (row, other)
        for row, other in zip(rows, compare(places, samples, TORCH, setting), strict=True)
        if row.problem in ("scale", "shape")
        and row.place.is_matrix
        and other.asked is not None
        and row.asked is not None
        and row.asked.kind == "uniform"
    ]
    if len(wrong) < 4 or is_torch(recipe):
        return
    explained, scaled = [], 0
    for row, other in wrong:
        assert row.asked is not None
        assert other.asked is not None
        gain = row.asked.std / xavier(*row.place.fans).std
        if abs(row.sample.std / (other.asked.std * gain) - 1) <= row.tolerance:
            explained.append(row)
            scaled += abs(gain - 1) > 0.05
    roles = {row.place.role for row in explained}
    if scaled and len(roles) > 1 and len(explained) >= MOST * len(wrong):
        yield Finding(
            "wrong-base",
            f"{len(explained)} tensors are torch's default times the factor that {recipe.name} "
            "puts on Xavier: drawing with a gain and multiplying by it are the same, but the base "
            "is not Xavier's. Redraw instead of multiplying in place.",
            names_of(row.place for row in explained),
        )


def missing_findings(
    structure: Structure, names: Sequence[str], parameters: Sequence[str]
) -> Iterator[Finding]:
    """Names that the user's own rule scales although no parameter has them."""
    for name in names:
        wanted = name if any(c in name for c in "*?[") else f"*{name}*"
        if not any(fnmatch.fnmatchcase(parameter, wanted) for parameter in parameters):
            yield Finding(
                "asked-not-found",
                f"The rule names {name!r}, and no parameter is called so: it reaches nothing. The "
                f"roles found are {_roles(structure)}.",
            )


def _roles(structure: Structure) -> str:
    where = {}
    for role in MATRICES:
        found = structure.of_role(role)
        if found:
            view = found[0]
            where[role] = view.parameter + (" (rows of it)" if view.rows is not None else "")
    return ", ".join(f"{role} in {name}" for role, name in where.items()) or "none"
