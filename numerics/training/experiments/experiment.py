"""An experiment: a frozen list of runs, a rule that reads the answer off them, and a figure.

Its folder holds one folder per run (`numerics.training.recorded`), ``verdict.json`` and
``figure.svg``. An experiment that is started again goes on where it stopped: finished runs are
read, and an interrupted run continues from its checkpoint. An experiment may read the runs of
another one, and may translate a held-out set with each run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from numerics.executors import outcomes
from numerics.executors.local import Local
from numerics.figures.style import save
from numerics.stores.folder import ResultFolder
from numerics.stores.seals import write_sealed
from numerics.training.config import TrainConfig
from numerics.training.evaluate import evaluate_run
from numerics.training.loop import run_training
from numerics.training.recorded import RecordedRun, read_run
from numerics.training.task import load_corpus
from theory.errors import InputError, require_within

VERDICT, FIGURE = "verdict.json", "figure.svg"
"""Names of an experiment's files beside the folders of its runs."""
SMALL: Mapping[str, Any] = {"tokens": 512, "vocabulary": 400, "pairs": 3_000}
"""Settings of every experiment's runs where it says nothing else: sizes for minutes, not hours."""


class ExperimentAnswer(StrEnum):
    """What the runs say about the experiment's claim."""

    REPRODUCED = "reproduced at this scale"
    NOT_REPRODUCED = "not seen at this scale"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class ExperimentFinding:
    """The answer with the numbers that decided."""

    answer: ExperimentAnswer
    line: str
    value: float | None = None
    """Size of the effect, where one number says it."""
    interval: tuple[float, float] | None = None
    """95 % interval of the value, over seeds or sentences as the rule states."""
    scope: str = ""
    """The range that was tried: depths, width, rates, steps and seeds."""
    neighbourhood: str = ""
    """The same, where the effect is absent or reversed over all of it: what would falsify."""


@dataclass(frozen=True)
class Experiment:
    """The runs of a figure, at full and at quick scale."""

    name: str
    question: str
    full: tuple[TrainConfig, ...]
    quick: tuple[TrainConfig, ...]
    budget: tuple[float, float]
    """Minutes on two CPU cores, full and quick."""
    decide: Callable[[Sequence[RecordedRun]], ExperimentFinding]
    draw: Callable[[Sequence[RecordedRun]], Figure]
    reads: str = ""
    """The experiment whose runs these are, and in whose folder they stand; its own if empty."""
    translated: int = 0
    """Sentences of the first test set (else the validation set) that each run translates."""

    def configs(self, *, quick: bool, data: str | None = None) -> tuple[TrainConfig, ...]:
        """The runs of a scale, on other data where ``data`` names it."""
        chosen = self.quick if quick else self.full
        return chosen if data is None else tuple(replace(one, data=data) for one in chosen)


def label(config: TrainConfig) -> str:
    """The name of a run's folder: the settings in which runs of one experiment may differ.

    Examples
    --------
    >>> label(TrainConfig(scheme="post-ln", layers=12, lr=1e-3, warmup=50))
    'post-ln-12-adam-lr0.001-warmup50-tokens2048-seed0'
    >>> label(TrainConfig(d_model=128))
    'tfixup-6-width128-adam-lr0.001-warmup0-tokens2048-seed0'
    """
    scheme = config.scheme.replace(":", "-").replace("=", "")  # Not every file system has colons.
    width = "" if config.d_model == TrainConfig.d_model else f"-width{config.d_model}"
    return (
        f"{scheme}-{config.layers}{width}-{config.optimizer}-lr{config.lr:.3g}"
        f"-warmup{config.warmup}-tokens{config.tokens}-seed{config.seed}"
    )


def reproduce(
    experiment: Experiment,
    out: Path,
    *,
    quick: bool,
    workers: int = 1,
    data: str | None = None,
    report: Callable[[RecordedRun], None] = lambda _: None,
) -> ExperimentFinding:
    """Run what is missing, decide, and write verdict and figure.

    Parameters
    ----------
    experiment
        What to run.
    out
        The folder of experiments: this one's is NAME, or NAME-quick, in it.
    quick
        Whether to take the quick scale.
    workers
        Number of runs at the same time, each in its own process.
    data
        What to train on, as `TrainConfig.data` has it; the experiment's own unless given.
    report
        Called with each finished run.

    Raises
    ------
    InputError
        If the folder holds runs of another scale or version, another process takes the experiment
        there, or fewer than one worker is asked for.
    """
    require_within(1, 1_000, workers=workers)
    configs = experiment.configs(quick=quick, data=data)
    names = [label(config) for config in configs]
    if len(set(names)) != len(names):
        raise InputError(f"runs of an experiment must differ in their names, got {names}")
    own = out / folder_name(experiment.name, quick=quick)
    held = out / folder_name(experiment.reads or experiment.name, quick=quick)
    tasks = [
        PlannedRun(config, held / name, experiment.translated)
        for config, name in zip(configs, names, strict=True)
    ]
    found: dict[Path, RecordedRun] = {}
    with ExitStack() as locks:
        for config in configs:
            config.check()
        for folder in sorted({own, held}):
            locks.enter_context(place(folder).exclusively())
        for run in _runs(tasks, workers):
            found[run.path] = run
            report(run)
        runs = [found[task.out] for task in tasks]
        finding = experiment.decide(runs)
        save(experiment.draw(runs), own / FIGURE)
        content = {
            "experiment": experiment.name,
            "question": experiment.question,
            "scale": "quick" if quick else "full",
            **asdict(finding),
            "runs": {run.path.name: f"{run.outcome}: {run.reason}" for run in runs},
        }
        write_sealed(own / VERDICT, content)
    return finding


def place(folder: Path) -> ResultFolder:
    """The folder of an experiment: its marker, and the files that stand in it beside the runs."""
    return ResultFolder(folder, VERDICT, "experiment", (VERDICT, FIGURE))


def folder_name(name: str, *, quick: bool) -> str:
    """NAME, or NAME-quick."""
    return f"{name}-quick" if quick else name


@dataclass(frozen=True)
class PlannedRun:
    """A run that is planned: its config, its folder, and how many sentences it translates."""

    config: TrainConfig
    out: Path
    translated: int

    def run(self) -> RecordedRun:
        """Train, and translate if the record has no translation yet."""
        found = run_training(self.config, self.out)
        if not self.translated or found.bleu:
            return found
        dataset = next(iter(load_corpus(self.config).tests), "validation")
        evaluate_run(self.config, self.out, dataset, beam=1, pairs=self.translated)
        return read_run(self.out)


def _runs(tasks: Sequence[PlannedRun], workers: int) -> Iterator[RecordedRun]:
    """Yield runs as they finish; the longest start first."""
    ordered = sorted(tasks, key=lambda task: -sum(task.config.depths) * task.config.steps)
    for _, outcome in outcomes(PlannedRun.run, ordered, Local(workers)):
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome
