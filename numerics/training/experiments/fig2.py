"""Fig. 2 of T-Fixup: gradients of the embeddings and Adam's updates in the first steps.

The paper: without warm-up "after only a few steps the gradient to the input embeddings (lowest
layer) vanishes completely", "Adam updates are an order of magnitude larger during early stages of
training for model without warmup", and T-Fixup keeps "both gradients and Adam updates stable".

Three models: Post-LN with warm-up, Post-LN without, T-Fixup without. With g_t the encoder's
embedding gradient at step t and Δ_t the size of Adam's update of it, the rate in it, the rule asks
four things, each by the 95 % interval of a geometric mean over seeds:

- *vanishes*: without warm-up the mean of g_5 … g_20 over g_1 is below `VANISHED`;
- *there alone*: with warm-up, and under T-Fixup, it is not;
- *grow*: the mean of Δ_1 … Δ_20 without warm-up is at least `ORDER` times that with it, at the
  same seeds;
- *stable*: in no fifth of T-Fixup's steps does g, over g_1, vanish, nor Δ, over Δ_1, leave the
  factor `STABLE`.

The answer is *reproduced* if all four hold, *not reproduced* if one decidedly does not, and else
*undecided*. The statement does not say how long the gradients stay away; the finding reports the
share of seeds whose gradients are back at the end.

The rule was written after the logs of seeds 0 to 9 were seen. The `FRESH` seeds, drawn afterwards,
decide.

Reduced: 64-128-2 for 512-1024-4, 12 + 12 layers for 6 + 6 (narrow Post-LN models train without
warm-up at 6), generated sentences, 200 steps of 512 tokens for 100 of 4,000, warm-up over 400.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
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
    OWN,
    WARM,
    Values,
    baseline,
    bound,
    courses,
    finished,
    panels,
)
from numerics.training.experiments.selection import (
    Runs,
    geometric_interval,
    matching,
    range_of,
    values_of,
)
from numerics.training.recorded import RecordedRun, read_log

VANISHED = 0.1
"""Share of its first size below which a gradient counts as vanished."""
ORDER = 10.0
"""The paper's "order of magnitude" between Adam's updates without warm-up and with it."""
STABLE = 10.0
"""Factor within which T-Fixup's updates count as stable: less than that order of magnitude."""
FEW_STEPS = (5, 20)
"""The paper's "only a few steps", first and last."""
EARLY = 20
"""Steps of the paper's "early stages of training"."""
AT_END = 10
"""Last steps whose mean says whether a gradient is back."""
FRESH = range(10, 20)
"""Seeds drawn after the rule was written."""
GRADIENT, UPDATE = "gradient_encoder", "adam_update_encoder"
Interval = tuple[float, tuple[float, float]]


def configs(
    layers: int,
    warmup: int,
    seeds: Sequence[int] = (0,),
    more: Sequence[int] = (),
    **settings: Any,
) -> tuple[TrainConfig, ...]:
    """Post-LN with and without warm-up, T-Fixup without, each with every seed.

    Post-LN without warm-up, whose gradients scatter most, has the seeds ``more`` besides.
    """
    base = {**SMALL, "layers": layers, **settings}
    return tuple(
        TrainConfig(scheme=scheme, warmup=steps, signals=True, seed=seed, **base)
        for scheme, steps in (("post-ln", warmup), ("post-ln", 0), ("tfixup", 0))
        for seed in (*seeds, *(more if scheme == "post-ln" and not steps else ()))
    )


def gradients(run: RecordedRun) -> np.ndarray:
    """The gradient's norm at every step, as a multiple of the first: g_t / g_1."""
    values = read_log(run.path)[GRADIENT].to_numpy()
    return values / values[0]


def update_sizes(run: RecordedRun) -> np.ndarray:
    """The mean size Δ_t of Adam's update of an entry of the embedding, the rate included."""
    log = read_log(run.path)
    return log[UPDATE].to_numpy() * log["lr"].to_numpy()


def mean(values: Iterable[float]) -> float:
    """Geometric mean of a run's values; 0 where one of them is 0."""
    return geometric_interval(list(values))[0]


