"""A model initialised and stepped as solved, at several depths, and what its step then does.

The conditions promise that one step moves f by the same amount at every depth, in total and through
every group of weights. Both are measured here: the exact limit ‖Δf‖/η of the initialised model,
with the solved factors on the rates, and its exponents in the depth.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from numerics.own_model.check.common_part import CommonPart, common_part
from numerics.own_model.measurement.conditions import measuring
from numerics.own_model.measurement.function import module_function
from numerics.own_model.measurement.measure import update_of
from numerics.recipes.factors_by_parameter import factors_by_parameter
from numerics.recipes.initialize import initialize_
from numerics.recipes.solved import ModelSolution, solve_traced
from numerics.statistics.exponents import Exponent, NoExponent, power_law
from numerics.structure.types import Structure
from numerics.structure.user_factory import UserFactory, as_factory, load_factory
from theory.errors import InputError

TOTAL_MARGIN = 0.05
"""Within ± this the total's exponent counts as 0: over N = 4 … 64 it then changes by 15 %."""
GROUP_MARGIN = 0.1
"""The same for a group of weights, whose exponents scatter more: it may change by 32 %."""


def solve_model(
    factory: str | Callable[..., object],
    optimizer: str,
    layers: int,
    *,
    base_layers: int = 2,
    complete: bool = False,
    width: int | None = None,
) -> ModelSolution:
    """Derive standard deviations and rates by role for a model that no recipe names.

    Parameters
    ----------
    factory
        A function of the depth that returns a module, or a module and a batch; or its name.
    optimizer
        The optimizer whose step is to move the model alike at every depth: sgd, adamw, muon, …
    layers
        N, with which the factory is called.
    base_layers
        N₀, at which the learning rate was tuned and every factor is 1.
    complete
        CompleteP's demand, instead of branches as large as a steady stream allows.
    width
        For a factory of two arguments.

    Returns
    -------
    ModelSolution
        With a ``recipe`` for `tfixup.initialize_` and `tfixup.param_groups`.

    Raises
    ------
    InputError
        For a model that is not understood, or that only a multiplier could keep.

    Examples
    --------
    >>> from torch import nn
    >>> def encoder(layers):
    ...     layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True)
    ...     stack = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    ...     return stack, torch.randn(2, 4, 16)
    >>> found = solve_model(encoder, "adamw", 8)
    >>> found.recipe.factors["mlp.w_out"].rate, found.recipe.factors["mlp.w_in"].rate
    (0.25, 0.5)
    """
    made = load_factory(factory) if isinstance(factory, str) else as_factory(factory)
    return solve_factory(
        made, optimizer, layers, base_layers=base_layers, complete=complete, width=width
    )


@dataclass(frozen=True)
class SolvedRow:
    """‖Δf‖/η of one model: one depth, one seed."""

    layers: int
    seed: int
    group: str
    """``total``, or the role of the weights that were moved alone."""
    change: float


@dataclass(frozen=True)
class SolvedExponents:
    """How a solved model's first step depends on its depth."""

    optimizer: str
    rows: tuple[SolvedRow, ...]
    exponents: Mapping[str, Exponent | NoExponent]
    """By group, ``total`` first."""
    covered: tuple[str, ...]
    """Groups of which the conditions speak."""
    common: Mapping[str, CommonPart | None]
    """What the blocks do alike, by group."""
    function: str
    """What f is."""

    def word(self, group: str) -> str:
        """What a group's change does with the depth.

        One of ``flat``, ``levels off``, ``grows``, ``shrinks`` and ``undecided``, or why there is
        no exponent.
        """
        found, common = self.exponents[group], self.common[group]
        if isinstance(found, NoExponent):
            return found.reason
        if self.flat(group):
            return "flat"
        if common is not None and common.levels_off:
            return "levels off"
        if self.flat(group) is None:
            return "undecided"
        return "grows" if found.value > 0 else "shrinks"

    def flat(self, group: str) -> bool | None:
        """Whether a group's exponent is 0 within its margin; ``None`` if undecided."""
        found = self.exponents[group]
        margin = TOTAL_MARGIN if group == "total" else GROUP_MARGIN
        return None if isinstance(found, NoExponent) else found.equivalent(0, margin)


