"""A sweep as data: settings × (schemes, optimizers, depths, seeds), each task with a content hash.

The grid may grow, but the settings may not: two sweeps share a folder exactly when their settings
agree, whatever their grids. Random streams are named by (root seed, depth, seed, purpose), so every
(depth, seed) point is independent of every other. Schemes and optimizers at one point share tokens,
cotangent and the uniform numbers behind the weights, so comparisons between them are paired.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import product

from numerics.linearization.update_directions import step_rule_named
from numerics.schemes import pinned, scheme_named
from numerics.schemes.user_scheme import require_prescription
from numerics.sweeps.settings import SweepSettings as SweepSettings
from theory.errors import InputError, require_positive, require_within

SCHEMA = 1
"""Version of the stored rows; it is part of every hash."""


@dataclass(frozen=True)
class SweepTask:
    """One measurement: a point of the grid with its settings."""

    settings: SweepSettings
    scheme: str
    optimizer: str
    depth: int
    """N, the layers of each stack."""
    seed: int

    @cached_property
    def hash(self) -> str:
        """Content hash, the name of the task's shard.

        Examples
        --------
        >>> a, b = (SweepTask(SweepSettings(), "tfixup", "sgd", 6, seed) for seed in (0, 1))
        >>> a.hash == SweepTask(SweepSettings(), "tfixup", "sgd", 6, 0).hash, a.hash == b.hash
        (True, False)
        """
        task = asdict(self) | {"settings": self.settings.stored()}
        content = json.dumps({"schema": SCHEMA, **task}, sort_keys=True)
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
    settings: SweepSettings = field(default_factory=SweepSettings)

    def __post_init__(self) -> None:
        for name in self.schemes:
            if not isinstance(name, str):
                raise InputError(
                    "the schemes of a sweep must be names, by which its processes find them: of "
                    f"tfixup list schemes, PATH.py:NAME or MODULE:NAME, got {name!r:.60}"
                )
        # What is stored must say what a scheme of the user's own was when it was measured.
        object.__setattr__(self, "schemes", tuple(pinned(scheme) for scheme in self.schemes))
        for name in ("schemes", "optimizers", "depths"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise InputError(f"{name} must be a list without repetition, got {values}")
        require_positive(seeds=self.seeds)
        require_within(1, 10_000, seeds=self.seeds)
        require_within(1, 100_000, **{"depths": max(self.depths)})
        self.settings.check()
        if self.settings.device not in ("cpu", "cuda"):
            raise InputError(f"device must be cpu or cuda, got {self.settings.device!r}")
        for scheme in self.schemes:
            require_prescription(scheme_named(scheme), self.settings.spec(1))
        for optimizer in self.optimizers:
            step_rule_named(optimizer)
        for depth in self.depths:
            require_positive(depth=depth)

    def tasks(self) -> tuple[SweepTask, ...]:
        """Every point, deepest first so that the pool does not end on a long task."""
        points = product(sorted(self.depths, reverse=True), range(self.seeds))
        return tuple(
            SweepTask(self.settings, scheme, optimizer, depth, seed)
            for depth, seed in points
            for scheme, optimizer in product(self.schemes, self.optimizers)
        )
