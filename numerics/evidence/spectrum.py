"""Both ends of the update operator's spectrum against depth: "bounded from above and below".

‖Δf‖/η along one cotangent says nothing about the direction that moves least, but λ_max and λ_min of
J Jᵀ do. Both are taken over all parameters and over the residual blocks alone, because the
embeddings' skip path is Θ(1) by itself and would hide blocks whose share vanishes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch

from numerics.evidence.depth import all_equivalent
from numerics.measure.update_operator import block_spectra, model_operator
from numerics.models import ModelSpec
from numerics.models.roles import EMBEDDINGS, part_of
from numerics.models.tokens import TokenBatch
from numerics.schemes import Scheme, build
from numerics.schemes.tfixup import TFIXUP
from numerics.statistics.exponents import Exponent, NoExponent, fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Level, Observation, provides


@dataclass(frozen=True)
class Grid:
    """Which models are measured."""

    depths: tuple[int, ...]
    seeds: int
    width: int
    tokens: int = 2


GRIDS = {
    Level.QUICK: Grid((2, 4, 8, 16), 12, 16),
    Level.FULL: Grid((2, 4, 8, 16, 32, 64), 8, 32),
}
CONTROL_SEEDS = 4


def distinct_tokens(tokens: int) -> TokenBatch:
    """One sequence a side without a repeated token: equal queries give J Jᵀ an eigenvalue near 0.

    Examples
    --------
    >>> distinct_tokens(2).target_BT.tolist()
    [[0, 1]]
    """
    row = torch.arange(tokens)[None]
    return TokenBatch(row + tokens, row)


def ends(scheme: Scheme, spec: ModelSpec, tokens: int, seeds: range) -> list[dict[str, float]]:
    """Both ends of the spectrum over all parameters and over the blocks' alone, one row per seed.

    Examples
    --------
    >>> (found,) = ends(TFIXUP, ModelSpec(1, 1, d_model=4, d_ff=4), 2, range(1))
    >>> 0 < found["λ_min, blocks"] < found["λ_min"] < found["λ_max"]
    True
    """
    models = [
        build(scheme, spec, torch.Generator().manual_seed(seed), dtype=torch.float64)
        for seed in seeds
    ]
    side_by_side = partial(model_operator, *models, batch=distinct_tokens(tokens))
    whole = block_spectra(side_by_side(), len(models))
    blocks = block_spectra(
        side_by_side(moves=lambda name: part_of(name) != EMBEDDINGS), len(models)
    )
    return [
        {
            "λ_max": one.largest,
            "λ_min": one.smallest,
            "λ_max, blocks": part.largest,
            "λ_min, blocks": part.smallest,
        }
        for one, part in zip(whole, blocks, strict=True)
    ]


def exponents(scheme: Scheme, grid: Grid, root: int) -> Mapping[str, Exponent | NoExponent]:
    """Depth exponents of `ends`."""
    where: list[float] = []
    rows: list[dict[str, float]] = []
    for depth in grid.depths:
        spec = ModelSpec(depth, depth, d_model=grid.width, d_ff=2 * grid.width)
        first = 100_000 * root + 100 * depth
        rows += ends(scheme, spec, grid.tokens, range(first, first + grid.seeds))
        where += [depth] * grid.seeds
    return {name: power_law(where, [row[name] for row in rows]) for name in rows[0]}


@provides("ours.spectrum", kind=Kind.MEASUREMENT)
def spectrum(context: Context) -> Iterator[Observation]:
    """Both ends flat under T-Fixup; with squared scales the blocks' ends fall as 1/N."""
    grid = GRIDS[context.level]
    ours = exponents(TFIXUP, grid, context.seed)
    squared = exponents(
        replace(TFIXUP, power=2.0), replace(grid, seeds=CONTROL_SEEDS), context.seed
    )
    margin = tolerance("spectrum-exponent")
    worst = max((fitted(fit) for fit in ours.values()), key=lambda fit: abs(fit.value))
    yield Observation(
        scope=f"N = {grid.depths[0]}…{grid.depths[-1]}, width {grid.width}, {grid.seeds} seeds",
        passed=all_equivalent(ours, 0.0, margin),
        summary=f"over N = {grid.depths[0]}…{grid.depths[-1]}: "
        + ", ".join(f"{name} ~ N^{fitted(fit).value:+.2f}" for name, fit in ours.items()),
        control=Control(
            "scales N^(-1/2), their exponent off by 1/4: "
            + ", ".join(f"{name} ~ N^{fitted(fit).value:+.2f}" for name, fit in squared.items()),
            all(
                fitted(squared[name]).equivalent(0.0, margin) is False
                for name in ("λ_max, blocks", "λ_min, blocks")
            ),
        ),
        value=worst.value,
        expected=0.0,
        tolerance=margin,
        interval=worst.interval,
        details={name: str(fit) for name, fit in ours.items()} | {"grid": str(grid)},
    )


PROVIDERS = (spectrum,)
