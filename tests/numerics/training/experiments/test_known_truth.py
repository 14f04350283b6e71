"""Every decision rule on synthetic runs whose truth is known: true, false, and borderline.

The courses are the paper's: fast fall and recovery, late recovery, plateaus that are left late. A
rule that reads a window alone is wrong about one of them, which the last tests show.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from numerics.evidence.experiment_rows import ROWS
from numerics.training.config import TrainConfig
from numerics.training.experiments import (
    baselines,
    coherence,
    fig2,
    fig3ab,
    fig3c,
    fig4a,
    fig4b,
    fig4c,
    phase,
    radam,
    tables,
    warmup,
)
from numerics.training.experiments.experiment import Answer, Finding
from numerics.training.experiments.selection import Runs, geometric_interval
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import RecordedRun
from tests.numerics.training.experiments.synthetic import (
    DIVERGES,
    STUCK,
    Course,
    Generator,
    Loss,
    Truth,
    falls,
    grows,
    spikes,
    steady,
    trains,
)

YES, NO, OPEN = Answer.REPRODUCED, Answer.NOT_REPRODUCED, Answer.UNDECIDED
Draw = Callable[[Generator], list[RecordedRun]]


@dataclass(frozen=True)
class Case:
    """Runs with a truth, and what the rule has to say of it."""

    name: str
    rule: Callable[[Runs], Finding]
    draw: Draw
    answer: Answer


def drawn(configs: Sequence[TrainConfig], truth: Callable[[TrainConfig], Truth]) -> Draw:
    """Runs of configs, each with its own truth."""
    return lambda generator: [generator.run(config, truth(config)) for config in configs]


# --- Fig. 2 ---------------------------------------------------------------------------------------

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

# --- Fig. 3a, b -----------------------------------------------------------------------------------

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

# --- Fig. 3c and RAdam ----------------------------------------------------------------------------

LIMIT = {"adam": 5_000, "sgd": 9_000}
Losses = dict[str, Loss | Sequence[Loss]]
STATED: Losses = {"adam-warm": trains(200), "sgd-warm": trains(350), "sgd": trains(2_000)}


def settings_of_fig3c(short: int = 0) -> list[TrainConfig]:
    """Warmed-up runs, runs without warm-up of 20 plateaus (or ``short`` steps), and Xavier."""
    found: list[TrainConfig] = []
    for rule, rates in fig3c.RATES.items():
        found += fig3c.with_layer_norm(rule, rates=rates, steps=1_000)
        limit = short or LIMIT[rule]
        found += fig3c.with_layer_norm(rule, rates=rates, warmup=0, steps=limit)
    return found + list(fig3c.without_layer_norm(steps=100))


def curves(changed: Losses, *, short: int = 0) -> Draw:
    """Loss courses: ``RULE`` and ``RULE-warm`` with layer norm, ``bare`` without.

    ``adam@RATE`` is for one rate; a sequence is dealt out by seed.
    """
    losses: Losses = {"adam": STUCK, "bare": DIVERGES, "radam": STUCK, **STATED, **changed}

    def truth(config: TrainConfig) -> Truth:
        name = config.optimizer + ("-warm" if config.warmup else "")
        found = losses.get(f"{name}@{config.lr:g}", losses[name])
        if config.scheme == "xavier":
            found = losses["bare"]
        own = found if isinstance(found, Loss) else found[config.seed % len(found)]
        return Truth({}, own)

    configs = settings_of_fig3c(short)
    return drawn((*configs, *radam.configs(tuple(configs))[18:]), truth)


def of_fig3c(runs: Runs) -> Finding:
    """Fig. 3c's rule, which knows no RAdam."""
    return fig3c.decide([run for run in runs if run.config["optimizer"] != "radam"])


LONG = trains(8_000)
FIG3C = [
    Case("as stated", of_fig3c, curves({}), YES),
    Case("SGD recovers very late", of_fig3c, curves({"sgd": trains(6_500)}), YES),
    Case("at one rate alone", of_fig3c, curves({"adam@0.0015": STUCK, "adam": trains(900)}), YES),
    Case("SGD never recovers", of_fig3c, curves({"sgd": STUCK}), NO),
    Case("Adam recovers too", of_fig3c, curves({"adam": trains(900)}), NO),
    Case("Adam recovers very late", of_fig3c, curves({"adam": trains(3_000)}), NO),
    Case("SGD is never stuck", of_fig3c, curves({"sgd": trains(10)}), NO),
    Case("Xavier trains", of_fig3c, curves({"bare": trains(1, over=10.0)}), NO),
    Case("SGD is not given the time", of_fig3c, curves({}, short=500), OPEN),
    Case("nothing trains with warm-up", of_fig3c, curves({"adam-warm": STUCK}), OPEN),
    Case("SGD's seeds disagree", of_fig3c, curves({"sgd": (trains(2_000), STUCK)}), OPEN),
]
RADAM = [
    Case("replaces it", radam.decide, curves({"radam": trains(300)}), YES),
    Case("replaces it slowly", radam.decide, curves({"radam": trains(2_500)}), YES),
    Case(
        "replaces it where it is needed",
        radam.decide,
        curves({"adam@0.00075": trains(300), "radam@0.00075": STUCK, "radam": trains(300)}),
        YES,
    ),
    Case("stuck as Adam is", radam.decide, curves({}), NO),
    Case("diverges", radam.decide, curves({"radam": DIVERGES}), NO),
    Case("not given the time", radam.decide, curves({"radam": STUCK}, short=500), OPEN),
    Case("Adam needs none", radam.decide, curves({"adam": trains(300)}), OPEN),
    Case("rates disagree", radam.decide, curves({"radam@0.003": trains(300)}), OPEN),
]

