"""Whether a model leaves its plateau, when, and whether a run is long enough to say it does not.

A run *recovers* at the first validation at which it counts as trained. Its *plateau* is the step of
that validation. A run *outlasts* the plateau of another model if it has `TIMES` as many steps, or
ended because it recovered or because a loss was not finite: only such a run says that a model does
not recover.
"""

from collections.abc import Iterable, Sequence

import polars as pl

from numerics.training.experiments.selection import Runs
from numerics.training.outcome import STUCK_MARGIN, RunOutcome, best_constant
from numerics.training.recorded import RecordedRun, read_log

TIMES = 20
"""How many plateaus of the warmed-up model a run without warm-up must be given."""


def trained_at(run: RecordedRun) -> int | None:
    """The step of the first validation at which the run counts as trained; ``None`` if at none.

    The log has validation losses without intervals, so that before its last step a run counts here
    by the mean alone; a run that is not trained at its end, interval and all, does not count.
    """
    if run.outcome is not RunOutcome.TRAINED:
        return None
    if run.config["stop_when_trained"]:
        return run.steps
    baseline, _ = best_constant(run.unigram_loss, run.uniform_loss)
    enough = pl.col("validation_loss") < (1 - STUCK_MARGIN) * baseline
    return int(read_log(run.path).filter(enough)["step"][0])


def plateau(runs: Runs) -> int | None:
    """The longest plateau of some runs; ``None`` where one does not recover, or there is none."""
    found = [trained_at(run) for run in runs]
    known = [step for step in found if step is not None]
    return max(known) if known and len(known) == len(found) else None


def outlasts(run: RecordedRun, steps: int) -> bool:
    """Whether the run is long enough to say whether a model with that plateau recovers."""
    return run.outcome is not RunOutcome.STUCK or run.steps >= TIMES * steps


def recovers(runs: Runs, steps: int) -> bool | None:
    """Whether all recover within `TIMES` plateaus (no: none does); ``None`` if open or mixed."""
    found = [trained_at(run) for run in runs]
    in_time = [step is not None and step <= TIMES * steps for step in found]
    if not runs:
        return None
    if all(in_time):
        return True
    if not any(in_time) and all(outlasts(run, steps) for run in runs):
        return False
    return None


def stuck_first(cold: Runs, warm: Runs) -> bool:
    """Whether every run recovers later than the warmed-up one with its seed, or not at all."""
    steps = {run.config["seed"]: trained_at(run) for run in warm}
    return all(_later(trained_at(run), steps.get(run.config["seed"])) for run in cold)


def _later(own: int | None, other: int | None) -> bool:
    return own is None or (other is not None and own > other)


def steps_told(runs: Sequence[RecordedRun]) -> str:
    """When each run recovered, in words.

    Examples
    --------
    >>> steps_told([])
    'no run'
    """
    return ", ".join(_told(run) for run in runs) or "no run"


def _told(run: RecordedRun) -> str:
    step = trained_at(run)
    if step is not None:
        return f"step {step}"
    if run.outcome is RunOutcome.DIVERGED:
        return f"diverged at {run.steps}"
    return f"not in {run.steps:,}"


def agreed(answers: Iterable[bool | None]) -> bool | None:
    """What the rates that say something agree on; ``None`` if none does or they differ."""
    found = {answer for answer in answers if answer is not None}
    return found.pop() if len(found) == 1 else None
