"""Growth along the skip path, measured in a linear residual stack of width d.

The stack is y_{l+1} = (I + W_l) y_l over L blocks. Incoherent blocks have independent entries of
variance 1/(3 L d), so E‖W_l y‖² = ‖y‖²/(3L). Coherent blocks are W_l = (3L)^(-1/2) I, of the same
strength.
"""

from collections.abc import Iterator
from math import exp

import torch

from numerics.statistics.estimates import Estimate, mean_estimate
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Observation, Reading, provides

WIDTH = 64
BLOCKS = 600
"""The decoder's 3 N at N = 200."""
DRAWS = 48


def growth(blocks: int, generator: torch.Generator, *, coherent: bool) -> float:
    """Growth of one drawn stack along the skip path, ‖y_L‖²/‖y_0‖².

    Examples
    --------
    >>> round(growth(600, torch.Generator().manual_seed(0), coherent=True) ** 0.5, -4)
    1180000.0
    """
    y = torch.randn(WIDTH, generator=generator, dtype=torch.float64)
    start = y.square().sum()
    for _ in range(blocks):
        if coherent:
            y = y * (1 + (3 * blocks) ** -0.5)
        else:
            drawn = torch.randn(WIDTH, WIDTH, generator=generator, dtype=torch.float64)
            y = y + drawn @ y * (3 * blocks * WIDTH) ** -0.5
    return float(y.square().sum() / start)


@provides("tfixup.skip", kind=Kind.MEASUREMENT)
def skip(context: Context) -> Iterator[Observation]:
    """Mean-square growth of random stacks, and growth of aligned ones."""
    generator = torch.Generator().manual_seed(context.seed)
    samples = [growth(BLOCKS, generator, coherent=False) for _ in range(DRAWS)]
    found = mean_estimate(samples)
    limit, margin = exp(1 / 3), tolerance("mean-square-growth")
    aligned = {blocks: growth(blocks, generator, coherent=True) for blocks in (75, BLOCKS)}

    alike = Estimate(aligned[BLOCKS], aligned[BLOCKS], aligned[BLOCKS])
    yield Observation(
        scope=f"L = {BLOCKS}, width {WIDTH}, {DRAWS} draws",
        passed=found.within(limit, limit * margin),
        summary=f"{BLOCKS} random blocks, width {WIDTH}: mean-square growth {found.value:.3f} ± "
        f"{found.high - found.value:.3f}, e^(1/3) = {limit:.3f}",
        control=Control(
            "aligned blocks of the same strength", alike.within(limit, limit * margin) is False
        ),
        reading=Reading.RESTRICTED,
        value=found.value,
        expected=limit,
        tolerance=limit * margin,
        interval=found.interval,
    )
    yield Observation(
        scope=f"L = 75 and {BLOCKS}, width {WIDTH}",
        passed=not aligned[BLOCKS] > 100 * aligned[75],
        summary=f"aligned blocks: ‖y_L‖/‖y_0‖ is {aligned[75] ** 0.5:.3g} at L = 75 and "
        f"{aligned[BLOCKS] ** 0.5:.3g} at L = {BLOCKS}",
        control=Control("random blocks must not grow so", found.inside(0.0, 10 * limit) is True),
        value=aligned[BLOCKS] ** 0.5,
        expected="Θ(1)",
    )


PROVIDERS = (skip,)
