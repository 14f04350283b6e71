"""Known truths for Fig. 4, depth against rate, the named baselines, tables and coherence."""

from dataclasses import replace

from numerics.training.config import TrainConfig
from numerics.training.experiments import (
    baselines,
    coherence,
    fig4a,
    fig4b,
    fig4c,
    phase,
    tables,
)
from numerics.training.experiments.experiment import ExperimentFinding
from numerics.training.experiments.selection import Runs
from numerics.training.recorded import RecordedRun
from tests.numerics.training.experiments.cases import NO, OPEN, YES, Case, Draw, drawn
from tests.numerics.training.experiments.synthetic import (
    DIVERGES,
    STUCK,
    Course,
    Generator,
    Loss,
    Truth,
    steady,
    trains,
)

DEPTHS = fig4a.configs((3, 6, 24), range(6), steps=300, validate_every=30)


def depths(deep: Loss, shallow: Loss) -> Draw:
    """Losses of the deepest, and of the others."""
    return drawn(DEPTHS, lambda config: Truth({}, deep if config.layers == 24 else shallow))


SHALLOW = trains(20, end=1.80, over=40, scatter=0.005)
FIG4A = [
    Case("faster and lower", fig4a.decide, depths(trains(10, end=1.7, over=40), SHALLOW), YES),
    Case("equal", fig4a.decide, depths(SHALLOW, SHALLOW), NO),
    Case(
        "lower by less than matters",
        fig4a.decide,
        depths(replace(SHALLOW, end=1.79, scatter=0.002), replace(SHALLOW, scatter=0.002)),
        NO,
    ),
    Case("lower at the end alone", fig4a.decide, depths(trains(90, end=1.6), SHALLOW), NO),
    Case("faster, and ends higher", fig4a.decide, depths(trains(1, end=1.9, over=20), SHALLOW), NO),
    Case("diverges", fig4a.decide, depths(DIVERGES, SHALLOW), NO),
    Case("too noisy", fig4a.decide, depths(replace(SHALLOW, scatter=0.1), SHALLOW), OPEN),
]


SOON = trains(20)


def fig4b_runs(own: Loss, squared: Loss = SOON, control: Loss = DIVERGES) -> Draw:
    """T-Fixup at 200 layers, squared scales, Xavier."""
    configs = fig4b.configs((6, 200), 50, steps=250) + fig4b.variants(steps=250)

    def truth(config: TrainConfig) -> Truth:
        loss = {fig4b.SQUARED: squared, fig4b.CONTROL: control}.get(config.scheme, trains(20))
        return Truth({}, own if (config.scheme, config.layers) == ("tfixup", 200) else loss)

    return drawn(configs, truth)


FIG4B = [
    Case("trains", fig4b.decide, fig4b_runs(trains(60)), YES),
    Case("diverges at 200 layers", fig4b.decide, fig4b_runs(DIVERGES), NO),
    Case("diverges late", fig4b.decide, fig4b_runs(trains(60, diverges=240)), NO),
    Case("on its plateau at the end", fig4b.decide, fig4b_runs(STUCK), OPEN),
    Case("so does Xavier", fig4b.decide, fig4b_runs(trains(60), control=trains(60)), OPEN),
]
SQUARED = [
    Case("trains", fig4b.squared_trains, fig4b_runs(STUCK, trains(90)), YES),
    Case("diverges", fig4b.squared_trains, fig4b_runs(STUCK, DIVERGES), NO),
    Case("on its plateau", fig4b.squared_trains, fig4b_runs(STUCK, STUCK), OPEN),
]


def batches(largest: Loss, control: Loss = STUCK) -> Draw:
    """T-Fixup on the largest batch, and Post-LN."""

    def truth(config: TrainConfig) -> Truth:
        own = largest if config.tokens == 8 * 64 else trains(20)
        return Truth({}, control if config.scheme == fig4c.CONTROL else own)

    return drawn(fig4c.configs(12, 64, (0, 1), steps=150), truth)


FIG4C = [
    Case("trains", fig4c.decide, batches(trains(20)), YES),
    Case("diverges on the largest", fig4c.decide, batches(DIVERGES), NO),
    Case("on its plateau", fig4c.decide, batches(STUCK), OPEN),
    Case("Post-LN trains", fig4c.decide, batches(trains(20), trains(20)), OPEN),
]

GRID = phase.configs(("tfixup", "post-ln"), (2, 4, 8, 16, 32, 64), [1e-3 * 2**n for n in range(9)])


