"""Who needs warm-up: Post-LN with and without, Pre-LN, Admin and RAdam, side by side.

Two papers make statements about these few runs, at each depth and seed:

- Post-LN needs warm-up (Xiong et al.): the model trains with it and not without it;
- Pre-LN without warm-up is comparable to the warmed-up baseline (Xiong et al.): its loss is no
  more than `COMPARABLE` above;
- Admin stabilises early training and ends lower (Liu et al. 2020b): it trains without warm-up where
  Post-LN does not, and ends below the warmed-up Post-LN;
- unbalanced gradients are not the root cause (Liu et al. 2020b): models that train are not set
  apart from models that do not by the balance of their gradients in the first steps, taken between
  the encoder's and the decoder's embeddings.

Reduced: 64-128-2 at 2 and 6 layers, generated sentences with a vocabulary of 200, 500 steps of 256
tokens, a warm-up of 200, four seeds.

The rate 1.5e-3 was chosen after trying 1e-3 and 3e-3 at 6 layers. At 1e-3 Post-LN trains without
warm-up too, though more slowly; at 3e-3 it does not train even with warm-up. The answers belong to
this rate; `phase.py` has other rates. "Trains" means within the 500 steps; `fig3c.py` gives Post-LN
without warm-up many more. `radam.py` asks whether RAdam, whose runs are here too, replaces the
warm-up.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

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
    OWN,
    THIRD,
    WARM,
    courses,
    distinct,
    finished,
    loss_lines,
    panels,
    validation,
)
from numerics.training.experiments.selection import (
    Runs,
    all_trained,
    diverged,
    matching,
    mean_interval,
    none_trained,
    range_of,
    told,
    values_of,
)
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import RecordedRun, read_log

AdaptiveOptimizer = Literal["adam", "radam"]
COMPARABLE = 0.1
"""Nats per token; BLEU differences of 0.5, the paper's, go with a few hundredths to a tenth."""
REPRODUCED = ExperimentAnswer.REPRODUCED
FIRST = 5
"""Steps over which the gradients' balance is taken."""


def configs(
    depths: Sequence[int], warmup: int, seeds: Sequence[int] = (0,), **settings: Any
) -> tuple[TrainConfig, ...]:
    """Post-LN with Adam, warmed up and not, and RAdam; Pre-LN and Admin; T-Fixup."""
    base = {**SMALL, "signals": True, **settings}
    models: tuple[tuple[str, AdaptiveOptimizer, int], ...] = (
        ("post-ln", "adam", warmup),
        ("post-ln", "adam", 0),
        ("post-ln", "radam", 0),
        ("pre-ln", "adam", 0),
        ("admin", "adam", 0),
        ("tfixup", "adam", 0),
    )
    return tuple(
        TrainConfig(
            scheme=scheme, optimizer=optimizer, warmup=steps, layers=depth, seed=seed, **base
        )
        for depth in depths
        for scheme, optimizer, steps in models
        for seed in seeds
    )


def warm(runs: Runs) -> list[RecordedRun]:
    """Post-LN with Adam and warm-up."""
    found = matching(runs, scheme="post-ln", optimizer="adam")
    return [run for run in found if run.config["warmup"]]


def cold(runs: Runs) -> list[RecordedRun]:
    """Post-LN with Adam and no warm-up."""
    return matching(runs, scheme="post-ln", optimizer="adam", warmup=0)


def needs_warmup(runs: Runs) -> ExperimentFinding:
    """Reproduced if Post-LN trains with warm-up and not without, at every depth where it can.

    Undecided if it trains with warm-up nowhere.
    """
    able = [d for d in values_of(runs, "layers") if all_trained(warm(matching(runs, layers=d)))]
    line = "; ".join(
        f"N = {depth} with warm-up {told(warm(matching(runs, layers=depth)))}, without "
        f"{told(cold(matching(runs, layers=depth)))}"
        for depth in values_of(runs, "layers")
    )
    value, interval = _excess(runs, cold(runs))
    if not able:
        return ExperimentFinding(
            ExperimentAnswer.UNDECIDED, line, value, interval, scope=range_of(runs)
        )
    needed = [none_trained(cold(matching(runs, layers=depth))) for depth in able]
    return ExperimentFinding(_answer(needed), line, value, interval, scope=range_of(runs))


