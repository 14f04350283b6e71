"""Synthetic runs with known truth: whatever a decision rule reads, drawn from stated time courses.

A *course* gives a positive quantity at every step: steady, falling within a few steps, coming back
early, late or never, growing slowly. Runs have it times lognormal noise, once for the seed and once
for each step. A *loss course* rests on a plateau until a step, if ever, then falls; or diverges.
Outcomes are not typed: they follow from the losses by the rule of `numerics.training.outcome`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path

import numpy as np
import polars as pl

from numerics.training.config import TrainConfig
from numerics.training.evaluate import COLUMNS
from numerics.training.outcome import DIVERGED_MARGIN, STUCK_MARGIN, RunOutcome
from numerics.training.recorded import LOG, RecordedRun
from numerics.training.schedules import learning_rate

UNIGRAM, UNIFORM = 4.5, 5.3
"""Losses of the predictors that ignore their input, in nats per token."""
HALF = 0.05
"""Half-width of a run's interval over sentences."""

RATE = ("lr", "warmup", "schedule", "decay_steps")
"""The settings that the learning rate depends on."""

Course = Callable[[np.ndarray], np.ndarray]
"""A quantity at steps 1, 2, …"""


def steady(level: float = 1.0) -> Course:
    """The same at every step."""
    return lambda steps: np.full(len(steps), level)


def falls(to: float, at: int, back: float = math.inf) -> Course:
    """From 1 to ``to`` in the two steps before ``at``, and up again in the ten after ``back``."""

    def course(steps: np.ndarray) -> np.ndarray:
        down = np.clip((steps - (at - 2)) / 2, 0, 1)
        up = np.clip((steps - back) / 10, 0, 1) if math.isfinite(back) else 0.0
        return to ** (down * (1 - up))

    return course


def grows(to: float, over: float) -> Course:
    """From 1 towards ``to``, with that time constant in steps."""
    return lambda steps: 1 + (to - 1) * (1 - np.exp(-(steps - 1) / over))


def spikes(to: float, at: int, width: int) -> Course:
    """1 but for a bump around a step."""
    return lambda steps: to ** np.exp(-(((steps - at) / width) ** 2))


@dataclass(frozen=True)
class Loss:
    """A course of the validation loss."""

    leaves: float = math.inf
    """The step at which it leaves the plateau; never unless given."""
    plateau: float = 4.35
    end: float = 1.8
    """What it falls towards."""
    over: float = 100.0
    """Time constant of the fall, in steps."""
    diverges: float = math.inf
    """The step at which it is no longer finite."""
    scatter: float = 0.0
    """Standard deviation over seeds."""

    def at(self, step: int, shift: float) -> float:
        """The loss at a step, for a seed that lies that many standard deviations off."""
        if step >= self.diverges:
            return math.nan
        part = math.exp(-max(0.0, step - self.leaves) / self.over)
        return self.end + (self.plateau - self.end) * part + self.scatter * shift


STUCK = Loss()


def trains(leaves: float, **settings: float) -> Loss:
    """A loss that leaves the plateau at a step."""
    return Loss(leaves=leaves, **settings)


DIVERGES = Loss(diverges=20)


@dataclass(frozen=True)
class Truth:
    """What is true of a model: the courses of its quantities and of its loss."""

    columns: Mapping[str, Course]
    loss: Loss = STUCK
    bleu: float = 5.0
    """Matched words of ten, where translations are asked for."""


class Generator:
    """Draws runs into a folder; the same seed draws the same runs."""

    def __init__(self, folder: Path, seed: int = 0, *, between: float = 0.1, within: float = 0.1):
        self.folder, self.names = folder, count()
        self.random = np.random.default_rng(seed)
        self.between, self.within = between, within
        self.shifts: dict[int, float] = {}

    def run(self, config: TrainConfig, truth: Truth) -> RecordedRun:
        """One run of a config with that truth."""
        path = self.folder / f"{next(self.names)}"
        path.mkdir(parents=True)
        shift = self.random.normal()
        validated = [s for s in range(1, config.steps + 1) if _validated(s, config)]
        losses = {step: truth.loss.at(step, shift) for step in validated}
        if config.stop_when_trained:
            good = [step for step, loss in losses.items() if _outcome(loss) is RunOutcome.TRAINED]
            losses = {step: loss for step, loss in losses.items() if step <= min([*good, math.inf])}
        bad = [step for step, loss in losses.items() if not math.isfinite(loss)]
        last = min(bad) if bad else max(losses)
        self._log(path, config, truth, {s: v for s, v in losses.items() if s <= last}, last)
        if truth.bleu:
            self._translations(path, truth.bleu)
        return _record(path, config, losses[last], last, truth.bleu)

    def _log(
        self, path: Path, config: TrainConfig, truth: Truth, losses: Mapping[int, float], last: int
    ) -> None:
        steps = np.arange(1, last + 1)
        columns: dict[str, object] = {
            "step": steps,
            "lr": _rates(TrainConfig(**{n: getattr(config, n) for n in RATE}), last),
            "loss": [6.0] * last,
            "validation_loss": [losses.get(step) for step in range(1, last + 1)],
        }
        for name, course in truth.columns.items():
            own = math.exp(self.between * self.random.normal())
            noise = np.exp(self.within * self.random.normal(size=len(steps)))
            # Relative to step 1, which the seed's own factor leaves alone.
            factors = np.where(steps > 1, own, 1.0)
            columns[name] = course(steps.astype(float)) * factors * noise
        pl.DataFrame(columns, strict=False).write_parquet(path / LOG)

    def _translations(self, path: Path, matched: float) -> None:
        words = np.clip(np.round(matched + self.random.uniform(-1, 1, 240)), 0, 10).astype(int)
        counts = np.stack(
            [np.full(240, 10), np.full(240, 10)]
            + [np.maximum(words - n, 0) for n in range(4)]
            + [np.full(240, 10 - n) for n in range(4)],
            axis=1,
        )
        pl.DataFrame(counts, schema=list(COLUMNS)).write_parquet(path / "bleu-validation.parquet")


@cache
def _rates(config: TrainConfig, last: int) -> list[float]:
    """The learning rate at each step, once for all runs that share it."""
    return [learning_rate(config, taken) for taken in range(last)]


def _validated(step: int, config: TrainConfig) -> bool:
    return step == config.steps or step % config.validate_every == 0


def _outcome(loss: float) -> RunOutcome:
    if not math.isfinite(loss) or loss > UNIFORM + DIVERGED_MARGIN:
        return RunOutcome.DIVERGED
    gained = UNIGRAM - loss - HALF > STUCK_MARGIN * UNIGRAM
    return RunOutcome.TRAINED if gained else RunOutcome.STUCK


def _record(path: Path, config: TrainConfig, loss: float, steps: int, bleu: float) -> RecordedRun:
    gain = UNIGRAM - loss
    return RecordedRun(
        path=path,
        config=config.stored(),
        data={},
        provenance={"seconds": 60.0},
        outcome=_outcome(loss),
        reason="",
        validation_loss=loss,
        interval=(loss - HALF, loss + HALF),
        unigram_loss=UNIGRAM,
        gain_interval=(gain - HALF, gain + HALF),
        uniform_loss=UNIFORM,
        steps=steps,
        tokens_per_second=1.0,
        dropped=0,
        bleu={"validation": float(bleu)} if bleu else {},
    )


def with_loss(truth: Truth, loss: Loss) -> Truth:
    """The same model with another loss."""
    return replace(truth, loss=loss)
