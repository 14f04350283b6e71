"""One size of a check: the models of all seeds, built by the factory and measured one by one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from numerics.own_model.check.settings import RATE, CheckSettings
from numerics.own_model.measurement.conditions import measuring
from numerics.own_model.measurement.function import (
    ModuleFunction,
    equal_but_rounding,
    module_function,
)
from numerics.own_model.measurement.measure import ModuleUpdate, ends_of, update_of
from numerics.own_model.measurement.output import main_tensor
from numerics.own_model.measurement.private_copy import called, in_dtype, private_copy
from numerics.own_model.measurement.probe import ForwardSizes, probe
from numerics.own_model.measurement.sites import Sites, site_changes
from numerics.own_model.measurement.walk import Walk, walk
from numerics.recipes.factors_by_parameter import factors_by_parameter
from numerics.structure.default_batch import ModelBatch
from numerics.structure.trace import trace_structure
from numerics.structure.types import Structure
from numerics.structure.user_factory import Built, UserFactory
from theory.errors import InputError

Rates = Callable[[str, nn.Parameter], float] | str
"""Factor on the learning rate of one parameter, or the name of a scheme or published
parametrisation that states such factors by role."""


@dataclass(frozen=True)
class Measurement:
    """What was measured of one model: one size, one seed."""

    size: int
    seed: int
    updates: Mapping[str, ModuleUpdate]
    sites: Mapping[str, Sites]
    """By optimizer, over width."""
    probed: ForwardSizes
    walks: Mapping[str, Walk]
    structure: Structure | None
    notes: tuple[str, ...]
    copies: tuple[tuple[str, ...], ...]
    """Tensors that are equal bit for bit."""


def build(factory: UserFactory, settings: CheckSettings, size: int, seed: int) -> Built:
    """The factory's model of one size under one seed."""
    if settings.over == "depth":
        return factory.build(size, settings.width, seed=seed)
    return factory.build(settings.depth, size, seed=seed)


def same_function(one: Built, other: Built) -> bool:
    """Whether two models have the same parameters and, at equal values, the same output.

    Layers that share their parameters make models of any depth out of one set of them.
    """
    shapes = [{n: tuple(p.shape) for n, p in b.model.named_parameters()} for b in (one, other)]
    if shapes[0] != shapes[1]:
        return False
    copies = [private_copy(b.model) for b in (one, other)]
    with measuring(), torch.no_grad(), copies[1].at(copies[0].parameters):
        outputs = []
        for copied in copies:
            torch.manual_seed(0)  # dropout that ignores the mode
            outputs.append(main_tensor(called(copied.module, in_dtype(one.batch, None))))
    same_shape = outputs[0].shape == outputs[1].shape
    return same_shape and equal_but_rounding(outputs[0], outputs[1])


def measure_size(
    factory: UserFactory,
    settings: CheckSettings,
    size: int,
    *,
    first: Built,
    rates: Rates | None = None,
) -> list[Measurement]:
    """Measure all seeds of one size; the structure and the layers are those of the first."""
    structure, said = structure_of(first)
    if isinstance(rates, str):
        said = (*said, f"Learning rates have {rates}'s factors by role.")
    found: list[Measurement] = []
    for seed in range(settings.seeds):
        built = first if seed == 0 else build(factory, settings, size, seed)
        found.append(_measure(built, settings, size, seed, structure, said, rates))
    return found


def structure_of(built: Built) -> tuple[Structure | None, tuple[str, ...]]:
    """What tracing finds; a model that it cannot read is measured by its parameters' names."""
    try:
        structure = trace_structure(built.model, built.batch)
    except InputError:
        raise
    except Exception as raised:  # tracing is a help here and no condition
        return None, (f"The structure could not be traced ({type(raised).__name__}).",)
    if not structure.understood:
        said = "; ".join(structure.reasons) or "no reason given"
        return structure, (f"The structure is not understood: {said}. Groups are by name.",)
    return structure, ()


def _measure(
    built: Built,
    settings: CheckSettings,
    size: int,
    seed: int,
    structure: Structure | None,
    said: tuple[str, ...],
    rates: Rates | None,
) -> Measurement:
    factors = None
    if isinstance(rates, str):
        found = factors_by_parameter(built.model, rates, structure)
        factors = {name: own.rate for name, own in found.items()}
    elif rates is not None:
        factors = {name: rates(name, p) for name, p in built.model.named_parameters()}
    function = _function(built.model, built.batch, settings)
    known = structure is not None and structure.understood
    views = structure.views if structure is not None and known else ()
    ends = ends_of(function)
    with measuring():
        updates = update_of(
            function,
            settings.optimizers,
            seed=seed,
            structure=structure,
            layers=seed == 0 and settings.over == "depth",
            rates=factors,
        )
    sites = {}
    if settings.over == "width":
        sites = {
            name: site_changes(function, name, seed=seed, views=views, ends=ends, rates=factors)
            for name in settings.optimizers
        }
    walks = {}
    if settings.steps > 1 and seed == 0 and size in (min(settings.values), max(settings.values)):
        walks = {
            name: walk(
                function, name, rate=settings.lr or RATE, count=settings.steps, seed=seed,
                views=views, ends=ends, rates=factors,
            )
            for name in settings.optimizers
        }  # fmt: skip
    notes = (*built.notes, *said)
    copies = equal_tensors(function) if seed == 0 else ()
    return Measurement(size, seed, updates, sites, probe(function), walks, structure, notes, copies)


def _function(model: nn.Module, batch: ModelBatch, settings: CheckSettings) -> ModuleFunction:
    """The function that is measured, in the precision asked for.

    Over width it is the logits, which have one shape at every width.
    """
    output = settings.output
    if output is None and settings.over == "width":
        output = "logits"
    dtype = torch.float32 if settings.dtype == "float32" else torch.float64
    with measuring():
        return module_function(model, batch, output=output, dtype=dtype)


def equal_tensors(function: ModuleFunction) -> tuple[tuple[str, ...], ...]:
    """Sets of matrices that were drawn once and copied: equal, and not constant.

    Examples
    --------
    >>> layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 1, 4, batch_first=True), 2,
    ...     enable_nested_tensor=False)
    >>> with measuring():
    ...     f = module_function(layers, torch.ones(1, 2, 4))
    >>> len(equal_tensors(f))
    4
    """
    found: dict[tuple[object, ...], list[str]] = {}
    for name, value in function.parameters.items():
        if value.dim() < 2 or value.numel() < 2 or not float(value.std()):
            continue
        ends = value.flatten()
        key = (tuple(value.shape), float(ends[0]), float(ends[-1]), float(value.sum()))
        found.setdefault(key, []).append(name)
    groups: list[tuple[str, ...]] = []
    for names in found.values():
        same = [
            n for n in names if torch.equal(function.parameters[n], function.parameters[names[0]])
        ]
        if len(same) > 1:
            groups.append(tuple(same))
    return tuple(groups)
