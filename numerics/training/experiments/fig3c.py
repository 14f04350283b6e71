"""Fig. 3c of T-Fixup: Adam or SGD, with or without layer norm, with or without warm-up.

The paper: "when Adam is used without warmup, training fully diverges and no progress is made.
However, when Adam is replaced with SGD the model gets stuck initially, but then recovers and is
able to converge"; without layer norm training is "very unstable even when warmup is used". Without
layer norm means Xavier's initialisation.

What the paper leaves open is the rate, so several are tried, a factor 2 apart. At one rate,
by all seeds:

- *Adam needs warm-up* if it recovers with it (`plateau.py`) and without it does not;
- *SGD recovers* if without warm-up it does, later than the warmed-up model.

A run without warm-up is given 20 times the plateau of the warmed-up model at its rate. Reproduced
if Adam needs warm-up at some rate, SGD recovers at some rate, and without layer norm no run trains;
not reproduced if, at every rate that says anything, Adam does not need it or SGD does not recover,
or if without layer norm every run trains; else undecided.

Reduced: 64-128-2 at 6 + 6 layers, generated sentences with a vocabulary of 200, 256 tokens per
step, a warm-up of 200 steps. SGD has momentum 0.9.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from numerics.training.config import TrainConfig
from numerics.training.experiments.experiment import (
    SMALL,
    Experiment,
    ExperimentAnswer,
    ExperimentFinding,
)
from numerics.training.experiments.panels import (
    COLD,
    GREY,
    MARKS,
    THIRD,
    WARM,
    finished,
    loss_lines,
    panels,
    validation,
)
from numerics.training.experiments.plateau import (
    TIMES,
    agreed,
    plateau,
    recovers,
    steps_told,
    stuck_first,
)
from numerics.training.experiments.selection import (
    Runs,
    all_trained,
    matching,
    neighbourhood_of,
    none_trained,
    range_of,
    values_of,
)
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import RecordedRun

AdamOrSgd = Literal["adam", "sgd"]
RATES: Mapping[AdamOrSgd, Sequence[float]] = {
    "adam": (1.5e-3, 7.5e-4, 3e-3),
    "sgd": (0.03, 0.015, 0.0075, 0.06),
}
"""Rates of each optimizer, a factor 2 apart, that of `warmup.py` first for Adam.
At 3e-3 Adam does not train with warm-up either, so that nothing is asked there."""
WITH_WARMUP: Mapping[AdamOrSgd, int] = {"adam": 1_000, "sgd": 3_000}
"""Most steps of a warmed-up run: one that needs more says nothing about its rate."""
SEEDS = (0, 1, 2)
WITHOUT: Mapping[tuple[AdamOrSgd, float], tuple[int, Sequence[int]]] = {
    ("sgd", 0.03): (10_000, SEEDS),
    ("adam", 1.5e-3): (5_000, SEEDS),
    ("adam", 7.5e-4): (5_000, SEEDS),
    ("sgd", 0.015): (11_000, SEEDS),
    ("sgd", 0.0075): (12_000, SEEDS),
    ("sgd", 0.06): (5_000, SEEDS[:1]),
}
"""Steps and seeds of the runs without warm-up: 20 times the longest plateau of the warmed-up ones.

