"""``audit(model, recipe)``: whether every tensor of a model has the numbers that a recipe asks.

The model runs once to find its structure and once to see its two ends; nothing in it is changed.
Without a recipe the nearest one is found, and the model is compared with that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from numerics.own_model.audit.branch_findings import branch_findings, exchanged_places, paths
from numerics.own_model.audit.comparison import AuditRow, compare, measure, parameters_of
from numerics.own_model.audit.end_findings import end_findings, first_loss
from numerics.own_model.audit.finding import Finding, count_names, label, plural, ranked
from numerics.own_model.audit.gradient_reach import unreached, unreached_findings
from numerics.own_model.audit.low_rank import low_rank_findings, low_rank_pairs, unasked
from numerics.own_model.audit.nearest import Nearest, nearest_recipe
from numerics.own_model.audit.recipe_findings import missing_findings, recipe_findings
from numerics.own_model.audit.record import AuditRecord
from numerics.own_model.audit.scale_findings import scale_findings
from numerics.own_model.audit.tensor_findings import (
    copy_findings,
    dead_findings,
    outlier_findings,
    padding_findings,
    shape_findings,
    truncation_findings,
    value_findings,
    zero_findings,
)
from numerics.own_model.audit.unprofiled import unprofiled_findings
from numerics.own_model.audit.wiring_findings import wiring_findings
from numerics.recipes import as_recipe
from numerics.recipes.asked import tie_words
from numerics.recipes.ends import Ends, setting_for, watch_ends
from numerics.recipes.offset_gains import offset_gains
from numerics.recipes.place import ModelSizes, ParameterPlace, places
from numerics.recipes.recipe import Recipe
from numerics.recipes.traced import traced, unwrapped
from numerics.schemes import Scheme
from numerics.structure.default_batch import ModelBatch, default_batch
from numerics.structure.types import Structure
from numerics.structure.user_factory import require_measurable, run_model, seeded

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Audit(AuditRecord):
    """The answer about one model, which can also be drawn and shown in a notebook."""

    def plot(self) -> "Figure":
        """Draw every tensor's scale over what is asked (`numerics.own_model.audit.figure`)."""
        from numerics.own_model.audit.figure import draw_audit

        return draw_audit(self)

    def _repr_html_(self) -> str:
        from numerics.figures.markup import page
        from numerics.own_model.audit.report import print_audit

        drawn = [self.plot()] if any(row.factor for row in self.rows) else []
        return page(lambda console: print_audit(console, self), *drawn)


def audit(
    model: nn.Module,
    recipe: str | Recipe | Scheme | None = None,
    batch: ModelBatch | None = None,
    *,
    names: Sequence[str] = (),
    output: Callable[[object], object] | None = None,
    blocks: Sequence[str] | None = None,
) -> Audit:
    """Compare every tensor of a model with what a recipe asks of its role.

    Parameters
    ----------
    model
        Any `torch.nn.Module`; it is left as it was, to the bit.
    recipe
        A recipe or a scheme, or the name of one (``tfixup list recipes``); without one the nearest
        recipe is found.
    batch
        Arguments of the forward; without them random ids or vectors are made.
    names
        Names or patterns of parameters that a rule of the user's scales, to learn which of them
        reach nothing.
    output, blocks
        Passed to `numerics.structure.trace.trace_structure`.

    Raises
    ------
    InputError
        If the recipe is unknown or not defined for the model's stacks, a weight is not finite, the
        model cannot run, or its output carries no gradient.

    Examples
    --------
    >>> from torch import nn
    >>> audit(nn.Linear(64, 64), "torch").clean
    True
    """
    model = unwrapped(model)
    require_measurable(model)
    chosen = None if recipe is None else as_recipe(recipe)
    notes: list[str] = []
    if batch is None:
        batch, note = default_batch(model)
        notes.append(note)
    run_model_quietly(model, batch)
    structure = traced(model, batch, output=output, blocks=blocks)
    ends = watch_ends(model, batch)
    notes.extend(structure.reasons)
    cut = unreached(model, batch)
    found = audit_structure(
        model, structure, ends, chosen, batch=batch, names=names, notes=tuple(notes)
    )
    more = (
        *unreached_findings(cut),
        *unprofiled_findings(found.rows, structure, found.recipe, model, batch),
    )
    return replace(found, findings=ranked((*found.findings, *more)))


