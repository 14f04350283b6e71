"""An initialisation that nobody wrote down: solved from the conditions for one traced model.

With fan-in n_in, B additions of a stream and x₀ what enters it:

    matrices       N(0, 1/√n_in)
    what writes    N(0, ρ/√n_in), or the value ρ of a gain or scale behind the last norm
    tables         what enters a stream has RMS 1; a table that is the head as well has 1/√n_in
    ρ              RMS(x₀) B₀^(-1/2)/m₀ (N/N₀)^e

B₀ and m₀ are the additions and the forward's multiplier at the base depth N₀, and e the power that
the conditions leave to what writes: then the branches add up to the size of what enters, at every
depth. Rates, weight decays and ε have the factors (N/N₀)^power of their roles.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from numerics.recipes.draw import Draw, constant, normal
from numerics.recipes.ends import Ends, watch_ends
from numerics.recipes.factors import UNCHANGED, Factors
from numerics.recipes.place import ModelSizes, ParameterPlace, setting_of
from numerics.recipes.recipe import Recipe
from numerics.recipes.stack_reading import StackReading, multiplier_powers, read_stack
from numerics.recipes.stack_roles import role_of
from numerics.recipes.traced import traced
from numerics.structure.default_batch import ModelBatch
from numerics.structure.types import Structure
from theory.errors import InputError, require_positive
from theory.parametrisations.prescriptions import PowerPrescription, prescribe
from theory.parametrisations.step_laws import law_named


@dataclass(frozen=True)
class Solved(Recipe):
    """A recipe for one model: standard deviations by role, and factors on rates."""

    sizes: Mapping[str, float] = field(default_factory=dict)
    """By the solver's role: standard deviation × √fan_in of a matrix, value of a gain or scale."""
    tables: Mapping[str, float] = field(default_factory=dict)
    """Standard deviation of each table that enters a stream, by parameter."""
    factors: Mapping[str, Factors] = field(default_factory=dict)
    """Factors on the optimizer's settings, by the solver's role."""

    def ask(self, place: ParameterPlace, setting: ModelSizes) -> Draw | None:
        """The distribution of a tensor; ``None`` where no condition speaks of it."""
        role = role_of(place.view, place.branch)
        if place.name in self.tables and place.role in ("embedding", "positions"):
            return normal(self.tables[place.name])
        if place.is_matrix or place.role == "head":
            return normal(self.sizes.get(role, 1.0) * place.fans[0] ** -0.5)
        if place.role in ("norm_gain", "scalar") and role:
            return constant(self.sizes.get(role, 1.0))
        return super().ask(place, setting) if place.role in ("bias", "norm_bias") else None

    def factors_of(self, place: ParameterPlace) -> Factors:
        """What the tensor's role asks of the optimizer; all 1 where no condition speaks of it."""
        return self.factors.get(role_of(place.view, place.branch), UNCHANGED)


@dataclass(frozen=True)
class ModelSolution:
    """What was found in a model, what the conditions ask, and the recipe that answers them."""

    structure: Structure
    reading: StackReading
    prescription: PowerPrescription
    recipe: Solved
    inputs: Mapping[str, float]
    """RMS of what enters each stream under the recipe."""
    notes: tuple[str, ...]