SGD's at 0.06 is shorter, so that it says nothing: it is told beside the rest.
"""
SIZE: Mapping[str, Any] = {**SMALL, "tokens": 256, "vocabulary": 200, "validation_pairs": 200}


def with_layer_norm(
    rule: AdamOrSgd,
    *,
    rates: Sequence[float],
    seeds: Sequence[int] = SEEDS,
    warmup: int = 200,
    **settings: Any,
) -> tuple[TrainConfig, ...]:
    """Post-LN at every rate and seed, each until it counts as trained."""
    return tuple(
        TrainConfig(
            scheme="post-ln",
            optimizer=rule,
            lr=rate,
            momentum=0.9 if rule == "sgd" else 0.0,
            seed=seed,
            warmup=warmup,
            stop_when_trained=True,
            **{**SIZE, "layers": 6, **settings},
        )
        for rate in rates
        for seed in seeds
    )


def without_layer_norm(warmup: int = 200, **settings: Any) -> tuple[TrainConfig, ...]:
    """Xavier at the middle rates, with warm-up and without."""
    return tuple(
        TrainConfig(
            scheme="xavier",
            optimizer=rule,
            lr=rates[0],
            momentum=0.9 if rule == "sgd" else 0.0,
            warmup=steps,
            **{**SIZE, "layers": 6, **settings},
        )
        for rule, rates in RATES.items()
        for steps in (warmup, 0)
    )


def configs() -> tuple[TrainConfig, ...]:
    """Every run of the full scale."""
    warm = [
        with_layer_norm(rule, rates=rates, steps=WITH_WARMUP[rule]) for rule, rates in RATES.items()
    ]
    cold = [
        with_layer_norm(rule, rates=(rate,), seeds=seeds, warmup=0, steps=steps)
        for (rule, rate), (steps, seeds) in WITHOUT.items()
    ]
    return sum((*warm, *cold), ()) + without_layer_norm(steps=500)


def few(layers: int, warmup: int, **settings: Any) -> tuple[TrainConfig, ...]:
    """The quick scale: the middle rates, one seed."""
    own = {**settings, "layers": layers}
    found = [
        with_layer_norm(rule, rates=rates[:1], seeds=(0,), warmup=steps, **own)
        for rule, rates in RATES.items()
        for steps in (warmup, 0)
    ]
    return sum(found, ()) + without_layer_norm(warmup, **own)


def pair(runs: Runs, rule: str, rate: float) -> tuple[list[RecordedRun], list[RecordedRun]]:
    """Post-LN's runs at a rate, with warm-up and without."""
    own = matching(runs, scheme="post-ln", optimizer=rule, lr=rate)
    return [run for run in own if run.config["warmup"]], matching(own, warmup=0)


def rates_of(runs: Runs, rule: str) -> list[float]:
    """The rates that Post-LN was tried at."""
    return values_of(matching(runs, scheme="post-ln", optimizer=rule), "lr")


def needs_warmup(warm: Runs, cold: Runs) -> bool | None:
    """Whether a model recovers with warm-up and does not without; ``None`` if open."""
    steps = plateau(warm)
    found = None if steps is None else recovers(cold, steps)
    return None if found is None else not found


def recovers_late(warm: Runs, cold: Runs) -> bool | None:
    """Whether a model recovers without warm-up, later than with it; ``None`` if open."""
    steps = plateau(warm)
    found = None if steps is None else recovers(cold, steps)
    return found and stuck_first(cold, warm)


def decide(runs: Runs) -> ExperimentFinding:
    """The rule above."""
    adam, sgd, told = [], [], []
    for rule, rates in (("adam", rates_of(runs, "adam")), ("sgd", rates_of(runs, "sgd"))):
        for rate in rates:
            warm, cold = pair(runs, rule, rate)
            found = needs_warmup(warm, cold) if rule == "adam" else recovers_late(warm, cold)
            (adam if rule == "adam" else sgd).append(found)
            told.append(
                f"{rule} at {rate:g} trained with warm-up: {steps_told(warm)}; without: "
                f"{steps_told(cold)}"
            )
    bare = matching(runs, scheme="xavier")
    told.append("without layer norm: " + ", ".join(run.outcome for run in bare))
    line, scope = "; ".join(told), range_of([run for run in runs if run not in bare])
    if True in adam and True in sgd and none_trained(bare):
        return ExperimentFinding(ExperimentAnswer.REPRODUCED, line, scope=scope)
    absent = agreed(adam) is False or agreed(sgd) is False
    if absent or all_trained(bare):
        beyond = neighbourhood_of(runs) if absent and None not in (*adam, *sgd) else ""
        return ExperimentFinding(
            ExperimentAnswer.NOT_REPRODUCED, line, scope=scope, neighbourhood=beyond
        )
    return ExperimentFinding(ExperimentAnswer.UNDECIDED, line, scope=scope)


