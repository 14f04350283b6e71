"""What a case is: runs with a truth, and what a rule has to say of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from numerics.training.config import TrainConfig
from numerics.training.experiments.experiment import ExperimentAnswer, ExperimentFinding
from numerics.training.experiments.selection import Runs
from numerics.training.recorded import RecordedRun
from tests.numerics.training.experiments.synthetic import Generator, Truth

YES, NO, OPEN = (
    ExperimentAnswer.REPRODUCED,
    ExperimentAnswer.NOT_REPRODUCED,
    ExperimentAnswer.UNDECIDED,
)
Draw = Callable[[Generator], list[RecordedRun]]


@dataclass(frozen=True)
class Case:
    """Runs with a truth, and what the rule has to say of it."""

    name: str
    rule: Callable[[Runs], ExperimentFinding]
    draw: Draw
    answer: ExperimentAnswer


def drawn(configs: Sequence[TrainConfig], truth: Callable[[TrainConfig], Truth]) -> Draw:
    """Runs of configs, each with its own truth."""
    return lambda generator: [generator.run(config, truth(config)) for config in configs]
