"""The runs of the transfer experiment: scheme × depth × learning rate × seed.

The model is a language model of the generated English sentences, 64-128-2, without positions: a
causal decoder finds places itself, and sinusoids of RMS 0.71 would drown embeddings of 0.07. The
optimizer is Adam (0.9, 0.98) without warm-up, at a constant rate, for 80 steps of 128 tokens. All
schemes, rates and depths of a seed see the same batches in the same order. The quantity is the
held-out loss after the last step.

Rates are a factor 2 apart. Depth 48 has fewer of them, around its own best one.

In 80 steps GPT-2's rule and the flat one train 48 layers at no rate, so that there is no best one.
The longer experiment gives both 480 steps. CompleteP, whose rate carries over in 80 steps, stands
beside them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from numerics.training.config import TrainConfig

DEPTHS = (3, 12, 48)
SEEDS = (0, 1, 2)
MORE_SEEDS: Mapping[str, Sequence[int]] = {"tfixup": (3, 4, 5, 6, 7, 8)}
"""Further seeds by scheme. With three, T-Fixup's interval of p ended just outside its margin, and
six more were planned then; all six are taken, whatever the first of them said."""
FINEST = 2.0**-12
"""The grid's rates are this times powers of 2: 0.000244, 0.000488, …"""
BUDGET: Mapping[str, Any] = {
    "architecture": "decoder-only",
    "positions": "none",
    "steps": 80,
    "tokens": 128,
    "vocabulary": 200,
    "pairs": 2_000,
    "validation_pairs": 100,
    "validate_every": 80,
    "checkpoint_every": 80,
    "label_smoothing": 0.0,
}
WINDOWS: Mapping[str, Mapping[int, tuple[int, int]]] = {
    "completep": {3: (0, 7), 12: (0, 7), 48: (2, 6)},
    "tfixup": {3: (1, 8), 12: (0, 7), 48: (0, 5)},
    "gpt2:std=0.0693": {3: (1, 8), 12: (0, 7), 48: (0, 5)},
    "flat:std=0.0693": {3: (1, 8), 12: (0, 7), 48: (0, 5)},
    "depth-mup": {3: (1, 8), 12: (1, 8), 48: (2, 6)},
    "tfixup-adam": {3: (1, 8), 12: (1, 8), 48: (1, 5)},
    "deepnorm": {3: (0, 7), 12: (0, 7), 48: (0, 6)},
}
"""By scheme and depth, the first and last power of 2 above `FINEST` that is tried."""
LONGER: Mapping[str, Any] = {"steps": 480, "checkpoint_every": 480}
"""What the longer experiment changes in `BUDGET`."""
LONGER_WINDOWS: Mapping[str, Mapping[int, tuple[int, int]]] = {
    "gpt2:std=0.0693": {3: (1, 6), 12: (0, 5), 48: (-1, 4)},
    "flat:std=0.0693": {3: (1, 6), 12: (0, 5), 48: (-1, 4)},
    "completep": {3: (0, 5), 12: (0, 5), 48: (0, 5)},
}
"""The windows of the longer experiment, laid after trial runs with seed 0, one of its seeds.
Tried were 3 layers of all three schemes, and 12 and 48 of GPT-2's; the others follow from these."""

LONGER_MORE_SEEDS: Mapping[str, Sequence[int]] = {"gpt2:std=0.0693": (3, 4, 5, 6, 7)}
"""Further seeds of the longer experiment. With three, the interval of the exponent of GPT-2's best
rate contained the bound -1/4. Eight were then forecast to decide. All five further ones are taken,
whatever the first of them said."""


def rates(
    scheme: str, depth: int, windows: Mapping[str, Mapping[int, tuple[int, int]]] = WINDOWS
) -> tuple[float, ...]:
    """The rates at which a scheme is tried at one depth.

    Examples
    --------
    >>> [f"{rate:.2g}" for rate in rates("completep", 48)]
    ['0.00098', '0.002', '0.0039', '0.0078', '0.016']
    """
    first, last = windows[scheme][depth]
    return tuple(FINEST * 2.0**power for power in range(first, last + 1))


def configs(
    schemes: Sequence[str] = tuple(WINDOWS),
    depths: Sequence[int] = DEPTHS,
    seeds: Sequence[int] = SEEDS,
    more: Mapping[str, Sequence[int]] = {},
    windows: Mapping[str, Mapping[int, tuple[int, int]]] = WINDOWS,
    **settings: Any,
) -> tuple[TrainConfig, ...]:
    """Every combination; depths that have no window of their own take that of depth 3.

    A scheme named in ``more`` has those seeds besides.
    """
    base = {**BUDGET, **settings}
    return tuple(
        TrainConfig(scheme=scheme, layers=depth, lr=lr, seed=seed, **base)
        for scheme in schemes
        for seed in (*seeds, *more.get(scheme, ()))
        for depth in depths
        for lr in rates(scheme, depth if depth in windows[scheme] else DEPTHS[0], windows)
    )
