"""``initialize_(model, recipe, generator)``: draw any Transformer by role, in place.

Tensors are drawn in a canonical order (stack, layer, branch, role), every matrix as (fan_out,
fan_in). A packed, transposed or interleaved layout therefore gets the same numbers as one with a
matrix for each role. What the recipe does not cover is left as it was, and listed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from numerics.recipes import as_recipe
from numerics.recipes.asked import asks, tie_words
from numerics.recipes.draw import Draw
from numerics.recipes.ends import setting_for, watch_ends
from numerics.recipes.offset_gains import offset_gains
from numerics.recipes.place import ModelSizes, ParameterPlace, places
from numerics.recipes.recipe import Recipe
from numerics.recipes.traced import traced, unwrapped
from numerics.schemes import Scheme
from numerics.structure.default_batch import ModelBatch, default_batch
from numerics.structure.types import Structure, TensorView
from numerics.structure.user_factory import require_measurable
from theory.errors import InputError

_ROLES = (
    *("embedding", "positions", "q", "k", "v", "out", "w_in", "gate", "w_out", "head"),
    *("norm_gain", "norm_bias", "bias", "scalar", "other"),
)
"""The canonical order within a branch."""


@dataclass(frozen=True)
class Initialized:
    """What was drawn, what was left, and what was decided."""

    recipe: Recipe
    drawn: tuple[str, ...]
    """Parameters that were set, at least in part."""
    left: tuple[str, ...]
    """Parameters that the recipe does not cover, as they were."""
    notes: tuple[str, ...]
    """Decisions in sentences: ties, padding rows, sizes."""


def initialize_(
    model: nn.Module,
    recipe: str | Recipe | Scheme,
    generator: torch.Generator,
    batch: ModelBatch | None = None,
    *,
    structure: Structure | None = None,
    output: Callable[[object], object] | None = None,
    blocks: Sequence[str] | None = None,
) -> Initialized:
    """Draw every tensor of a model from what a recipe asks of its role.

    Parameters
    ----------
    model
        Any `torch.nn.Module`; its parameters are written in place.
    recipe
        A recipe or a scheme, or the name of one.
    generator
        The source of the numbers: a seed gives the same weights whatever the layout.
    batch
        Arguments of the forward, by which the structure is found.
    structure
        The structure, where it is known already.
    output, blocks
        Passed to `numerics.structure.trace.trace_structure`.

    Raises
    ------
    InputError
        If the recipe is unknown, the structure is not understood, or nothing can be drawn.
    """
    model = unwrapped(model)
    require_measurable(model, finite=False)
    chosen = as_recipe(recipe)
    if batch is None:
        batch, _ = default_batch(model)
    if structure is None:
        structure = traced(model, batch, output=output, blocks=blocks)
    if not structure.understood:
        raise InputError(
            "a model must be understood to be initialised by role: " + " ".join(structure.reasons)
        )
    setting = setting_for(structure, model, watch_ends(model, batch))
    found = places(structure, model, offset_gains(model, batch, structure))
    asked = asks(chosen, found, setting)
    padding = _padding_rows(model, found)
    parameters = dict(model.named_parameters())
    drawn: dict[str, None] = {}
    with torch.no_grad():
        later = []
        for place, draw in _ordered(found, asked):
            if draw is None:
                continue
            drawn[place.name] = None
            if draw.profiled is not None:
                later.append((place, draw))
                continue
            _write_(parameters[place.name], place.view, draw, generator)
        for name, rows in padding.items():
            if name in drawn:
                parameters[name][list(rows)] = 0.0
        if later:
            norms = watch_ends(model, batch).norms
            for place, draw in later:
                exact = _profiled(draw, place, setting, norms)
                _write_(parameters[place.name], place.view, exact, generator)
    left = tuple(name for name in parameters if name not in drawn)
    return Initialized(
        chosen,
        tuple(drawn),
        left,
        (*tie_words(chosen, found, setting), *_padding_words(padding, drawn)),
    )


def _ordered(
    found: Sequence[ParameterPlace], asked: Sequence[Draw | None]
) -> list[tuple[ParameterPlace, Draw | None]]:
    """What is drawn, in canonical order; a tied or shared part once, by its first place."""
    stacks = list(dict.fromkeys(place.stack for place in found))

    def key(item: tuple[ParameterPlace, Draw | None]) -> tuple[int, ...]:
        place = item[0]
        outside = place.branch is None
        head = outside and place.role == "head"
        return (
            2 if head else int(not outside),
            stacks.index(place.stack),
            place.layer,
            place.branch.index if place.branch else 0,
            _ROLES.index(place.role),
            place.view.expert or 0,
        )

    seen = set()
    kept = []
    for place, draw in sorted(zip(found, asked, strict=True), key=key):
        view = place.view
        part = (view.parameter, view.axis, view.rows, view.expert)
        if part not in seen:
            seen.add(part)
            kept.append((place, draw))
    return kept


def _write_(parameter: Tensor, view: TensorView, draw: Draw, generator: torch.Generator) -> None:
    """Fill the entries of a view; matrices are drawn as (fan_out, …, fan_in)."""
    shape = list(view.of(parameter).shape)
    axis = view.fan_in_axis
    last = len(shape) - 1
    moves = axis is not None and len(shape) > 1 and axis % len(shape) != last
    if moves:
        assert axis is not None
        shape.append(shape.pop(axis))
    values = draw.sample(tuple(shape), generator)
    if moves:
        assert axis is not None
        values = values.movedim(-1, axis)
    values = values.to(device=parameter.device, dtype=parameter.dtype)
    target = parameter if view.expert is None else parameter[view.expert]
    if view.axis is None or view.rows is None:
        target.copy_(values)
    else:
        rows = torch.tensor(view.rows, device=parameter.device, dtype=torch.long)
        target.index_copy_(view.axis, rows, values)


def _profiled(
    draw: Draw, place: ParameterPlace, setting: ModelSizes, norms: tuple[float, ...]
) -> Draw:
    """DT-Fixup's factor from the stack's N and largest input norm μ: 1/√(N (4μ² + 2μ + 2))."""
    stacks = list(setting.stacks)
    number = stacks.index(place.stack) if place.stack in stacks else 0
    if not norms:
        raise InputError(
            "dt-fixup needs the norm of what enters the stream, and no embedding was seen in the "
            "forward"
        )
    mu = norms[min(number, len(norms) - 1)]
    layers = setting.stacks[place.stack].layers
    return replace(draw, sigma=draw.sigma * (layers * (4 * mu**2 + 2 * mu + 2)) ** -0.5)


def _padding_rows(model: nn.Module, found: Sequence[ParameterPlace]) -> dict[str, tuple[int, ...]]:
    """Rows that must stay 0: of ``padding_idx``, and single rows of a table that were 0 before."""
    names = {id(p): name for name, p in model.named_parameters()}
    rows: dict[str, set[int]] = {}
    for module in model.modules():
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            rows.setdefault(names[id(module.weight)], set()).add(module.padding_idx)
    parameters = dict(model.named_parameters())
    for place in found:
        table = parameters[place.name].detach()
        if place.role == "embedding" and table.dim() == 2:
            empty = (table == 0).all(dim=1).nonzero().flatten().tolist()
            if len(empty) <= max(1, len(table) // 100):
                rows.setdefault(place.name, set()).update(empty)
    return {name: tuple(sorted(found_rows)) for name, found_rows in rows.items() if found_rows}


def _padding_words(padding: dict[str, tuple[int, ...]], drawn: dict[str, None]) -> tuple[str, ...]:
    return tuple(
        f"{name}: row {', '.join(map(str, rows))} is padding and stays 0."
        for name, rows in padding.items()
        if name in drawn
    )