def rates(power: float, post_ln: int = 4, first: float = 0.2, bumpy: float = 1.0) -> Draw:
    """T-Fixup trains up to a rate ∝ N^power, Post-LN up to a depth."""

    def truth(config: TrainConfig) -> Truth:
        if config.scheme == "post-ln":
            return Truth({}, trains(5, over=10) if config.layers <= post_ln else STUCK)
        uneven = bumpy if config.layers in (4, 16, 64) else 1.0
        good = config.lr <= first * (config.layers / 2) ** power * uneven
        return Truth({}, trains(5, over=10) if good else DIVERGES)

    return drawn(GRID, truth)


def bounded(runs: Runs) -> ExperimentFinding:
    """Whether T-Fixup's largest rate stays."""
    return phase.bounded_at_any_depth(runs, "tfixup")


PHASE = [
    Case("goes on", phase.decide, rates(0.0), YES),
    Case("ends at half the depth", phase.decide, rates(-3.0), NO),
    Case("Post-LN goes on", phase.decide, rates(0.0, post_ln=64), OPEN),
    Case("the largest rate stays", bounded, rates(0.0), YES),
    Case("the largest rate falls as N^-1", bounded, rates(-1.0), NO),
    Case("nothing trains at depth", bounded, rates(-3.0), NO),
    Case("half way", bounded, rates(-0.25, bumpy=0.5), OPEN),
]


def named(own: dict[int, Loss], reference: dict[int, Loss] | None = None) -> Draw:
    """LRI by depth, T-Fixup, every other baseline trained, Xavier diverged."""

    def truth(config: TrainConfig) -> Truth:
        by_scheme = {"lri": own, "tfixup": reference or {}}
        known = by_scheme.get(config.scheme, {})
        loss = known.get(config.layers, DIVERGES if config.scheme == "xavier" else trains(5))
        return Truth({}, replace(loss, over=10))

    return drawn(baselines.configs((6, 12, 50), (0, 1)), truth)


def lri(runs: Runs) -> ExperimentFinding:
    """The rule about one baseline."""
    return baselines.trains(runs, "lri")


BASELINES = [
    case
    for rule in (lri, baselines.decide)
    for case in (
        Case("trains", rule, named({}), YES),
        Case("stuck at 12 layers", rule, named({12: STUCK}), NO),
        Case("diverges at 50", rule, named({50: DIVERGES}), NO),
        Case("stuck where T-Fixup is", rule, named({50: STUCK}, {50: STUCK}), YES),
    )
] + [Case("T-Fixup trains nowhere", lri, named({}, dict.fromkeys((6, 12, 50), STUCK)), OPEN)]


def scores(own: float, other: float, seeds: int = 3) -> Draw:
    """Matched words of ten by T-Fixup and by LRI; every other baseline has 5."""
    configs = tables.configs(
        {6: 1, 12: 1}, 1, {n: {6: seeds, 12: seeds} for n in ("tfixup", "lri")}
    )
    words = {"tfixup": own, "lri": other}
    return drawn(
        configs,
        lambda c: Truth({}, bleu=5.0 if c.optimizer == "radam" else words.get(c.scheme, 5.0)),
    )


def table(runs: Runs) -> ExperimentFinding:
    """The rule of the tables, with few bootstrap samples."""
    return tables.at_least(runs, samples=60)


TABLES = [
    Case("best", table, scores(8, 6), YES),
    Case("as good, noise aside", table, scores(8, 8), OPEN),
    Case("beaten by one", table, scores(6, 9), NO),
    Case("one seed", table, scores(8, 6, seeds=1), OPEN),
]


def trained_stacks(rho: float, growth: float) -> Draw:
    """Mean coherence and the power of L in the growth, at three depths."""

    def truth(config: TrainConfig) -> Truth:
        columns: dict[str, Course] = {}
        for stack, blocks in coherence.BLOCKS.items():
            count = blocks * config.layers
            columns |= {
                f"coherence_{stack}": steady(rho),
                f"skip_growth_{stack}": steady(1.4 * count**growth),
                f"strength_{stack}": steady((3 * count) ** -0.5),
            }
        return Truth(columns)

    def draw(generator: Generator) -> list[RecordedRun]:
        generator.between = generator.within = 0.01
        return drawn(coherence.configs((6, 24, 48), (0, 1), steps=10), truth)(generator)

    return draw


COHERENCE = [
    Case("incoherent and bounded", coherence.decide, trained_stacks(1e-3, 0.0), YES),
    Case("coherent and growing", coherence.decide, trained_stacks(0.9, 1.0), YES),
    Case("incoherent and growing", coherence.decide, trained_stacks(1e-3, 1.0), NO),
    Case("coherent and bounded", coherence.decide, trained_stacks(0.9, 0.0), NO),
]
