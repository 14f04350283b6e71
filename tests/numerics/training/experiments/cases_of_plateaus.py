"""Known truths for Fig. 3c, RAdam and warm-up: plateaus left early, late or never."""

from collections.abc import Mapping, Sequence

from numerics.training.config import TrainConfig
from numerics.training.experiments import (
    fig3c,
    radam,
    warmup,
)
from numerics.training.experiments.experiment import ExperimentFinding
from numerics.training.experiments.selection import Runs
from tests.numerics.training.experiments.cases import NO, OPEN, YES, Case, Draw, drawn
from tests.numerics.training.experiments.synthetic import (
    DIVERGES,
    STUCK,
    Loss,
    Truth,
    steady,
    trains,
)

LIMIT = {"adam": 5_000, "sgd": 9_000}
Losses = Mapping[str, Loss | Sequence[Loss]]
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


def of_fig3c(runs: Runs) -> ExperimentFinding:
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
SEEDS_DISAGREE = "seeds disagree"
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
    Case(SEEDS_DISAGREE, radam.decide, curves({"radam": (trains(300), trains(300), STUCK)}), OPEN),
]

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
