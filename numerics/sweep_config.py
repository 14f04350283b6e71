"""A sweep as data: settings × (schemes, optimizers, depths, seeds), each task with a content hash.

The grid may grow, the settings may not: two sweeps share a folder exactly when their settings
agree, whatever their grids. Random streams are named by (root seed, depth, seed, purpose), so that
every (depth, seed) point is independent of every other, while schemes and optimizers at one point
share tokens, cotangent and the uniform numbers behind the weights: comparisons are paired.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from itertools import product

from numerics.features import Inputs, check_inputs
from numerics.linearization import rule_named
from numerics.models import ModelSpec, Positions
from numerics.schemes import scheme_named
from theory.errors import InputError, nearest, require_positive

SCHEMA = 1
"""Version of the stored rows; it is part of every hash."""


@dataclass(frozen=True)
class Settings:
    """What all tasks of a sweep share."""

    d_model: int = 64
    d_ff: int = 128
    heads: int = 2
    vocabulary: int = 1000
    sequences: int = 8
    tokens: int = 16
    inputs: Inputs = "free"
    embedding_multiplier: float | None = None
    """``None`` is √d."""
    positions: str = "none"
    dtype: str = "auto"
    device: str = "cpu"
    root_seed: int = 0

    def spec(self, depth: int) -> ModelSpec:
        """The model of ``depth`` encoder and as many decoder layers."""
        return ModelSpec(
            encoder_layers=depth,
            decoder_layers=depth,
            d_model=self.d_model,
            d_ff=self.d_ff,
            heads=self.heads,
            vocabulary=self.vocabulary,
            positions=Positions(self.positions),
            embedding_multiplier=self.embedding_multiplier,
        )


@dataclass(frozen=True)
class Task:
    """One measurement: a point of the grid with its settings."""

    settings: Settings
    scheme: str
    optimizer: str
    depth: int
    """N = N_e = N_d."""
    seed: int

    @property
    def hash(self) -> str:
        """Content hash, the name of the task's shard.

        Examples
        --------
        >>> a, b = (Task(Settings(), "tfixup", "sgd", 6, seed) for seed in (0, 1))
        >>> a.hash == Task(Settings(), "tfixup", "sgd", 6, 0).hash, a.hash == b.hash
        (True, False)
        """
        content = json.dumps({"schema": SCHEMA, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:20]

    def stream(self, purpose: str) -> int:
        """Seed of the random stream for ``purpose`` at this (depth, seed) point."""
        name = f"{self.settings.root_seed}/{self.depth}/{self.seed}/{purpose}"
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")


@dataclass(frozen=True)
class SweepConfig:
    """A grid of tasks; construction checks every value."""

    schemes: tuple[str, ...]
    optimizers: tuple[str, ...] = ("sgd",)
    depths: tuple[int, ...] = (1, 2, 6, 12, 25, 50, 100, 200)
    seeds: int = 3
    settings: Settings = Settings()

    def __post_init__(self) -> None:
        for name in ("schemes", "optimizers", "depths"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise InputError(f"{name} must be a list without repetition, got {values}")
        require_positive(seeds=self.seeds)
        require_positive(sequences=self.settings.sequences, tokens=self.settings.tokens)
        check_inputs(self.settings.inputs)
        if self.settings.positions not in list(Positions):
            raise nearest(self.settings.positions, list(Positions), "kind of positions")
        for scheme in self.schemes:
            scheme_named(scheme)
        for optimizer in self.optimizers:
            rule_named(optimizer)
        for depth in self.depths:
            require_positive(depth=depth)
            self.settings.spec(depth)

    def tasks(self) -> tuple[Task, ...]:
        """Every point, deepest first so that the pool does not end on a long task."""
        points = product(sorted(self.depths, reverse=True), range(self.seeds))
        return tuple(
            Task(self.settings, scheme, optimizer, depth, seed)
            for depth, seed in points
            for scheme, optimizer in product(self.schemes, self.optimizers)
        )
