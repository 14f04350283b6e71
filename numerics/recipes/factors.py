"""Factors that a recipe puts on the optimizer's settings for one tensor."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Factors:
    """Factors on the learning rate, the decoupled weight decay, and Adam's ε.

    Examples
    --------
    >>> Factors(rate=0.5).weight_decay
    1.0
    """

    rate: float = 1.0
    weight_decay: float = 1.0
    epsilon: float = 1.0


UNCHANGED = Factors()
"""What a recipe asks that is a rule for the weights alone."""
