"""What a check is asked to do, and the rules that its numbers must keep."""

from dataclasses import dataclass, field
from typing import get_args

from numerics.own_model.check.types import Axis
from numerics.own_model.measurement.output import Output
from numerics.own_model.measurement.update_steps import require_optimizer
from theory.errors import InputError, nearest, require_positive, require_within

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
    """Steps that are really taken at the least and the largest size; with 1, only the limit is
    measured."""
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
        unread = "depth" if self.over == "depth" else "width"
        if getattr(self, unread) is not None:
            other = "width" if unread == "depth" else "depth"
            raise InputError(
                f"{unread} is read over {other} alone, got {getattr(self, unread)} over {self.over}"
            )
        for name in ("depth", "width"):
            if (size := getattr(self, name)) is not None:
                require_within(1, 10**9, **{name: size})
        require_positive(seeds=self.seeds, steps=self.steps)
        require_within(1, 10_000, seeds=self.seeds)
        require_within(1, 1_000_000, steps=self.steps)
        require_within(1, 10**9, values=max(self.values))
        if self.lr is not None:
            require_within(1e-30, 1e30, lr=self.lr)
