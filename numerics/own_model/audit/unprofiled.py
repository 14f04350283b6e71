"""Admin's ω left at 1: trained factors on the skip paths that a forward pass should have set.

Admin's blocks are LN(ω∘x + F(x)). The factors are 1 when the model is built. A profiling pass then
sets ω_i² = Σ_{j<i} Var[F_j], the variance of all branches before block i in one forward with every
ω at 1; ω_1 stays 1. A port without that pass is Post-LN with a trained vector.
"""

from collections.abc import Iterator, Sequence
from math import sqrt

import torch
from torch import nn

from numerics.own_model.audit.comparison import AuditRow
from numerics.own_model.audit.finding import Finding, count_names, names_of, plural
from numerics.recipes.recipe import Recipe
from numerics.structure.additions import find_additions
from numerics.structure.default_batch import ModelBatch
from numerics.structure.norms import find_norms
from numerics.structure.private_copy import (
    detached,
    eager,
    private_copy,
    quiet_forward,
    without_cache,
)
from numerics.structure.record import record_forward
from numerics.structure.roots import mark_roots
from numerics.structure.types import Branch, Structure

PROFILED = ("admin", "admin-code")
"""Recipes whose ω a forward pass sets."""


def unprofiled_findings(
    rows: Sequence[AuditRow],
    structure: Structure,
    recipe: Recipe | None,
    model: nn.Module,
    batch: ModelBatch,
) -> Iterator[Finding]:
    """Trained shortcuts that are all 1, with what the profiling pass would set them to."""
    own = [row for row in rows if row.place.role == "scalar" and _on_shortcut(row.place.branch)]
    later = [row for row in own if row.place.branch and row.place.branch.index > 0]
    set_already = any(row.sample.std or row.sample.value != 1 for row in own)
    if not structure.understood or not later or set_already:
        return
    given = recipe is not None and recipe.name in PROFILED
    variances = branch_variances(model, batch)
    names = names_of(row.place for row in own)
    text = (
        f"{plural(len(own), 'trained factor')} on the shortcut ({count_names(names)}) are all 1: "
        "Admin's profiling pass never ran, and the model is Post-LN."
    )
    wanted = None
    if len(variances) == structure.depth:
        asked = omegas(structure.branches, variances)
        wanted = asked[-1]
        text += (
            f" On this batch ω_i² = Σ_(j<i) Var[F_j] asks {asked[1]:.4g} in the second block, "
            f"rising to {wanted:.4g} in the last."
        )
    factor = None if wanted is None else 1 / wanted
    yield Finding("unprofiled", text, names, 1.0, wanted, factor, fault=given)


def _on_shortcut(branch: Branch | None) -> bool:
    """Whether the trained factor of a Post-LN block is the shortcut's, as in Admin."""
    return (
        branch is not None
        and branch.norm_on_stream
        and branch.shortcut_multiplier is None
        and branch.branch_multiplier is not None
    )


def branch_variances(model: nn.Module, batch: ModelBatch) -> tuple[float, ...]:
    """The variance of what each branch adds, over all its entries in one forward: Var[F_i]."""
    args, kwargs = without_cache(model, batch)
    with quiet_forward(), private_copy(model, share=True) as work:
        with torch.no_grad():  # tracing puts noise where all is 0, which would be measured here
            for own, users in zip(work.parameters(), eager(model).parameters(), strict=True):
                if own is not users:
                    own.copy_(users)
        args, kwargs = detached(args), detached(kwargs)
        graph = record_forward(
            work, (args, kwargs), lambda: work(*args, **kwargs), None, (), [eager(model)]
        )
    mark_roots(graph)
    additions = find_additions(graph, {norm.output: norm for norm in find_norms(graph)})
    found = sorted(additions.found.values(), key=lambda addition: addition.node)
    values = (graph.nodes[addition.branch].value.detach().double() for addition in found)
    return tuple(float(value.var(correction=0)) for value in values)


def omegas(branches: Sequence[Branch], variances: Sequence[float]) -> tuple[float, ...]:
    """The ω of every branch: the root of the variances before it on its stream, 1 for the first.

    Examples
    --------
    >>> from numerics.structure.types import Branch
    >>> stack = [Branch(i, "stream", i, "mlp", False, False, True, False) for i in range(3)]
    >>> omegas(stack, [4.0, 5.0, 1.0])
    (1.0, 2.0, 3.0)
    """
    totals: dict[str, float] = {}
    found = []
    for branch, variance in zip(branches, variances, strict=True):
        before = totals.get(branch.stream)
        found.append(1.0 if before is None else sqrt(before))
        totals[branch.stream] = (before or 0.0) + variance
    return tuple(found)
