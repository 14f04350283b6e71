"""Trained output biases, drawn 0 as in the official code: ‖Δf‖/η against depth.

By `theory.scales.biases` every bias has gain 1 whatever the scales, so the decoder's gain is
1 + 3N. A factor of (3N)^(-1/2) on the biases, or a learning rate of η/(3N), makes it Θ(1) again.
"""

from collections.abc import Iterator

import numpy as np
import torch

from numerics.linearization.cotangents import random_cotangent
from numerics.measure.output_biases import bias_tangents, update
from numerics.models import ModelSpec
from numerics.models.tokens import output_shape, random_batch
from numerics.schemes import build
from numerics.statistics.exponents import Exponent, fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Level, Observation, Reading, provides

DEPTHS = {Level.QUICK: (2, 4, 8, 16), Level.FULL: (2, 4, 8, 16, 32, 64)}
SEEDS = {Level.QUICK: 9, Level.FULL: 12}
TRAINED, SCALED, NONE, WITHIN = "trained", "times (3N)^(-1/2)", "left out", "inner ones only"


def factors(depth: int) -> dict[str, dict[str, float]]:
    """Factors on the output and the inner biases, by name of the variant.

    Examples
    --------
    >>> factors(3)["times (3N)^(-1/2)"]["output"] * 3
    1.0
    """
    return {
        TRAINED: {"output": 1.0},
        SCALED: {"output": (3 * depth) ** -0.5},
        NONE: {},
        WITHIN: {"inner": 1.0},
    }


def _measured(context: Context) -> dict[str, tuple[Exponent, tuple[float, ...]]]:
    """By variant: the depth exponent of ‖Δf‖/η, and its mean at each depth."""
    depths, seeds = DEPTHS[context.level], SEEDS[context.level]
    values = {name: np.empty((len(depths), seeds)) for name in factors(1)}
    for row, depth in enumerate(depths):
        spec = ModelSpec(depth, depth, d_model=32, d_ff=64, biases=True)
        for number in range(seeds):
            seed = 100_000 * context.seed + 100 * depth + number
            generator = torch.Generator().manual_seed(seed)
            model = build("tfixup", spec, generator).eval()
            batch = random_batch(spec, generator, sequences=2, tokens=8)
            cotangent = random_cotangent(output_shape(spec, batch), generator)
            tangents = bias_tangents(model, batch, cotangent)
            for name, chosen in factors(depth).items():
                values[name][row, number] = update(tangents, **chosen)
    where = [float(depth) for depth in depths for _ in range(seeds)]
    return {
        name: (fitted(power_law(where, table.ravel().tolist())), tuple(table.mean(1).tolist()))
        for name, table in values.items()
    }


@provides("tfixup.biases", kind=Kind.MEASUREMENT)
def biases(context: Context) -> Iterator[Observation]:
    """Growth with trained output biases; none with the factor, none without them."""
    found, margin = _measured(context), tolerance("bias-exponent")
    without, depths = found[NONE][0], DEPTHS[context.level]
    for name, reading, text in (
        (TRAINED, Reading.PRINTED, ""),
        (
            SCALED,
            Reading.REPAIRED,
            "no output biases, or each times (3N)^(-1/2), or their learning rate η/(3N)",
        ),
    ):
        fit, means = found[name]
        other = found[TRAINED][0] if reading is Reading.REPAIRED else without
        flat = other.equivalent(0.0, margin)
        yield Observation(
            scope=f"N = {depths[0]}…{depths[-1]}, width 32, {SEEDS[context.level]} seeds",
            passed=fit.equivalent(0.0, margin),
            summary=f"output biases {name}: ‖Δf‖/η ~ N^{fit.value:+.2f}, "
            + ", ".join(f"{mean:.3g}" for mean in means)
            + f" at N = {', '.join(map(str, DEPTHS[context.level]))}; "
            f"left out N^{without.value:+.2f}, "
            f"trained inside the branches alone N^{found[WITHIN][0].value:+.2f}",
            control=Control(
                f"biases {'trained' if reading is Reading.REPAIRED else 'left out'}: "
                f"N^{other.value:+.2f}",
                flat is False if reading is Reading.REPAIRED else flat is True,
            ),
            reading=reading,
            reading_text=text,
            value=fit.value,
            expected=0.0,
            tolerance=margin,
            interval=fit.interval,
        )


PROVIDERS = (biases,)
