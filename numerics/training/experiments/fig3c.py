"""Fig. 3c of T-Fixup: Adam or SGD, with or without layer norm, with or without warm-up.

The paper shows six of the eight curves; here are all. Without layer norm means Xavier's
initialisation. The claim read off: with layer norm Adam needs the warm-up and SGD does not.

Reduced: 64-128-2 at 6 + 6 layers, generated sentences with a vocabulary of 200, 500 steps of 256
tokens. Post-LN rests on a plateau first: the steps must outlast it, under Adam with warm-up and
under SGD, or nothing is decided. SGD has momentum 0.9.

The rate 1.5e-3 was chosen after trying 1e-3 and 3e-3 at 6 layers: at 1e-3 Post-LN trains without
warm-up too, more slowly, and at 3e-3 not even with it. The answer belongs to this rate; `phase.py`
has the others.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from matplotlib.figure import Figure

from numerics.training.config import TrainConfig
from numerics.training.experiments.curves import draw_signals
from numerics.training.experiments.experiment import SMALL, Answer, Experiment, Finding
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import RecordedRun

RATES: Mapping[Literal["adam", "sgd"], float] = {"adam": 1.5e-3, "sgd": 0.03}


def configs(layers: int, warmup: int, **settings: Any) -> tuple[TrainConfig, ...]:
    """Two optimizers × layer norm or none × warm-up or none."""
    base = {**SMALL, "layers": layers, **settings}
    return tuple(
        TrainConfig(
            scheme=scheme,
            optimizer=optimizer,
            lr=lr,
            momentum=0.9 if optimizer == "sgd" else 0.0,
            warmup=steps,
            **base,
        )
        for optimizer, lr in RATES.items()
        for scheme in ("post-ln", "xavier")
        for steps in (warmup, 0)
    )


def decide(runs: Sequence[RecordedRun]) -> Finding:
    """Reproduced if warm-up decides whether Adam with layer norm trains, and SGD trains either way.

    Not reproduced if Adam trains without it, or SGD with it alone; undecided if Adam does not train
    with it, or SGD not at all.
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

    adam, sgd = (
        tuple(trained(rule, warm=warm) for warm in (True, False)) for rule in ("adam", "sgd")
    )
    if adam == (True, True) or sgd == (True, False):
        return Finding(Answer.NOT_REPRODUCED, told)
    decided = adam == (True, False) and sgd[1]
    return Finding(Answer.REPRODUCED if decided else Answer.UNDECIDED, told)


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
    full=configs(6, 200, steps=500, tokens=256, vocabulary=200, validation_pairs=200),
    quick=configs(6, 20, steps=40, tokens=256, validation_pairs=50, validate_every=20),
    budget=(4.5, 0.5),
    decide=decide,
    draw=draw,
)