def solve_factory(
    factory: UserFactory,
    optimizer: str,
    layers: int,
    *,
    base_layers: int,
    complete: bool = False,
    width: int | None = None,
) -> ModelSolution:
    """Solve a factory's model at one depth, for a rate that was tuned at another.

    Raises
    ------
    InputError
        For a factory that takes no depth, or a model that is not understood.
    """
    if not factory.takes:
        raise InputError(f"the factory {factory.name} must take the depth, and takes nothing")
    built = factory.build(layers, width, seed=0)
    base = factory.build(base_layers, width, seed=0)
    return solve_traced(
        built.model,
        built.batch,
        base.model,
        optimizer,
        layers=layers,
        base_layers=base_layers,
        complete=complete,
        name=f"solved for {optimizer}",
    )


def measure_solved(
    factory: UserFactory,
    optimizer: str,
    depths: Sequence[int],
    *,
    seeds: int,
    base_layers: int,
    complete: bool = False,
    width: int | None = None,
    flat_rates: bool = False,
) -> SolvedExponents:
    """Exponents of a solved model's first step, in total and by role.

    Parameters
    ----------
    factory
        Builds the model of a depth; what it draws is replaced.
    optimizer
        The optimizer whose step is solved for and measured.
    depths
        Numbers of layers.
    seeds
        Models per depth.
    base_layers
        N₀, at which every rate has the factor 1.
    complete
        CompleteP's demand.
    width
        For a factory of two arguments.
    flat_rates
        Leave the solved rates out, to see what they are for.

    Raises
    ------
    InputError
        For a model that is not understood or cannot be solved.
    """
    rows: list[SolvedRow] = []
    covered: tuple[str, ...] = ()
    function = ""
    for layers in sorted(set(depths)):
        solution = solve_factory(
            factory, optimizer, layers, base_layers=base_layers, complete=complete, width=width
        )
        structure = solution.structure
        covered = covered_groups(structure, solution)
        for seed in range(seeds):
            found, function = _measured(
                factory, optimizer, solution, layers, seed, width=width, flat_rates=flat_rates
            )
            rows += found
    points = {
        group: tuple(zip(*((r.layers, r.change) for r in rows if r.group == group), strict=True))
        for group in dict.fromkeys(row.group for row in rows)
    }
    return SolvedExponents(
        optimizer,
        tuple(rows),
        {group: power_law(*own) for group, own in points.items()},
        covered,
        {group: common_part(*own) for group, own in points.items()},
        function,
    )


def covered_groups(structure: Structure, solution: ModelSolution) -> tuple[str, ...]:
    """Roles of traced tensors that the conditions speak of, as `measure_module` groups them."""
    names = {"norm_gain": "norm", "norm_bias": "norm"}
    uncovered = set(solution.reading.uncovered)
    found = (
        names.get(view.role, view.role)
        for view in structure.views
        if view.parameter not in uncovered
    )
    return tuple(dict.fromkeys(found))


def _measured(
    factory: UserFactory,
    optimizer: str,
    solution: ModelSolution,
    layers: int,
    seed: int,
    *,
    width: int | None,
    flat_rates: bool,
) -> tuple[list[SolvedRow], str]:
    """Every group's change, and what f is."""
    built = factory.build(layers, width, seed=seed)
    structure = solution.structure
    generator = torch.Generator().manual_seed(seed)
    initialize_(built.model, solution.recipe, generator, built.batch, structure=structure)
    rates = None
    if not flat_rates:
        own = factors_by_parameter(built.model, solution.recipe, structure)
        rates = {name: factors.rate for name, factors in own.items()}
    with measuring():
        # Without the layers one by one, the cost of a depth is N's and not N²'s.
        moved = update_of(
            module_function(built.model, built.batch),
            (optimizer,),
            seed=seed,
            structure=structure,
            layers=False,
            rates=rates,
        )[optimizer]
    changes = {"total": moved.total, **moved.by_role}
    rows = [SolvedRow(layers, seed, group, change) for group, change in changes.items()]
    return rows, moved.function
