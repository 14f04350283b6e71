"""Known truths for Figs. 2 and 3a, b: gradients, updates and norms in the first steps."""

from collections.abc import Sequence

import numpy as np

from numerics.training.config import TrainConfig
from numerics.training.experiments import (
    fig2,
    fig3ab,
)
from numerics.training.recorded import RecordedRun
from tests.numerics.training.experiments.cases import NO, OPEN, YES, Case, Draw, drawn
from tests.numerics.training.experiments.synthetic import (
    Course,
    Generator,
    Truth,
    falls,
    grows,
    spikes,
    steady,
)

FLAT, SLOWLY_UP, HALF = steady(), grows(8.0, 60), steady(0.5)
FEW = fig2.configs(12, 400, (0, 1, 2), range(3, 8), steps=200)


def gradients(
    cold: Course | Sequence[Course],
    warm: Course = FLAT,
    tfixup: Course = SLOWLY_UP,
    *,
    update: float = 1.0,
    warm_update: float = 0.4,
    tfixup_update: Course = HALF,
) -> Draw:
    """Embedding gradients by model; several courses without warm-up are dealt out by seed."""
    courses = [cold] if callable(cold) else list(cold)

    def truth(config: TrainConfig) -> Truth:
        if config.scheme == "tfixup":
            own, size = tfixup, tfixup_update
        elif config.warmup:
            own, size = warm, steady(warm_update)
        else:
            own, size = courses[config.seed % len(courses)], steady(update)
        return Truth({fig2.GRADIENT: own, fig2.UPDATE: size})

    return drawn(FEW, truth)


EARLY, LATE, NEVER = (falls(1e-3, 4, back) for back in (40, 185, float("inf")))
FIG2 = [
    Case("vanishes and is back early", fig2.decide, gradients(EARLY), YES),
    Case("vanishes and is back late", fig2.decide, gradients(LATE), YES),
    Case("vanishes for good", fig2.decide, gradients(NEVER), YES),
    Case("some back, some not", fig2.decide, gradients([EARLY, LATE, NEVER]), YES),
    Case("does not vanish", fig2.decide, gradients(steady()), NO),
    Case("falls to a third", fig2.decide, gradients(falls(0.33, 4)), NO),
    Case("vanishes after 120 steps", fig2.decide, gradients(falls(1e-3, 120)), NO),
    Case("vanishes with warm-up too", fig2.decide, gradients(NEVER, warm=NEVER), NO),
    Case("vanishes in T-Fixup too", fig2.decide, gradients(NEVER, tfixup=EARLY), NO),
    Case("vanishes in T-Fixup late", fig2.decide, gradients(NEVER, tfixup=falls(1e-3, 90)), NO),
    Case("updates hardly larger", fig2.decide, gradients(EARLY, update=0.02), NO),
    Case(
        "T-Fixup's updates fade",
        fig2.decide,
        gradients(EARLY, tfixup_update=falls(0.01, 50)),
        NO,
    ),
    Case("half of the seeds", fig2.decide, gradients([EARLY, steady()]), OPEN),
    Case("to the bound", fig2.decide, gradients(falls(0.1, 4)), OPEN),
]

WIDTHS = {64: (2e-3, 4e-3), 128: (1e-3, 2e-3)}
NORMS = fig3ab.configs(WIDTHS, steps=60)


A_LITTLE = grows(1.1, 20)


def norms(cold: Course, warm: Course = A_LITTLE, lower_rates: Course = FLAT) -> Draw:
    """Norms at the paper's ratio, and without warm-up at lower rates."""

    def truth(config: TrainConfig) -> Truth:
        at_ratio = np.isclose(config.lr * config.d_model, fig3ab.PAPERS_RATIO)
        own = warm if config.warmup else cold if at_ratio else lower_rates
        return Truth({fig3ab.UPPER: own, fig3ab.LOWER: own})

    def draw(generator: Generator) -> list[RecordedRun]:
        generator.between = generator.within = 0.02
        return drawn(NORMS, truth)(generator)

    return draw


FIG3AB = [
    Case("grows 2.5-fold", fig3ab.decide, norms(grows(2.5, 10)), YES),
    Case(
        "grows at lower rates too", fig3ab.decide, norms(grows(3, 10), lower_rates=grows(3, 9)), YES
    ),
    Case("grows by half", fig3ab.decide, norms(grows(1.5, 10)), NO),
    Case("grows and returns", fig3ab.decide, norms(spikes(3, 15, 6)), NO),
    Case("grows with warm-up too", fig3ab.decide, norms(grows(2.5, 10), grows(2.5, 10)), NO),
    Case(
        "grows at lower rates alone",
        fig3ab.decide,
        norms(steady(), lower_rates=grows(2.5, 9)),
        NO,
    ),
    Case("to the bound", fig3ab.decide, norms(grows(2.0, 5)), OPEN),
]