def run_model_quietly(model: nn.Module, batch: ModelBatch) -> None:
    """One forward, so that a batch that does not fit is the user's own error and no other."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad(), seeded(0):
            run_model(model, batch)
    finally:
        for module, training in modes.items():
            module.training = training


def audit_structure(
    model: nn.Module,
    structure: Structure,
    ends: Ends,
    recipe: Recipe | None,
    *,
    batch: ModelBatch,
    names: Sequence[str] = (),
    notes: tuple[str, ...] = (),
) -> Audit:
    """The audit of a model whose structure and ends are known."""
    parameters = parameters_of(model)
    found = places(structure, model, offset_gains(model, batch, structure))
    setting = setting_for(structure, model, ends)
    samples = measure(found, parameters)
    nearest = None if recipe else nearest_recipe(found, samples, setting, structure)
    chosen = recipe
    if chosen is None and nearest is not None and nearest.near:
        chosen = nearest.recipe
    rows = compare(found, samples, chosen, setting)
    pairs = low_rank_pairs(rows)
    rows = unasked(rows, pairs)
    findings = [
        *_findings(model, structure, rows, chosen, setting, nearest, given=recipe is not None),
        *end_findings(rows, ends, setting, tie_words(chosen, found, setting) if chosen else ()),
        *missing_findings(structure, names, list(parameters)),
        *low_rank_findings(pairs),
    ]
    return Audit(
        recipe=chosen,
        given=recipe is not None,
        nearest=nearest,
        rows=rows,
        findings=ranked(findings),
        notes=(*notes, *_notes(rows, chosen, structure, parameters)),
        structure=structure,
        setting=setting,
        inputs=ends.inputs,
        loss=first_loss(rows, ends),
    )


def _findings(
    model: nn.Module,
    structure: Structure,
    rows: tuple[AuditRow, ...],
    recipe: Recipe | None,
    setting: ModelSizes,
    nearest: Nearest | None,
    *,
    given: bool,
) -> list[Finding]:
    found: list[Finding] = []
    if recipe is not None:
        mixed = nearest is not None and nearest.other is not None
        found.extend(recipe_findings(rows, recipe, setting, nearest, model, given=given))
        if not mixed:
            whole = {name for f in found if f.kind == "torch-defaults" for name in f.tensors}
            wrong = {label(row.place) for row in rows if row.problem and row.place.is_matrix}
            exchanged: set[ParameterPlace] = set()
            # Where every matrix is torch's, the branches' factors say nothing more.
            if structure.understood and not (wrong and wrong <= whole):
                branches = tuple(paths(rows, structure, recipe, setting))
                exchanged = exchanged_places(branches)
                found.extend(branch_findings(branches, recipe, setting))
            found.extend(scale_findings(rows, recipe, setting, exchanged))
            found.extend(shape_findings(rows))
        found.extend(value_findings(rows))
        found.extend(truncation_findings(rows))
        found.extend(zero_findings(rows, structure, given=given))
    found.extend(outlier_findings(rows))
    found.extend(copy_findings(rows, parameters_of(model)))
    found.extend(padding_findings(model, rows))
    found.extend(dead_findings(structure))
    if structure.understood:
        found.extend(wiring_findings(structure, recipe if given else None, setting))
    return found


def _notes(
    rows: Sequence[AuditRow],
    recipe: Recipe | None,
    structure: Structure,
    parameters: dict[str, Tensor],
) -> list[str]:
    notes = []
    frozen = tuple(dict.fromkeys(row.place.name for row in rows if row.place.frozen))
    if frozen:
        notes.append(
            f"{plural(len(frozen), 'parameter')} ({count_names(frozen)}) "
            f"{'is' if len(frozen) == 1 else 'are'} frozen (requires_grad=False): the roles are "
            "found, and nothing is asked of what is not trained."
        )
    elif not any(parameter.requires_grad for parameter in parameters.values()):
        notes.append(
            "Every parameter is frozen (requires_grad=False): compared as if all were trained."
        )
    if recipe is not None:
        free = [r for r in rows if r.asked is None and r.sample.count and not r.place.frozen]
        if free:
            kinds = ", ".join(dict.fromkeys(row.place.role for row in free))
            notes.append(
                f"{recipe.name} has no rule for {plural(len(free), 'tensor')} "
                f"({count_names(row.place.name for row in free)}; {kinds})."
            )
    known = {row.place.name for row in rows} | set(structure.unread)
    rest = [name for name in parameters if name not in known]
    if rest:
        notes.append(f"No role was found for {count_names(rest)}.")
    if structure.shared:
        notes.append(f"Shared by several branches: {count_names(structure.shared)}.")
    return notes
