"""Fig. 3c of T-Fixup: Adam or SGD, with or without layer norm, with or without warm-up.

The paper shows six of the eight curves; here are all. Without layer norm means Xavier's
initialisation. The claim read off: with layer norm Adam needs the warm-up and SGD does not.

Reduced: 64-128-2, generated sentences with a vocabulary of 200, batches of 256 tokens. Post-LN
rests on a plateau first: the steps must outlast it under warm-up, or nothing is decided.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from matplotlib.figure import Figure

from numerics.training.config import TrainConfig
from numerics.training.experiments.curves import draw_signals
from numerics.training.experiments.experiment import SMALL, Answer, Experiment, Finding
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import RecordedRun

RATES: Mapping[Literal["adam", "sgd"], float] = {"adam": 1e-3, "sgd": 0.1}


def configs(layers: int, warmup: int, **settings: Any) -> tuple[TrainConfig, ...]:
    """Two optimizers × layer norm or none × warm-up or none."""
    base = {**SMALL, "layers": layers, **settings}
    return tuple(
        TrainConfig(scheme=scheme, optimizer=optimizer, lr=lr, warmup=steps, **base)
        for optimizer, lr in RATES.items()
        for scheme in ("post-ln", "xavier")
        for steps in (warmup, 0)
    )


def decide(runs: Sequence[RecordedRun]) -> Finding:
    """Reproduced if warm-up decides whether Adam with layer norm trains, and not whether SGD does.

    Undecided if Adam with layer norm does not train at all.
    """
    told = ", ".join(f"{_name(run)} {run.outcome} ({run.validation_loss:.2f})" for run in runs)

    def trained(optimizer: str, *, warm: bool) -> bool:
        return any(
            run.outcome is RunOutcome.TRAINED
            for run in runs
            if run.config["optimizer"] == optimizer
            and run.config["scheme"] == "post-ln"
            and bool(run.config["warmup"]) is warm
        )

    if not trained("adam", warm=True):
        return Finding(Answer.UNDECIDED, told)
    needed = not trained("adam", warm=False)
    same = trained("sgd", warm=True) == trained("sgd", warm=False)
    return Finding(Answer.REPRODUCED if needed and same else Answer.NOT_REPRODUCED, told)


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """Training losses of all eight."""
    return draw_signals(runs, ("loss", "gradient_norm"), _name)


def _name(run: RecordedRun) -> str:
    norm = "layer norm" if run.config["scheme"] == "post-ln" else "none"
    warm = "warm-up" if run.config["warmup"] else "no warm-up"
    return f"{run.config['optimizer']}, {norm}, {warm}"


FIG3C = Experiment(
    name="fig3c",
    question="Does Adam with layer norm need warm-up where SGD does not?",
    full=configs(12, 400, steps=1_500, pairs=20_000, vocabulary=1_000),
    quick=configs(12, 20, steps=40, validate_every=10),
    budget=(50.0, 2.0),
    decide=decide,
    draw=draw,
)