# --- Fig. 4 ---------------------------------------------------------------------------------------

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

# --- Depth and rate -------------------------------------------------------------------------------

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


def bounded(runs: Runs) -> Finding:
    """Whether T-Fixup's largest rate stays."""
    return phase.bounded_at_any_depth(runs, "tfixup")


PHASE = [
    Case("goes on", phase.decide, rates(0.0), YES),
    Case("ends at half the depth", phase.decide, rates(-3.0), NO),
    Case("Post-LN goes on", phase.decide, rates(0.0, post_ln=64), OPEN),
    Case("the largest rate stays", bounded, rates(0.0), YES),
    Case("the largest rate falls as N^-1/2", bounded, rates(-0.5), NO),
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


def lri(runs: Runs) -> Finding:
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

# --- Warm-up --------------------------------------------------------------------------------------

FOUR = warmup.configs((2, 6), 200, range(4), steps=500)
LEFT = trains(150, scatter=0.02)


def warmups(balance: dict[str, float] | None = None, **losses: Loss) -> Draw:
    """Losses by model at 6 layers (``cold``, ``warm``, ``pre_ln``, ``admin``); at 2 all train."""
    balances = balance or {}

    def truth(config: TrainConfig) -> Truth:
        name = config.scheme.replace("-", "_")
        if name == "post_ln":
            name = "warm" if config.warmup else "cold"
        loss = losses.get(f"{name}_2", LEFT) if config.layers == 2 else losses.get(name, LEFT)
        uneven = steady(balances.get(name, 1.0))
        return Truth({"gradient_encoder": uneven, "gradient_decoder": steady()}, loss)

    return drawn(FOUR, truth)


LOWER, HIGHER = trains(100, end=1.6), trains(300)
NEEDS, DEEP = warmup.needs_warmup, warmup.needs_warmup_when_deep
WARMUP = [
    Case("needed at both depths", NEEDS, warmups(cold=STUCK, cold_2=STUCK), YES),
    Case("needed at neither", NEEDS, warmups(), NO),
    Case("needed when deep", NEEDS, warmups(cold=STUCK), OPEN),
    Case("needed when deep", DEEP, warmups(cold=STUCK), YES),
    Case("not even when deep", DEEP, warmups(), NO),
    Case("no use at all", DEEP, warmups(warm=STUCK, warm_2=STUCK, cold=STUCK), OPEN),
    Case("comparable", warmup.pre_ln_comparable, warmups(), YES),
    Case("worse", warmup.pre_ln_comparable, warmups(pre_ln=HIGHER, pre_ln_2=HIGHER), NO),
    Case("diverges", warmup.pre_ln_comparable, warmups(pre_ln=DIVERGES), NO),
    Case("at one depth alone", warmup.pre_ln_comparable, warmups(pre_ln=HIGHER), OPEN),
    Case(
        "trains and ends lower",
        warmup.admin_trains,
        warmups(admin=LOWER, admin_2=LOWER, cold=STUCK),
        YES,
    ),
    Case("ends higher", warmup.admin_trains, warmups(admin=HIGHER, admin_2=HIGHER, cold=STUCK), NO),
    Case("so does Post-LN", warmup.admin_trains, warmups(admin=LOWER, admin_2=LOWER), OPEN),
    Case(
        "balanced all alike", warmup.gradients_not_the_cause, warmups(cold=STUCK, cold_2=STUCK), YES
    ),
    Case(
        "balance sets them apart",
        warmup.gradients_not_the_cause,
        warmups({"cold": 100.0}, cold=STUCK, cold_2=STUCK),
        NO,
    ),
    Case("all train", warmup.gradients_not_the_cause, warmups({"cold": 100.0}), OPEN),
]

# --- Tables and coherence -------------------------------------------------------------------------


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


def table(runs: Runs) -> Finding:
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

CASES = [
    *(*FIG2, *FIG3AB, *FIG3C, *RADAM, *FIG4A, *FIG4B, *SQUARED, *FIG4C),
    *(*PHASE, *BASELINES, *WARMUP, *TABLES, *COHERENCE),
]


def _id(case: Case) -> str:
    return f"{case.rule.__module__.rpartition('.')[2]}.{case.rule.__name__}: {case.name}"


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_the_rule_says_what_is_true(case, tmp_path):
    found = case.rule(case.draw(Generator(tmp_path)))
    assert found.answer is case.answer, found.line
    assert found.scope


def test_every_experiment_has_a_true_and_a_false_case():
    tried = {row.experiment for row in ROWS}
    by_experiment = {
        "fig2": FIG2,
        "fig3ab": FIG3AB,
        "fig3c": FIG3C,
        "radam": RADAM,
        "fig4a": FIG4A,
        "fig4b": [*FIG4B, *SQUARED],
        "fig4c": FIG4C,
        "phase": PHASE,
        "baselines": BASELINES,
        "warmup": WARMUP,
        "tables": TABLES,
        "coherence": COHERENCE,
    }
    assert set(by_experiment) == tried
    for cases in by_experiment.values():
        assert {YES, NO} <= {case.answer for case in cases}


# --- Rules that look at a window alone ------------------------------------------------------------


def last_over_first(first: slice, last: slice) -> Callable[[Runs], bool]:
    """Whether gradients without warm-up vanish, read as one window of the steps over another."""

    def rule(runs: Runs) -> bool:
        _, cold, _ = fig2.groups(runs)
        changes = []
        for run in cold:
            values = fig2.gradients(run)
            changes.append(fig2.mean(values[last]) / fig2.mean(values[first]))
        return geometric_interval(changes)[1][1] < fig2.VANISHED

    return rule


WINDOWS = {
    "last fifth over the first, as the rule was before": (slice(0, 40), slice(-40, None)),
    "last fifth over step 1": (slice(0, 1), slice(-40, None)),
    "last step over step 5": (slice(4, 5), slice(-1, None)),
    "steps 5 to 20 over the steps around them": (slice(4, 24), slice(4, 20)),
}


@pytest.mark.parametrize("name", list(WINDOWS))
def test_a_rule_that_looks_at_a_window_alone_is_wrong_about_a_course(name, tmp_path):
    rule = last_over_first(*WINDOWS[name])
    courses = [case for case in FIG2 if case.name in ONE_MODEL]
    found = {
        case.name: rule(case.draw(Generator(tmp_path / str(place))))
        for place, case in enumerate(courses)
    }
    assert found != ONE_MODEL


ONE_MODEL = {
    "vanishes and is back early": True,
    "vanishes and is back late": True,
    "vanishes for good": True,
    "does not vanish": False,
    "vanishes after 120 steps": False,
}
"""Whether the gradient vanishes after a few steps, by course."""


def test_the_rule_is_right_about_the_same_courses(tmp_path):
    def rule(runs: Runs) -> bool:
        return bool(fig2.below(fig2.vanishing(fig2.groups(runs)[1]), fig2.VANISHED))

    found = {
        case.name: rule(case.draw(Generator(tmp_path / str(place))))
        for place, case in enumerate(FIG2)
        if case.name in ONE_MODEL
    }
    assert found == ONE_MODEL


def test_an_end_of_500_steps_is_no_answer_to_a_recovery_at_2000(tmp_path):
    """What Fig. 3c's rule read before: who has trained when the runs end."""
    late, never = (
        curves(changed, short=500)(Generator(tmp_path / name))
        for name, changed in (("late", {}), ("never", {"sgd": STUCK}))
    )
    ends = [[run.outcome for run in runs if run.config["steps"] == 500] for runs in (late, never)]
    assert ends[0] == ends[1]
    assert set(ends[0]) == {RunOutcome.STUCK}
    assert of_fig3c(late).answer is of_fig3c(never).answer is OPEN


def test_the_generator_draws_what_it_is_told(tmp_path: Path):
    config = TrainConfig(steps=60, validate_every=10, stop_when_trained=True)
    run = Generator(tmp_path).run(config, Truth({"x": falls(1e-2, 4, 30)}, trains(20, over=10)))
    values = fig3ab.read_log(run)["x"].to_numpy()
    assert run.outcome is RunOutcome.TRAINED
    assert run.steps == 30
    assert values[0] == pytest.approx(1, rel=0.4)
    assert values[10:25].max() < 0.02
    assert Generator(tmp_path / "b").run(config, Truth({}, STUCK)).steps == 60
    assert np.isnan(Generator(tmp_path / "c").run(config, Truth({}, DIVERGES)).validation_loss)