def needs_warmup_when_deep(runs: Runs) -> ExperimentFinding:
    """`needs_warmup` at the deepest stack that trains with it alone."""
    depths = values_of(runs, "layers")
    able = [d for d in depths if all_trained(warm(matching(runs, layers=d)))]
    return needs_warmup(matching(runs, layers=able[-1] if able else depths[-1]))


def depth_text(runs: Runs) -> str:
    """From which depth Post-LN needs warm-up at the runs' rate; empty if at none of them."""
    depths = values_of(runs, "layers")
    needing = [d for d in depths if needs_warmup(matching(runs, layers=d)).answer is REPRODUCED]
    if not needing:
        return ""
    (rate,) = values_of(runs, "lr")
    return f"from some depth on, at the rate {rate:g}: at {needing[0]} + {needing[0]} layers"


def pre_ln_comparable(runs: Runs, *, raised: float = 0.0) -> ExperimentFinding:
    """Reproduced if Pre-LN without warm-up ends no more than the margin above the baseline.

    The decision is by the 95 % interval of the mean difference over pairs of one depth and seed.
    ``raised`` is added to Pre-LN's losses, as a control.
    """
    own = matching(runs, scheme="pre-ln")
    value, interval = _excess(runs, own, raised)
    scope = range_of(own)
    line = f"Pre-LN without warm-up {told(own)}; warmed-up Post-LN {told(warm(runs))}; "
    line += f"difference {value:+.3f} [{interval[0]:+.3f}, {interval[1]:+.3f}] nats per token"
    if diverged(own) or interval[0] > COMPARABLE:
        return ExperimentFinding(
            ExperimentAnswer.NOT_REPRODUCED, line, value, interval, scope=scope
        )
    good = all_trained(own) and interval[1] <= COMPARABLE
    answer = ExperimentAnswer.REPRODUCED if good else ExperimentAnswer.UNDECIDED
    return ExperimentFinding(answer, line, value, interval, scope=scope)


def admin_trains(runs: Runs, *, raised: float = 0.0) -> ExperimentFinding:
    """Reproduced if Admin trains without warm-up, Post-LN does not, and Admin ends lower.

    *Lower* means lower than the warmed-up Post-LN, by the 95 % interval of the mean difference.
    ``raised`` is added to Admin's losses, as a control.
    """
    own = matching(runs, scheme="admin")
    value, interval = _excess(runs, own, raised)
    scope = range_of(own)
    line = f"Admin without warm-up {told(own)}; Post-LN without {told(cold(runs))}, with "
    line += f"{told(warm(runs))}; difference {value:+.3f} [{interval[0]:+.3f}, {interval[1]:+.3f}]"
    if diverged(own) or interval[0] > 0:
        return ExperimentFinding(
            ExperimentAnswer.NOT_REPRODUCED, line, value, interval, scope=scope
        )
    good = all_trained(own) and not all_trained(cold(runs)) and interval[1] < 0
    answer = ExperimentAnswer.REPRODUCED if good else ExperimentAnswer.UNDECIDED
    return ExperimentFinding(answer, line, value, interval, scope=scope)


def imbalance(run: RecordedRun) -> float:
    """Mean |log(g_e/g_d)| over the first steps, g the embeddings' gradients by stack."""
    log = read_log(run.path)[:FIRST]
    pairs = zip(log["gradient_encoder"], log["gradient_decoder"], strict=True)
    ratios = [abs(math.log(e / d)) for e, d in pairs if e and d]
    return sum(ratios) / max(len(ratios), 1)


def gradients_not_the_cause(runs: Runs) -> ExperimentFinding:
    """Reproduced if balance does not separate the trained runs from the rest, without warm-up.

    If imbalance were the cause, every run that fails would be less balanced than every run that
    trains; the answer is then *not reproduced*. It is *undecided* if all runs train, or none.
    """
    without = [run for run in matching(runs, optimizer="adam", warmup=0)]
    good = [imbalance(run) for run in without if all_trained([run])]
    bad = [imbalance(run) for run in without if none_trained([run])]
    names = sorted({str(run.config["scheme"]) for run in without})
    line = "|log(encoder's gradient / decoder's)| in the first steps: " + ", ".join(
        f"{name} {mean_interval([imbalance(r) for r in matching(without, scheme=name)])[0]:.2f} "
        f"({told(matching(without, scheme=name))})"
        for name in names
    )
    if not good or not bad:
        return ExperimentFinding(ExperimentAnswer.UNDECIDED, line, scope=range_of(without))
    separated = max(good) < min(bad)
    value = min(bad) - max(good)
    answer = ExperimentAnswer.NOT_REPRODUCED if separated else ExperimentAnswer.REPRODUCED
    return ExperimentFinding(answer, line, value, scope=range_of(without))


