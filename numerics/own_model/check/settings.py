"""What a check is asked to do, and the rules that its numbers must keep."""

from dataclasses import dataclass, field
from typing import get_args

from numerics.own_model.check.types import Axis
from numerics.own_model.measurement.output import Output
from numerics.own_model.measurement.update_steps import require_optimizer
from theory.errors import InputError, nearest

DTYPES = ("auto", "float64", "float32", "float16", "bfloat16")
LEAST_SIZES = 3
RATE = 3e-4
"""Learning rate of the steps where none is given."""


@dataclass(frozen=True)
class CheckSettings:
    """Options of a check.

    Examples
    --------
    >>> CheckSettings(values=(2, 4))
    Traceback (most recent call last):
    ...
    theory.errors.InputError: values must be at least 3 different sizes, got 2, 4
    """

    over: str = "depth"
    values: tuple[int, ...] = (2, 4, 8, 16, 32)
    """Depths, or widths."""
    optimizers: tuple[str, ...] = ("sgd", "adamw", "muon")
    seeds: int = 4
    lr: float | None = None
    """The rate at which the change of f in one step is predicted."""
    steps: int = 1
    """Steps that are really taken at the least and the largest size; 1: the limit only."""
    depth: int | None = None
    """Over width: the depth that a factory of two arguments is built with."""
    width: int | None = None
    """Over depth: the width."""
    dtype: str = "auto"
    """Precision of the measurement; float16 and bfloat16 ask about their range."""
    output: Output = field(default=None)

    def __post_init__(self) -> None:
        if self.over not in get_args(Axis):
            raise nearest(self.over, get_args(Axis), "axis")
        if any(value < 1 for value in self.values):
            raise InputError(f"values must be at least 1, got {min(self.values)}")
        if len(set(self.values)) < LEAST_SIZES:
            shown = ", ".join(map(str, self.values)) or "none"
            raise InputError(f"values must be at least {LEAST_SIZES} different sizes, got {shown}")
        if not self.optimizers:
            raise InputError("optimizers must hold at least one name, got none")
        for name in self.optimizers:
            require_optimizer(name)
        if self.dtype not in DTYPES:
            raise nearest(self.dtype, DTYPES, "dtype")
        for name, value in (("seeds", self.seeds), ("steps", self.steps)):
            if value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        if self.lr is not None and not self.lr > 0:
            raise InputError(f"lr must be positive, got {self.lr}")