def as_stated(runs: Runs, sgd: RunOutcome = RunOutcome.TRAINED) -> list[RecordedRun]:
    """The runs with the course that the paper describes: a control.

    Warmed-up runs stay as they are. Without warm-up Adam's are stuck for long enough, and SGD's
    train twice as late as with it, or are stuck as well where ``sgd`` says so.
    """
    found = []
    for run in runs:
        if run.config["scheme"] == "post-ln" and not run.config["warmup"]:
            rule = str(run.config["optimizer"])
            steps = plateau(pair(runs, rule, float(run.config["lr"]))[0]) or 1
            outcome = sgd if rule == "sgd" else RunOutcome.STUCK
            times = 2 if outcome is RunOutcome.TRAINED else TIMES
            run = replace(run, outcome=outcome, steps=times * steps)
        found.append(run)
    return found


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """Validation losses, one row per optimizer and one column per rate."""
    return draw_rates(runs, ("adam", "sgd"))


def draw_rates(runs: Runs, rules: Sequence[str]) -> Figure:
    """Post-LN's validation losses with layer norm, one row per optimizer, one column per Adam rate.

    Each panel has the bound below which a run counts as trained, and the step up to which a run
    without warm-up is given time.
    """
    across = max(len(rates_of(runs, rule)) for rule in rules)
    figure, axes = panels(across, len(rules), figsize=(3.4 * across, 2.7 * len(rules)))
    for row, rule in zip(axes, rules, strict=True):
        rates = rates_of(runs, rule)
        for panel, rate in zip(row, rates, strict=False):
            _panel(panel, runs, rule, rate)
        for panel in row[len(rates) :]:
            panel.set_visible(False)
        row[0].set_ylabel("validation loss, nats per token")
    bare = matching(runs, scheme="xavier")
    told = ", ".join(f"{_name(run)} {run.outcome}" for run in bare)
    figure.supxlabel(
        "step" + (f"\nwithout layer norm: {told}" if bare and len(rules) > 1 else ""), fontsize=8
    )
    handles, labels = axes[0][0].get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, frameon=False, fontsize=8, ncols=len(labels), loc="upper center"
        )
    return finished(figure, above=0.25 / figure.get_figheight())


def _panel(axes: Axes, runs: Runs, rule: str, rate: float) -> None:
    warm, cold = pair(runs, "adam" if rule == "radam" else rule, rate)
    models = [(warm, WARM, "warm-up"), (cold, COLD, "no warm-up")]
    if rule == "radam":
        models.append((matching(runs, optimizer="radam", lr=rate), THIRD, "RAdam, no warm-up"))
        models[:2] = [(warm, WARM, "Adam, warm-up"), (cold, COLD, "Adam, no warm-up")]
    for own, shade, name in models:
        for place, run in enumerate(own):
            steps, losses = validation(run)
            label = f"{name} ({len(own)} seeds)" if not place else None
            axes.plot(steps, losses, lw=1.0, color=shade, label=label, gid="deciding")
            axes.plot(steps[-1:], losses[-1:], marker=MARKS[run.outcome], ms=4, color=shade)
    if steps := plateau(warm):
        axes.axvline(TIMES * steps, color=GREY, lw=0.8, ls="-.")
        axes.text(
            TIMES * steps,
            1.01,
            f"{TIMES} plateaus",
            fontsize=6.5,
            color=GREY,
            ha="right",
            va="bottom",
            transform=axes.get_xaxis_transform(),
        )
    if warm or cold:
        loss_lines(axes, (warm or cold)[0], where=0.02)
    name = "rate" if rule == "radam" else f"{rule} at"
    axes.set_title(f"{name} {rate:g}", loc="left", fontsize=9)
    axes.set_xscale("log")


def _name(run: RecordedRun) -> str:
    return f"{run.config['optimizer']} {'with' if run.config['warmup'] else 'without'} warm-up"


FIG3C = Experiment(
    name="fig3c",
    question="Does Adam with layer norm need warm-up where SGD does not?",
    full=configs(),
    quick=few(6, 20, steps=40, validation_pairs=50, validate_every=20),
    budget=(90.0, 0.5),
    decide=decide,
    draw=draw,
)