def after_few_steps(run: RecordedRun) -> float:
    """The gradient's norm after a few steps, as the mean of g_5 … g_20 over g_1."""
    first, last = FEW_STEPS
    return mean(gradients(run)[first - 1 : last])


def back_at_end(run: RecordedRun) -> bool:
    """Whether the gradient of the last steps is no longer below the bound."""
    return mean(gradients(run)[-AT_END:]) >= VANISHED


def fifths(values: np.ndarray) -> list[float]:
    """Mean over each fifth of the steps."""
    return [mean(part) for part in np.array_split(values, 5)]


def groups(runs: Runs) -> tuple[list[RecordedRun], list[RecordedRun], list[RecordedRun]]:
    """Post-LN with warm-up, Post-LN without, T-Fixup."""
    post_ln = matching(runs, scheme="post-ln")
    warm = [run for run in post_ln if run.config["warmup"]]
    cold = [run for run in post_ln if not run.config["warmup"]]
    return warm, cold, matching(runs, scheme="tfixup")


def of_seeds(runs: Runs, *, fresh: bool) -> list[RecordedRun]:
    """The runs of the fresh seeds, or those of the others."""
    return [run for run in runs if (run.config["seed"] in FRESH) is fresh]


def vanishing(group: Runs, factor: float = 1.0) -> Interval:
    """`after_few_steps`, times a factor, over seeds."""
    return geometric_interval([factor * after_few_steps(run) for run in group])


def growth(cold: Runs, warm: Runs, factor: float = 1.0) -> Interval:
    """Early size of Adam's updates without warm-up, times a factor, over that with it, by seed."""
    early = {run.config["seed"]: mean(update_sizes(run)[:EARLY]) for run in warm}
    return geometric_interval(
        [
            factor * mean(update_sizes(run)[:EARLY]) / early[run.config["seed"]]
            for run in cold
            if run.config["seed"] in early
        ]
    )


def stability(tfixup: Runs) -> tuple[list[Interval], list[Interval]]:
    """T-Fixup's g over g_1, and Δ over Δ_1, in each fifth of the steps, over seeds."""
    own = [fifths(gradients(run)) for run in tfixup]
    sizes = [fifths(update_sizes(run) / update_sizes(run)[0]) for run in tfixup]
    return (
        [geometric_interval(part) for part in zip(*own, strict=True)],
        [geometric_interval(part) for part in zip(*sizes, strict=True)],
    )


def decide_on(runs: Runs, *, faded: float = 1.0, larger: float = 1.0) -> ExperimentFinding:
    """The rule on some seeds.

    Parameters
    ----------
    runs
        Runs of all three models.
    faded
        Factor on the gradients after a few steps without warm-up: a control.
    larger
        Factor on Adam's early updates without warm-up: a control.
    """
    warm, cold, tfixup = groups(runs)
    fallen, others = vanishing(cold, faded), [vanishing(group) for group in (warm, tfixup)]
    grown = growth(cold, warm, larger)
    own, sizes = stability(tfixup)
    parts = (
        below(fallen, VANISHED),
        *(above(other, VANISHED) for other in others),
        above(grown, ORDER),
        *(above(part, VANISHED) for part in own),
        *(_all(above(part, 1 / STABLE), below(part, STABLE)) for part in sizes),
    )
    back = [back_at_end(run) for run in cold]
    line = (
        f"gradient after steps {FEW_STEPS[0]} to {FEW_STEPS[1]}, over step 1: Post-LN without "
        f"warm-up × {shown(fallen)}, with × {shown(others[0])}, T-Fixup × {shown(others[1])}; "
        f"Adam's updates in the first {EARLY} steps, the rate in them, × {shown(grown)} without "
        f"warm-up over with; T-Fixup's gradient by fifth of the steps × "
        f"{_listed(own)}, its update × {_listed(sizes)}; by the last step "
        f"{sum(back)} of {len(back)} seeds without warm-up are back above × {VANISHED:g}"
    )
    scope = range_of(cold) + f" (with warm-up and T-Fixup {len(warm)} and {len(tfixup)} seeds)"
    if all(part is True for part in parts):
        return ExperimentFinding(ExperimentAnswer.REPRODUCED, line, *fallen, scope=scope)
    no = False in parts
    return ExperimentFinding(
        ExperimentAnswer.NOT_REPRODUCED if no else ExperimentAnswer.UNDECIDED,
        line,
        *fallen,
        scope=scope,
    )


