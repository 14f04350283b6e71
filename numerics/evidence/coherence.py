"""How much coherence a stack of real attention blocks tolerates: growth against depth and ρ.

Blocks have T-Fixup's strength (3L)^(-1/2). By `theory.residual_stream.coherence` the growth in mean
square is Θ(1) if and only if ρ = O(L^(-1/2)), and tends to exp(2r/√3 + 1/3) at ρ = r L^(-1/2).
"""

from collections.abc import Iterator, Mapping
from math import exp, log, sqrt

import numpy as np
import torch

from numerics.signals.coherence import attention_stack, draw_stack_, skip_growth
from numerics.statistics.estimates import all_of
from numerics.statistics.exponents import Exponent, fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Level, Observation, provides

DEPTHS = (37, 75, 150, 300)
BLOCKS = 600
"""The decoder's 3 N at N = 200."""
WIDTH = 64
DRAWS = {Level.QUICK: 4, Level.FULL: 40}
EXPONENTS = {"0": None, "L^(-1/2)": 0.5, "L^(-1/4)": 0.25}
"""Mean coherence ρ by name, as a power of L."""


def growths(depth: int, coherence: float, draws: int, seed: int) -> list[float]:
    """Growth of independent stacks along the skip path, ‖y_L‖²/‖y_0‖²."""
    generator = torch.Generator().manual_seed(seed)
    stack = attention_stack(depth, WIDTH)
    values = []
    for _ in range(draws):
        draw_stack_(stack, coherence, generator)
        values.append(skip_growth(stack, generator))
    return values


def _log_growth(draws: int, seed: int) -> Mapping[str, tuple[Exponent, float]]:
    """By coherence: the exponent in L of the log of the growth, and the deepest growth."""
    found = {}
    for name, power in EXPONENTS.items():
        points = [
            (float(depth), value)
            for depth in DEPTHS
            for value in growths(depth, 0.0 if power is None else depth**-power, draws, seed)
        ]
        deepest = float(np.mean([value for depth, value in points if depth == DEPTHS[-1]]))
        fit = fitted(power_law([at for at, _ in points], [log(value) for _, value in points]))
        found[name] = (fit, deepest)
    return found


@provides("ours.coherence", kind=Kind.MEASUREMENT)
def coherence(context: Context) -> Iterator[Observation]:
    """The log of the growth is flat in L up to ρ = L^(-1/2) and grows beyond."""
    draws = DRAWS[context.level]
    found = _log_growth(draws, context.seed)
    margin = tolerance("log-growth-exponent")
    tolerated = [found[name][0].equivalent(0.0, margin) for name in ("0", "L^(-1/2)")]
    beyond = found["L^(-1/4)"][0]
    too_much = beyond.equivalent(0.0, margin)
    limit = exp(2 / sqrt(3) + 1 / 3)
    aligned = growths(BLOCKS, 1.0, 1, context.seed)[0] ** 0.5
    apart = float(np.mean(growths(BLOCKS, 0.0, 2, context.seed))) ** 0.5
    decided = all_of(tolerated)
    yield Observation(
        scope=f"L = {DEPTHS[0]}…{DEPTHS[-1]} blocks, width {WIDTH}, {draws} draws",
        passed=decided if too_much is False or decided is False else None,
        summary=f"real attention, width {WIDTH}: log growth ~ "
        + ", ".join(f"L^{fit.value:+.2f} at ρ = {name}" for name, (fit, _) in found.items())
        + f"; at ρ = L^(-1/2) {found['L^(-1/2)'][1]:.2f} (limit {limit:.2f}); {BLOCKS} blocks grow "
        f"by {aligned:.3g} aligned, {apart:.2f} random",
        control=Control(
            f"ρ = L^(-1/4), a coherence beyond the threshold: L^{beyond.value:+.2f}",
            too_much is False,
        ),
        value=found["L^(-1/2)"][0].value,
        expected=0.0,
        tolerance=margin,
        interval=found["L^(-1/2)"][0].interval,
        details={"aligned": aligned, "random": apart, "depths": DEPTHS, "draws": draws},
    )


PROVIDERS = (coherence,)
