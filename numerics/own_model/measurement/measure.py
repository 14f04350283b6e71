"""How far one step moves any torch module: its exact limit, in total, by role and by layer.

Let f(θ) be the module's output before its head (or what the user names), u a random cotangent of
norm 1 on f, g = Jᵀu, and s the step that an optimizer makes of g. Measured are

    total       ‖J s‖ = lim_{η→0} ‖f(θ + ηs) − f(θ)‖/η
    by group    ‖J_p s_p‖ for the entries p of every role, and of every layer

The user's module is only read. What is measured is a copy without dropout, in float64, with math
attention, at valid positions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from numerics.linearization.types import Parameters
from numerics.own_model.measurement.conditions import measuring
from numerics.own_model.measurement.function import ModuleFunction, module_function
from numerics.own_model.measurement.groups import Group, Grouping, grouping
from numerics.own_model.measurement.noise import without_noise
from numerics.own_model.measurement.output import Output
from numerics.own_model.measurement.tangents import (
    AGREEMENT,
    SUSPICION,
    Method,
    Tangents,
    inconsistency,
    tangents,
)
from numerics.own_model.measurement.update_steps import require_optimizer, sign_like, steps
from numerics.structure.default_batch import ModelBatch
from numerics.structure.types import Structure


@dataclass(frozen=True)
class ModuleUpdate:
    """How far one optimizer's step moves one module."""

    optimizer: str
    total: float
    """How far a step moves the function per rate, lim ‖Δf‖/η."""
    by_role: Mapping[str, float]
    """The same for the entries of each role alone."""
    by_layer: Mapping[str, float]
    """The same for each layer alone."""
    dead: tuple[str, ...]
    """Parameters whose gradient is exactly 0, or only rounding under sign-like rules."""
    output_norm: float
    """Norm of the function's value, ‖f‖."""
    function: str
    """What was taken as the function, in words."""
    method: Method
    """How the forward derivative was taken."""
    operation: str | None
    """The operation that has no forward derivative, where that decided the method."""
    dtype: str
    grouped_by_names: bool
    """Whether groups are the author's names, because the structure is not understood."""
    notes: tuple[str, ...] = ()

    @property
    def relative(self) -> float:
        """‖Δf‖/(η‖f‖): a learning rate times this is the relative change of f."""
        return self.total / self.output_norm if self.output_norm else float("inf")


def measure_module(
    model: nn.Module,
    batch: ModelBatch,
    optimizers: Sequence[str] = ("sgd",),
    *,
    seed: int = 0,
    output: Output = None,
    mask: Tensor | None = None,
    structure: Structure | None = None,
    split: bool = True,
    dtype: torch.dtype | None = torch.float64,
    rates: Mapping[str, float] | None = None,
) -> dict[str, ModuleUpdate]:
    """Measure ‖Δf‖/η of a module for several optimizers, from one gradient.

    Parameters
    ----------
    model, batch
        The module and arguments for one forward; neither is changed.
    optimizers
        Names of `numerics.own_model.measurement.update_steps.optimizer_names`.
    seed
        Seed of the cotangent.
    output
        What f is, see `numerics.own_model.measurement.output.Output`.
    mask
        Valid positions, where the batch does not say them.
    structure
        What `trace_structure` found; without it groups are the parameters' names.
    split
        Whether to measure the groups as well as the total.
    dtype
        Precision of the measurement; ``None`` keeps the module's.
    rates
        Factors on the learning rate by parameter.

    Raises
    ------
    InputError
        For an unknown optimizer, a module that cannot be copied, an output that is no floating
        tensor, or a forward that is random with dropout off.

    Examples
    --------
    >>> model = nn.Linear(3, 1, bias=False)
    >>> found = measure_module(model, torch.tensor([[3.0, 0.0, 4.0]]))["sgd"]
    >>> round(found.total, 6)  # ‖x‖² = 25
    25.0
    """
    for name in optimizers:
        require_optimizer(name)
    with measuring():
        function = module_function(model, batch, output=output, mask=mask, dtype=dtype)
        return update_of(
            function, optimizers, seed=seed, structure=structure, split=split, rates=rates
        )


def update_of(
    function: ModuleFunction,
    optimizers: Sequence[str],
    *,
    seed: int = 0,
    structure: Structure | None = None,
    split: bool = True,
    layers: bool = True,
    rates: Mapping[str, float] | None = None,
) -> dict[str, ModuleUpdate]:
    """`measure_module` of a function that is there already; call it under `measuring`.

    ``layers`` says whether the layers are measured as well as the roles.
    """
    cotangent = function.random_cotangent(seed)
    value, gradients = function.gradient(cotangent)
    groups = grouping(function.parameters, structure) if split else None
    if groups is not None and not layers:
        groups = replace(groups, by_layer=())
    views = structure.views if structure is not None and structure.understood else ()
    return {
        name: _update(function, name, value, gradients, cotangent, groups, views, rates)
        for name in optimizers
    }


