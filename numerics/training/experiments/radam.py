"""RAdam in the place of warm-up: Post-LN under RAdam, where Adam needs the warm-up.

RAdam's paper offers rectification as what warm-up does (paraphrase), and T-Fixup's Table 1 has an
entry "RAdam, no warmup". At one rate, by all seeds, Adam *needs* warm-up as `fig3c.py` has it, and
RAdam *replaces* it if it recovers from the first step at the full rate. Every run without warm-up
is given 20 times the plateau of Adam's warmed-up model at its rate.

Reproduced if RAdam replaces warm-up at every rate at which Adam needs it, not reproduced if at
none of them, undecided where Adam needs it nowhere and where seeds or rates disagree: then RAdam
replaces it sometimes, which no further run undoes.

Reduced as `fig3c.py` is, whose runs under Adam these are.
"""

from dataclasses import replace

from matplotlib.figure import Figure

from numerics.training.config import TrainConfig
from numerics.training.experiments import fig3c
from numerics.training.experiments.experiment import Experiment, ExperimentAnswer, ExperimentFinding
from numerics.training.experiments.fig3c import needs_warmup, pair, rates_of
from numerics.training.experiments.plateau import (
    TIMES,
    outlasts,
    plateau,
    recovers,
    steps_told,
    trained_at,
)
from numerics.training.experiments.selection import (
    Runs,
    matching,
    neighbourhood_of,
    range_of,
)
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import RecordedRun


def configs(adam: tuple[TrainConfig, ...]) -> tuple[TrainConfig, ...]:
    """Adam's runs with layer norm, and RAdam's in the place of those without warm-up."""
    own = [one for one in adam if one.optimizer == "adam" and one.scheme == "post-ln"]
    return (*own, *(replace(one, optimizer="radam") for one in own if not one.warmup))


def replaces_at(runs: Runs, rate: float) -> tuple[bool | None, bool | None]:
    """At a rate, whether Adam needs warm-up, and whether RAdam replaces it."""
    warm, cold = pair(runs, "adam", rate)
    steps = plateau(warm)
    own = matching(runs, optimizer="radam", lr=rate)
    return needs_warmup(warm, cold), None if steps is None else recovers(own, steps)


def decide(runs: Runs) -> ExperimentFinding:
    """The rule above."""
    found = {rate: replaces_at(runs, rate) for rate in rates_of(runs, "adam")}
    line = "; ".join(
        f"at {rate:g} trained with Adam and warm-up: {steps_told(pair(runs, 'adam', rate)[0])}; "
        f"Adam without: {steps_told(pair(runs, 'adam', rate)[1])}; "
        f"RAdam without: {steps_told(matching(runs, optimizer='radam', lr=rate))}"
        for rate in found
    )
    own = [replaces for needs, replaces in found.values() if needs]
    mixed = [rate for rate in found if found[rate][0] and _disagree(runs, rate)]
    if mixed:
        line += (
            f"; RAdam's seeds disagree at {', '.join(f'{rate:g}' for rate in mixed)}: some recover "
            "and others do not, which neither more seeds nor other rates undo"
        )
    scope = range_of(runs)
    if own and all(own):
        return ExperimentFinding(ExperimentAnswer.REPRODUCED, line, scope=scope)
    if own and all(answer is False for answer in own):
        wide = neighbourhood_of(runs) if len(own) == len(found) else ""
        return ExperimentFinding(
            ExperimentAnswer.NOT_REPRODUCED, line, scope=scope, neighbourhood=wide
        )
    return ExperimentFinding(ExperimentAnswer.UNDECIDED, line, scope=scope)


def _disagree(runs: Runs, rate: float) -> bool:
    """Whether some of RAdam's seeds recover at a rate and others have had 20 plateaus of time."""
    steps = plateau(pair(runs, "adam", rate)[0]) or 0
    own = matching(runs, optimizer="radam", lr=rate)
    in_time = [(at := trained_at(run)) is not None and at <= TIMES * steps for run in own]
    return any(in_time) and not all(in_time) and all(outlasts(run, steps) for run in own)


def dealt(runs: Runs, outcome: RunOutcome) -> list[RecordedRun]:
    """The runs with Adam in need of warm-up everywhere and RAdam ending as given: a control."""
    cold = {run.path for run in runs if not run.config["warmup"]}
    kept = []
    for run in runs:
        if run.path in cold:
            radam = run.config["optimizer"] == "radam"
            given = outcome if radam else RunOutcome.STUCK
            longest = TIMES * (plateau(pair(runs, "adam", float(run.config["lr"]))[0]) or 1)
            steps = longest if given is RunOutcome.STUCK else 1
            run = replace(run, outcome=given, steps=steps)
        kept.append(run)
    return kept


def draw(runs: Runs) -> Figure:
    """Validation losses, one column per rate."""
    return fig3c.draw_rates(runs, ("radam",))


RADAM = Experiment(
    name="radam",
    question="Does RAdam train Post-LN without warm-up wherever Adam needs it?",
    full=configs(fig3c.FIG3C.full),
    quick=configs(fig3c.FIG3C.quick),
    budget=(45.0, 0.4),
    decide=decide,
    draw=draw,
    reads="fig3c",
)
