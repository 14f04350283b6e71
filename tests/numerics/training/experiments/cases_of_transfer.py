"""Known truths for rates that carry over in depth: flat, N^(-1/2), at an edge, noisy, stuck."""

from math import log2

from numerics.training.config import TrainConfig
from numerics.training.experiments import transfer
from numerics.training.experiments.experiment import ExperimentFinding
from numerics.training.experiments.selection import Runs
from tests.numerics.training.experiments.cases import NO, OPEN, YES, Case, Draw, drawn
from tests.numerics.training.experiments.synthetic import Loss, Truth

CONFIGS = transfer.configs(("completep",), validate_every=80)


def constant(runs: Runs) -> ExperimentFinding:
    """The rule for a constant rate."""
    return transfer.carries_over(runs, "completep")


def root(runs: Runs) -> ExperimentFinding:
    """The rule for a rate N^(-1/2)."""
    return transfer.carries_over(runs, "completep", power=-0.5)


def bowls(power: float, best: float = 3e-3, scatter: float = 0.01, lowest: float = 2.0) -> Draw:
    """Losses that are parabolas in log rate, lowest at ``best`` (N/3)^power."""

    def truth(config: TrainConfig) -> Truth:
        own = best * (config.layers / 3) ** power
        loss = lowest + 0.2 * log2(config.lr / own) ** 2
        return Truth({}, Loss(leaves=0, plateau=loss, end=loss, scatter=scatter))

    return drawn(CONFIGS, truth)


TRANSFER = [
    Case("flat", constant, bowls(0.0), YES),
    Case("falls as N^(-1/2)", constant, bowls(-0.5, best=6e-3), NO),
    Case("at the grid's edge at 48 layers", constant, bowls(-1.0, best=4e-3), OPEN),
    Case("too noisy", constant, bowls(0.0, scatter=0.4), OPEN),
    Case("nothing trains", constant, bowls(0.0, lowest=4.3), OPEN),
    Case("N^(-1/2) is what the rate has", root, bowls(-0.5, best=6e-3), YES),
]