def _update(
    function: ModuleFunction,
    optimizer: str,
    value: Tensor,
    gradients: Parameters,
    cotangent: Tensor,
    groups: Grouping | None,
    views: Sequence,
    rates: Mapping[str, float] | None,
) -> ModuleUpdate:
    step = steps(
        optimizer, [gradients], function.parameters, views, ends=ends_of(function), rates=rates
    )
    moving = {name: s for name, s in step.items() if bool(s.any())}
    roles, layers = _parts(groups, moving)
    found = tangents(function, [part for _, part in (*roles, *layers)] or [moving], cotangent)
    rows = found.values.double()
    # Both ways of splitting add up to the same step, so that the total needs no pass of its own.
    total = rows[: len(roles) or 1].sum(0) if rows.shape[0] else torch.zeros_like(value).double()
    norms = [_norm(row) for row in rows]
    return ModuleUpdate(
        optimizer=optimizer,
        total=_norm(total),
        by_role=_by_name(groups.by_role if groups else (), roles, norms),
        by_layer=_by_name(groups.by_layer if groups else (), layers, norms[len(roles) :]),
        dead=_dead(function, gradients, optimizer),
        output_norm=_norm(value),
        function=function.measured.words,
        method=found.method,
        operation=found.operation,
        dtype=str(function.dtype).removeprefix("torch."),
        grouped_by_names=groups.by_names if groups else False,
        notes=_notes(function, found, gradients, moving, total, cotangent),
    )


def _parts(
    groups: Grouping | None, step: Parameters
) -> tuple[list[tuple[str, Parameters]], list[tuple[str, Parameters]]]:
    """The groups that move and their parts of the step."""
    if groups is None:
        return [], []

    def moving(all_groups: Sequence[Group]) -> list[tuple[str, Parameters]]:
        parts = [(group.name, group.of(step)) for group in all_groups]
        return [(name, part) for name, part in parts if any(bool(s.any()) for s in part.values())]

    return moving(groups.by_role), moving(groups.by_layer)


def ends_of(function: ModuleFunction) -> tuple[str, ...]:
    """Embedding tables and the head, by what modules they are: Muon leaves them to Adam."""
    tables = [
        name
        for name, slots in function.copied.slots.items()
        if any(isinstance(module, nn.Embedding) for module, _ in slots)
    ]
    head = function.measured.head
    return tuple(tables) if head is None else (*tables, head)


def _by_name(
    groups: Sequence[Group], moving: Sequence[tuple[str, Parameters]], norms: Sequence[float]
) -> dict[str, float]:
    """The norm of every group; 0 for those that do not move."""
    found = dict.fromkeys((group.name for group in groups), 0.0)
    return found | {name: norm for (name, _), norm in zip(moving, norms, strict=False)}


def _norm(tensor: Tensor) -> float:
    """The norm of a tensor, without overflow of its square."""
    tensor = tensor.double()
    largest = float(tensor.abs().max()) if tensor.numel() else 0.0
    if not 0 < largest < float("inf"):
        return largest
    return float(torch.linalg.vector_norm(tensor / largest)) * largest


def _dead(function: ModuleFunction, gradients: Parameters, optimizer: str) -> tuple[str, ...]:
    shown = without_noise(gradients) if sign_like(optimizer) else gradients
    return tuple(
        name
        for name, g in shown.items()
        if name not in function.measured.after and not bool(g.any())
    )


def _notes(
    function: ModuleFunction,
    found: Tangents,
    gradients: Parameters,
    step: Parameters,
    total: Tensor,
    cotangent: Tensor,
) -> tuple[str, ...]:
    notes = list(function.copied.notes)
    if function.dropout_inside:
        notes.append("The forward asks for dropout outside training mode: it is left out.")
    if function.valid is not None:
        valid = int(function.valid.sum())
        notes.append(f"{valid} of {function.valid.numel()} positions are valid and are measured.")
    if found.method == "double backward":
        notes.append(
            f"{found.operation} has no forward derivative: backward twice, checked by a finite "
            "step."
        )
    elif found.method == "finite step":
        notes.append(
            f"{found.operation} has no forward derivative: a finite step, η = {found.eta:.1e}."
        )
    elif found.operation is not None:
        notes.append(f"Groups were measured one by one: {found.operation}.")
    forward = found.method.startswith("forward")
    apart = inconsistency(gradients, step, total, cotangent) if forward else 0.0
    if not apart <= SUSPICION:
        function.require_moved()
    if not apart <= AGREEMENT:
        notes.append(
            "Backward and forward derivatives disagree: an operation's hand-written gradient is "
            "another function's."
        )
    return tuple(notes)
