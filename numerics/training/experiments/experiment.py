"""An experiment: a frozen list of runs, a rule that reads the answer off them, and a figure.

Its folder holds a folder a run (`numerics.training.recorded`), ``verdict.json`` and
``figure.svg``. Run again, it goes on where it stopped: finished runs are read, the one that was
broken off continues from its checkpoint.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from numerics import plots
from numerics.executors import outcomes
from numerics.executors.local import Local
from numerics.results import write_json
from numerics.training.config import TrainConfig
from numerics.training.loop import run_training
from numerics.training.recorded import RecordedRun
from theory.errors import InputError, require_positive

SMALL: Mapping[str, Any] = {"tokens": 512, "vocabulary": 400, "pairs": 3_000}
"""Settings of every experiment's runs where it says nothing else: sizes for minutes, not hours."""


class Answer(StrEnum):
    """What the runs say to the experiment's claim."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Finding:
    """The answer with the numbers that decided."""

    answer: Answer
    line: str


@dataclass(frozen=True)
class Experiment:
    """The runs of a figure, at full and at quick scale."""

    name: str
    question: str
    full: tuple[TrainConfig, ...]
    quick: tuple[TrainConfig, ...]
    budget: tuple[float, float]
    """Minutes on two CPU cores, full and quick."""
    decide: Callable[[Sequence[RecordedRun]], Finding]
    draw: Callable[[Sequence[RecordedRun]], Figure]

    def configs(self, *, quick: bool) -> tuple[TrainConfig, ...]:
        """The runs of a scale."""
        return self.quick if quick else self.full


def label(config: TrainConfig) -> str:
    """The name of a run's folder: what runs of an experiment may differ in.

    Examples
    --------
    >>> label(TrainConfig(scheme="post-ln", layers=12, lr=1e-3, warmup=50))
    'post-ln-12-adam-lr0.001-warmup50-seed0'
    """
    return (
        f"{config.scheme}-{config.layers}-{config.optimizer}-lr{config.lr:.3g}"
        f"-warmup{config.warmup}-seed{config.seed}"
    )


def reproduce(
    experiment: Experiment,
    out: Path,
    *,
    quick: bool,
    workers: int = 1,
    report: Callable[[RecordedRun], None] = lambda _: None,
) -> Finding:
    """Take the runs that are still to take, decide, and write verdict and figure.

    Parameters
    ----------
    experiment
        What to run.
    out
        The experiment's folder.
    quick
        Whether to take the quick scale.
    workers
        Runs at a time, each in a process of its own.
    report
        Called with each finished run.

    Raises
    ------
    InputError
        If ``out`` holds runs of another scale or version, or fewer than one worker is asked for.
    """
    require_positive(workers=workers)
    configs = experiment.configs(quick=quick)
    names = [label(config) for config in configs]
    if len(set(names)) != len(names):
        raise InputError(f"runs of an experiment must differ in their names, got {names}")
    pairs = list(zip(configs, (out / name for name in names), strict=True))
    found: dict[Path, RecordedRun] = {}
    for run in _runs(pairs, workers):
        found[run.path] = run
        report(run)
    runs = [found[path] for _, path in pairs]
    finding = experiment.decide(runs)
    plots.save(experiment.draw(runs), out / "figure.svg")
    content = {
        "experiment": experiment.name,
        "question": experiment.question,
        "scale": "quick" if quick else "full",
        **asdict(finding),
        "runs": {run.path.name: f"{run.outcome}: {run.reason}" for run in runs},
    }
    write_json(out / "verdict.json", content)
    return finding


def _runs(pairs: Sequence[tuple[TrainConfig, Path]], workers: int) -> Iterator[RecordedRun]:
    """Finished runs as they come, the deepest begun first."""
    ordered = sorted(pairs, key=lambda pair: -sum(pair[0].depths) * pair[0].steps)
    for _, outcome in outcomes(_run, ordered, Local(workers)):
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome


def _run(pair: tuple[TrainConfig, Path]) -> RecordedRun:
    return run_training(*pair)