def solve_traced(
    model: nn.Module,
    batch: ModelBatch,
    base: nn.Module,
    optimizer: str,
    *,
    layers: int,
    base_layers: int,
    complete: bool = False,
    name: str = "solved",
) -> ModelSolution:
    """Standard deviations and rates by role that keep a model's first step as the depth grows.

    Parameters
    ----------
    model, batch
        The model at the depth asked for, and arguments of its forward.
    base
        The same model at the depth where the base rate was tuned.
    optimizer
        A name of `theory.parametrisations.step_laws.STEP_LAWS`.
    layers, base_layers
        N and N₀, as the factory was given them.
    complete
        CompleteP's demand instead of branches as large as a steady stream allows.
    name
        Name of the recipe.

    Raises
    ------
    InputError
        For a structure that is not understood or of which the solver has no conditions, and where
        only a multiplier could meet them.
    """
    require_positive(layers=layers, base_layers=base_layers)
    law = law_named(optimizer)
    structure, shallow = traced(model, batch), traced(base, batch)
    reading, base_reading = read_stack(structure, name), read_stack(shallow, name)
    if base_reading.stack.used != reading.stack.used:
        raise InputError("the model must have the same roles at both depths, and has others")
    given = multiplier_powers(reading, base_reading, layers / base_layers)
    found = prescribe(
        reading.stack,
        law,
        layers,
        base_layers=base_layers,
        complete=complete,
        multipliers=False,
        given=given,
    )
    tables, inputs = _tables(model, structure, watch_ends(model, batch))
    sizes = _sizes(found, shallow, base, base_reading, inputs)
    factors = {
        role: Factors(own.rate, own.weight_decay, own.epsilon)
        for role, own in found.factors.items()
        if role in reading.stack.trained
    }
    recipe = Solved(
        name,
        f"solved for {optimizer}, {layers} layers",
        "matrices 1/√fan_in, branches that add up to what enters the stream",
        sizes=sizes,
        tables=tables,
        factors=factors,
    )
    notes = (*structure.reasons, *_end_notes(reading, complete))
    return ModelSolution(structure, reading, found, recipe, inputs, notes)


def _end_notes(reading: StackReading, complete: bool) -> tuple[str, ...]:
    """A note on what a trace does not tell: behind which of two streams a vector stands.

    With branches N^(-1/2) the memory's derivative is Θ(1) and both streams have the same powers.
    With CompleteP's 1/N it is N^(-1/2).
    """
    if not complete or len(reading.stack.streams) < 2 or not reading.stack.final:
        return ()
    ends = " and ".join(reading.stack.final)
    return (
        f"{ends} are one role for both streams and have the decoder's rate; behind the encoder's "
        "last block their share of f's change falls with N, as the memory's does.",
    )


def _sizes(
    found: PowerPrescription,
    shallow: Structure,
    base: nn.Module,
    reading: StackReading,
    inputs: Mapping[str, float],
) -> dict[str, float]:
    """The size ρ of what writes to each stream; every other role has 1."""
    setting = setting_of(shallow, base)
    sizes = {}
    for stream in found.structure.streams:
        additions = setting.stacks[stream.name].additions
        # Without norms a branch multiplies by what it reads; behind one the stream has size 1.
        entering = inputs[stream.name] if stream.wiring == "pre-norm" else 1.0
        for branch in stream.branches:
            writer = next(r for r in reversed(branch.roles) if r in found.structure.trained)
            own = reading.multipliers.get(branch.roles[-1], 1.0)
            own /= reading.multipliers.get(stream.shortcut or "", 1.0)
            sizes[writer] = entering * additions**-0.5 / own * found.factors[writer].std
    return sizes


def _tables(
    model: nn.Module, structure: Structure, ends: Ends
) -> tuple[dict[str, float], dict[str, float]]:
    """Standard deviation of every table that enters a stream, and the RMS of what enters."""
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if p.requires_grad}
    heads = {view.parameter for view in structure.of_role("head")}
    streams = list(dict.fromkeys(branch.stream for branch in structure.branches))
    tables: dict[str, float] = {}
    entering = dict.fromkeys(streams, 1.0)
    gains = {v.parameter for v in structure.of_role("norm_gain") if v.branch is None}
    normed = len(gains) > sum(count > 0 for _, count in structure.end_norms)
    for stream, inputs in zip(streams, ends.inputs, strict=False):
        drawn = [one for one in inputs if one.name in shapes]
        tied = [one for one in drawn if one.name in heads]
        # A table that is the head as well is drawn for the head, and the others are made its size.
        size = tied[0].multiplier * shapes[tied[0].name][-1] ** -0.5 if tied else None
        each = size or max(len(drawn), 1) ** -0.5
        for one in drawn:
            tables.setdefault(one.name, each / abs(one.multiplier))
        fixed = sum(one.mean_square for one in inputs if one.name not in shapes)
        squares = [(tables[one.name] * one.multiplier) ** 2 for one in drawn]
        entering[stream] = 1.0 if normed else (sum(squares) + fixed) ** 0.5 or 1.0
    return tables, entering