def dealt_by_balance(runs: Runs, balanced: RunOutcome = RunOutcome.TRAINED) -> list[RecordedRun]:
    """The runs without warm-up with other outcomes: the more balanced half trained, or stuck."""
    (other,) = {RunOutcome.TRAINED, RunOutcome.STUCK} - {balanced}
    without = sorted(matching(runs, optimizer="adam", warmup=0), key=imbalance)
    half = len(without) // 2
    outcomes = [balanced] * half + [other] * (len(without) - half)
    return [replace(run, outcome=outcome) for run, outcome in zip(without, outcomes, strict=True)]


def _answer(each: Sequence[bool]) -> ExperimentAnswer:
    """The answer from the depths: reproduced at all, at none, or at some of them."""
    if all(each):
        return ExperimentAnswer.REPRODUCED
    return ExperimentAnswer.UNDECIDED if any(each) else ExperimentAnswer.NOT_REPRODUCED


def _excess(runs: Runs, own: Runs, raised: float = 0.0) -> tuple[float, tuple[float, float]]:
    """Mean excess of validation loss over the warmed-up Post-LN's, paired by depth and seed."""
    return mean_interval(
        [
            run.validation_loss - base.validation_loss + raised
            for run in own
            for base in warm(matching(runs, layers=run.config["layers"], seed=run.config["seed"]))
        ]
    )


def decide(runs: Runs) -> ExperimentFinding:
    """Whether Post-LN needs warm-up, with the other statements told beside."""
    first = needs_warmup(runs)
    rules = {
        "Pre-LN comparable": pre_ln_comparable,
        "Admin": admin_trains,
        "gradients not the cause": gradients_not_the_cause,
    }
    also = "; ".join(f"{name}: {rule(runs).answer}" for name, rule in rules.items())
    radam = f"RAdam without warm-up {told(matching(runs, optimizer='radam'))}"
    return replace(first, line=f"{first.line}; {also}; {radam}")


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """Losses at each depth: seeds thin, their mean bold."""
    depths = values_of(runs, "layers")
    figure, (row,) = panels(len(depths), figsize=(4.8 * len(depths), 3.8), sharey=True)
    models = list(dict.fromkeys(map(_name, runs)))
    fixed = {"post-ln, warm-up": WARM, "post-ln": COLD, "tfixup": OWN, "pre-ln": THIRD}
    shades = distinct(models) | fixed
    for panel, depth in zip(row, depths, strict=True):
        here = matching(runs, layers=depth)
        for model in models:
            own = [run for run in here if _name(run) == model]
            courses(panel, own, validation, shades[model], model, gid="deciding")
        loss_lines(panel, here[0])
        panel.set(title=f"N = {depth}", xlabel="step")
    row[0].set_ylabel("validation loss, nats per token")
    row[0].legend(frameon=False, fontsize=7, loc="upper right", bbox_to_anchor=(1.0, 0.73))
    return finished(figure)


def _name(run: RecordedRun) -> str:
    rule = "" if run.config["optimizer"] == "adam" else f", {run.config['optimizer']}"
    return f"{run.config['scheme']}{rule}{', warm-up' if run.config['warmup'] else ''}"


WARMUP = Experiment(
    name="warmup",
    question="Does Post-LN need warm-up, and do Pre-LN, Admin and RAdam do without?",
    full=configs(
        (2, 6),
        200,
        range(4),
        lr=1.5e-3,
        steps=500,
        tokens=256,
        vocabulary=200,
        validation_pairs=200,
    ),
    quick=configs((6,), 20, steps=40, tokens=256, validation_pairs=50, validate_every=20),
    budget=(18.0, 0.5),
    decide=decide,
    draw=draw,
)