def decide(runs: Runs) -> ExperimentFinding:
    """The rule on the fresh seeds where there are any, told beside that on the others."""
    fresh, others = (of_seeds(runs, fresh=fresh) for fresh in (True, False))
    if not fresh or not others:
        return decide_on(fresh or others)
    found, seen = decide_on(fresh), decide_on(others)
    line = f"seeds {_seeds(fresh)}, drawn after the rule was written: {found.line}; "
    line += f"seeds {_seeds(others)}: {seen.answer}, {seen.line}"
    return ExperimentFinding(found.answer, line, found.value, found.interval, scope=found.scope)


def below(found: Interval, bound: float) -> bool | None:
    """Whether the interval lies below the bound; ``None`` where it does not say."""
    low, high = found[1]
    return True if high < bound else False if low >= bound else None


def above(found: Interval, bound: float) -> bool | None:
    """Whether the interval lies at or above the bound; ``None`` where it does not say."""
    small = below(found, bound)
    return None if small is None else not small


def _all(*parts: bool | None) -> bool | None:
    return False if False in parts else None if None in parts else True


def shown(found: Interval) -> str:
    """Mean and interval to two digits."""
    value, (low, high) = found
    return f"{value:.2g} [{low:.2g}, {high:.2g}]"


def _listed(parts: Iterable[Interval]) -> str:
    return ", ".join(f"{value:.2g}" for value, _ in parts)


def _seeds(runs: Runs) -> str:
    seeds = values_of(runs, "seed")
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"


def draw(runs: Sequence[RecordedRun]) -> Figure:
    """Gradients over step 1, and sizes of Adam's updates: seeds thin, their mean bold."""
    warm, cold, tfixup = groups(runs)
    figure, ((left, right),) = panels(2)
    for group, shade, name in (
        (cold, COLD, "Post-LN, no warm-up"),
        (warm, WARM, "Post-LN, warm-up"),
        (tfixup, OWN, "T-Fixup, no warm-up"),
    ):
        courses(left, group, _over_steps(gradients), shade, name)
        courses(right, group, _over_steps(update_sizes), shade, name)
    cold_line = left.get_lines()[len(cold)]
    cold_line.set_gid("deciding")
    baseline(left, 1.0, "step 1", where=0.01)
    bound(left, VANISHED, f"vanished: × {VANISHED:g}", where=0.01)
    first, last = FEW_STEPS
    left.axvspan(first, last, color="#dddddd", zorder=0, label=f"steps {first} to {last}")
    early = geometric_interval([mean(update_sizes(run)[:EARLY]) for run in warm])[0]
    right.hlines(early, 1, EARLY, color=WARM, ls=":", lw=1.4, label="its mean, steps 1 to 20")
    right.hlines(
        ORDER * early, 1, EARLY, color=GREY, ls="--", lw=1.4, label=f"{ORDER:g} times that"
    )
    left.set(ylabel="gradient of the encoder's embedding, over step 1")
    right.set(ylabel="Adam's update of an entry, the rate in it")
    for axes in (left, right):
        axes.set(xlabel="step", xscale="log", yscale="log")
        axes.set_ylim(bottom=axes.get_ylim()[0] / 10)  # Room for the legend.
        axes.legend(frameon=False, fontsize=7, loc="lower left" if axes is left else "lower right")
    return finished(figure)


def _over_steps(values: Callable[[RecordedRun], np.ndarray]) -> Values:
    def course(run: RecordedRun) -> tuple[list[int], list[float]]:
        found = values(run)
        return list(range(1, len(found) + 1)), found.tolist()

    return course


FULL = configs(12, 400, (0, 1, 2), range(3, 10), steps=200)
CONFIRMING = configs(12, 400, FRESH[:3], FRESH[3:], steps=200)
QUICK = configs(12, 100, steps=40, validate_every=20)
FIG2 = Experiment(
    name="fig2",
    question="Do Post-LN's embedding gradients vanish without warm-up, and T-Fixup's not?",
    full=FULL + CONFIRMING,
    quick=QUICK,
    budget=(14.0, 0.6),
    decide=decide,
    draw=draw,
)
