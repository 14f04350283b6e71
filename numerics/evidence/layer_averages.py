"""What the reader at the top has of the embedded input: DLCL's averages against Pre-LN's stream.

The share is the squared correlation between the embedded input and what stands behind the encoder,
over all tokens and coordinates, each token's mean taken off, as layer norm does.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from numerics.evidence.admin import encoder, inputs
from numerics.statistics.exponents import Exponent, fitted, power_law
from numerics.statistics.tolerances import tolerance
from theory.claims import Context, Control, Kind, Level, Observation, provides

DEPTHS = (4, 8, 16, 32, 64)
SEEDS = {Level.QUICK: 4, Level.FULL: 12}


def input_share(scheme: str, depth: int, seed: int) -> float:
    """Squared correlation between an encoder's embedded input and its output.

    Examples
    --------
    >>> input_share("dlcl-pre", 4, 0) > 0.5
    True
    """
    model, generator = encoder(scheme, depth, seed)
    before = inputs(generator)
    with torch.no_grad():
        after = _centred(model.encode(before))
    before = _centred(before)
    squares = before.square().sum() * after.square().sum()
    return float((before * after).sum().square() / squares)


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def share_exponent(scheme: str, context: Context) -> Exponent:
    """Its power of the depth."""
    seeds = range(1000 * context.seed, 1000 * context.seed + SEEDS[context.level])
    pairs = [(float(depth), input_share(scheme, depth, seed)) for depth in DEPTHS for seed in seeds]
    return fitted(power_law(*zip(*pairs, strict=True)))


@provides("dlcl.wiring", kind=Kind.MEASUREMENT)
def dlcl(context: Context) -> Iterator[Observation]:
    """DLCL's Pre-LN form with its first averages, against Pre-LN, which keeps no share."""
    found, residual = (share_exponent(scheme, context) for scheme in ("dlcl-pre", "pre-ln"))
    margin = tolerance("baseline-exponent")
    low, high = found.interval
    yield Observation(
        passed=found.equivalent(0.0, margin),
        summary="the embedded input's share of what stands behind the encoder ~ "
        f"N^{found.value:+.2f} [{low:+.2f}, {high:+.2f}]; with Pre-LN's residual connection "
        f"N^{residual.value:+.2f}",
        control=Control(
            f"Pre-LN's residual connection: N^{residual.value:+.2f}",
            residual.equivalent(0.0, margin) is False,
        ),
        value=found.value,
        expected=0.0,
        tolerance=margin,
        interval=found.interval,
        scope=f"N = {DEPTHS[0]}…{DEPTHS[-1]}, width 64, {SEEDS[context.level]} seeds",
    )


PROVIDERS = (dlcl,)
