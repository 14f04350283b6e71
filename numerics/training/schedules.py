"""The papers' learning-rate schedules η(t), t counting from 1.

With η the configured rate, w the warm-up steps and s the decay steps:

    constant       η min(1, t/w)
    inverse-root   η min(t/w, √(w/t)); without warm-up η min(1, √(s/t)), the same without its rise
    tfixup         η √(s/(s + t − 1)) min(1, t/w): T-Fixup's own has s = 4000, w = 0

The factor t/w is 1 where w = 0.
"""

import math

from numerics.training.config import TrainConfig


def learning_rate(config: TrainConfig, taken: int) -> float:
    """Learning rate η(t) of the configured schedule at step t = ``taken`` + 1.

    Examples
    --------
    >>> [learning_rate(TrainConfig(lr=1.0, warmup=4), taken) for taken in (0, 1, 3, 9)]
    [0.25, 0.5, 1.0, 1.0]
    >>> warm = TrainConfig(lr=1.0, warmup=4, schedule="inverse-root")
    >>> [learning_rate(warm, taken) for taken in (0, 3, 15, 63)]
    [0.25, 1.0, 0.5, 0.25]
    >>> [learning_rate(TrainConfig(lr=1.0, schedule="tfixup"), taken) for taken in (0, 12_000)]
    [1.0, 0.5]
    """
    step, warmup = taken + 1, config.warmup
    rise = min(1.0, step / warmup) if warmup else 1.0
    if config.schedule == "constant":
        return config.lr * rise
    if config.schedule == "tfixup":
        return config.lr * math.sqrt(config.decay_steps / (config.decay_steps + taken)) * rise
    held = warmup or config.decay_steps
    return config.lr * (math.sqrt(held / step) if step > held else rise)
