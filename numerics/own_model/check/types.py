"""What a check measured at every size and seed, and what follows from it, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numerics.own_model.measurement.probe import FirstLoss
from numerics.own_model.measurement.walk import Walk
from numerics.statistics.growth_laws import GrowthLaw
from numerics.stores.files import jsonable

GrowthVerdict = Literal["bounded", "grows", "not decided"]
Axis = Literal["depth", "width"]


@dataclass(frozen=True)
class SizeSeries:
    """One quantity at every size and seed, and the law that it follows."""

    sizes: tuple[int, ...]
    """One entry per measurement; sizes repeat over seeds."""
    values: tuple[float, ...]
    law: GrowthLaw

    def at(self, size: int) -> float:
        """Mean over the seeds at one size."""
        own = [v for n, v in zip(self.sizes, self.values, strict=True) if n == size]
        return sum(own) / len(own)

    @property
    def first(self) -> float:
        """Mean at the least size."""
        return self.at(min(self.sizes))

    @property
    def last(self) -> float:
        """Mean at the largest size."""
        return self.at(max(self.sizes))


@dataclass(frozen=True)
class GroupCheck:
    """One group of parameters."""

    name: str
    series: SizeSeries
    """‖J_p s_p‖."""
    share: float
    """Its part of the sum of all groups at the largest size."""


@dataclass(frozen=True)
class OptimizerCheck:
    """One optimizer's first step."""

    optimizer: str
    verdict: GrowthVerdict
    total: SizeSeries
    """lim ‖Δf‖/η over depth; RMS(Δx)/η over the blocks over width."""
    groups: tuple[GroupCheck, ...]
    """By role, or by name where the structure is not understood; largest share first."""
    layers: Mapping[str, float]
    """Shares by layer at the largest size."""
    sites: Mapping[str, SizeSeries]
    """Over width: embedding, blocks, readout."""
    relative: float
    """‖Δf‖/(η‖f‖) at the largest size; times a rate, the relative change of f in one step."""
    predicted: float | None
    """The same times the rate asked about."""
    largest_rate: float
    """The rate at which f would change by its own size."""
    walk: Walk | None
    """Several steps at the largest size, where they were asked for."""
    driver: str
    """Which groups drive the growth, in a sentence; empty where nothing grows."""


@dataclass(frozen=True)
class CheckRecord:
    """What `check` found about one factory."""

    name: str
    over: Axis
    sizes: tuple[int, ...]
    seeds: int
    function: str
    """What f is."""
    wiring: str
    """What the structure says, in a sentence."""
    optimizers: tuple[OptimizerCheck, ...]
    stream: SizeSeries | None
    """Mean square of the stream after its last addition."""
    memories: Mapping[str, SizeSeries]
    """Mean square of every other stack's stream after its last addition."""
    raw_memories: tuple[str, ...]
    """Those of them that what reads them gets without a norm."""
    streams: Mapping[int, tuple[float, ...]]
    """Per size the stream's RMS before the first addition and after each, first seed."""
    scores: Mapping[int, float]
    """Per size the largest standard deviation of attention scores."""
    scores_by_layer: tuple[float, ...]
    """At the largest size the standard deviation of every attention's scores, in order."""
    logits: Mapping[int, float]
    """Per size the logits' RMS, where the output is logits."""
    first_loss: FirstLoss | None
    """At the largest size."""
    ranges: str
    """The largest intermediate value, in a sentence."""
    overflows: bool
    """Whether it leaves the range of the type asked for."""
    waiting: tuple[str, ...]
    """Groups of tensors without a gradient at first that have one after some steps."""
    dead: tuple[str, ...]
    """Groups of tensors without a gradient at first and, where steps were taken, for ever."""
    copies: str
    """Which layers are copies of one another, in a sentence; empty where none are."""
    advice: tuple[str, ...]
    """What to change, in sentences, the most useful first."""
    notes: tuple[str, ...]
    seconds: float

    @property
    def verdict(self) -> GrowthVerdict:
        """``grows`` if it does under any optimizer, ``bounded`` if it is under all."""
        verdicts = {one.verdict for one in self.optimizers}
        if "grows" in verdicts:
            return "grows"
        return "bounded" if verdicts == {"bounded"} else "not decided"

    @property
    def exit_code(self) -> int:
        """The exit code of the command: 1 where something grows, else 0."""
        return 1 if self.verdict == "grows" else 0

    def document(self) -> dict[str, Any]:
        """Everything as plain data."""
        plain = jsonable(self)
        assert isinstance(plain, dict)
        return {"verdict": self.verdict, **plain}
