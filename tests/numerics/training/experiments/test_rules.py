"""Every rule on made-up runs: it must be able to say each of its answers."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from numerics.training.config import TrainConfig
from numerics.training.evaluate import COLUMNS
from numerics.training.experiments import (
    baselines,
    coherence,
    fig4a,
    fig4b,
    fig4c,
    phase,
    power,
    tables,
    warmup,
)
from numerics.training.experiments.experiment import ExperimentAnswer
from numerics.training.experiments.selection import (
    exchanged,
    geometric_interval,
    impostors,
    mean_interval,
)
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import LOG, RecordedRun

TRAINED, STUCK, DIVERGED = RunOutcome.TRAINED, RunOutcome.STUCK, RunOutcome.DIVERGED
YES, NO, OPEN = (
    ExperimentAnswer.REPRODUCED,
    ExperimentAnswer.NOT_REPRODUCED,
    ExperimentAnswer.UNDECIDED,
)


def run_of(
    config: TrainConfig,
    outcome: RunOutcome = TRAINED,
    loss: float = 3.0,
    path: Path | None = None,
    bleu: float | None = None,
) -> RecordedRun:
    """A recorded run of a config."""
    return RecordedRun(
        path=path or Path(f"{config.run_name}-{config.lr}-{config.optimizer}-{config.warmup}"),
        config=config.stored(),
        data={},
        provenance={},
        outcome=outcome,
        reason="",
        validation_loss=loss,
        interval=(loss - 0.05, loss + 0.05),
        unigram_loss=4.5,
        gain_interval=(1.0, 2.0),
        uniform_loss=6.0,
        steps=1,
        tokens_per_second=1.0,
        dropped=0,
        bleu={} if bleu is None else {"validation": bleu},
    )


def logged(path: Path, **columns: list[float]) -> Path:
    """A folder with a log of these columns."""
    path.mkdir(parents=True)
    pl.DataFrame(columns).write_parquet(path / LOG)
    return path


def test_cost_is_told_where_seeds_leave_it_open(tmp_path):
    """Six noisy seeds: the line says how many would do, and that many do."""
    runs = []
    ends = (0.1, -0.1, 0.05, -0.05, 0.08, -0.08)
    for config in fig4a.configs((3, 6, 12), range(6)):
        end = 2.0 - (ends[config.seed] if config.layers == 12 else 0.0)
        path = logged(tmp_path / f"{len(runs)}", validation_loss=[3.0, end])
        runs.append(run_of(config, loss=end, path=path))
    found = fig4a.decide(runs)
    assert found.answer is OPEN
    seeds = power.seeds_needed(power.deviation(ends), fig4a.MARGIN)
    assert f"0.02 nats wide, which decides wherever it lies, takes {seeds}" in found.line
    wide = 2 * stats.t.ppf(0.975, seeds - 1) * power.deviation(ends) / seeds**0.5
    less = 2 * stats.t.ppf(0.975, seeds - 2) * power.deviation(ends) / (seeds - 1) ** 0.5
    assert wide <= fig4a.MARGIN < less


@pytest.mark.parametrize("middle", [-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5])
def test_as_many_seeds_as_are_told_decide_wherever_the_middle_is(middle, tmp_path):
    """An interval as narrow as the margin cannot hold both its ends; one twice as wide can."""
    spread = 0.01
    seeds = power.seeds_needed(spread, fig4a.MARGIN)
    quantiles = stats.norm.ppf((np.arange(seeds) + 0.5) / seeds)
    ends = middle * fig4a.MARGIN + spread * quantiles / np.std(quantiles, ddof=1)
    runs = []
    for config in fig4a.configs((3, 6, 12), range(seeds)):
        end = 2.0 - (float(ends[config.seed]) if config.layers == 12 else 0.0)
        path = logged(tmp_path / f"{len(runs)}", validation_loss=[end, end])
        runs.append(run_of(config, loss=end, path=path))
    assert fig4a.decide(runs).answer is not OPEN


@pytest.mark.parametrize(
    ("large", "control", "answer"),
    [(TRAINED, STUCK, YES), (DIVERGED, STUCK, NO), (STUCK, STUCK, OPEN), (TRAINED, TRAINED, OPEN)],
)
def test_fig4c(large, control, answer):
    runs = [
        run_of(c, control if c.scheme == fig4c.CONTROL else large if c.tokens == 512 else TRAINED)
        for c in fig4c.configs(2, 64, (0, 1))
    ]
    assert fig4c.decide(runs).answer is answer


@pytest.mark.parametrize(
    ("squared", "control", "answer"),
    [(TRAINED, DIVERGED, YES), (DIVERGED, DIVERGED, NO), (STUCK, DIVERGED, OPEN)],
)
def test_squared_scales(squared, control, answer):
    found = {fig4b.SQUARED: squared, fig4b.CONTROL: control}
    configs = fig4b.configs((6, 50, 200), 50) + fig4b.variants()
    runs = [run_of(config, found.get(config.scheme, TRAINED)) for config in configs]
    assert fig4b.squared_trains(runs).answer is answer


def rated(largest: dict[int, float]) -> list[RecordedRun]:
    """Runs over rates, trained up to the largest of their depth."""
    configs = phase.configs(("tfixup",), tuple(largest), (3e-4, 1e-3, 3e-3, 1e-2))
    return [run_of(c, TRAINED if c.lr <= largest[c.layers] else DIVERGED) for c in configs]


@pytest.mark.parametrize(
    ("largest", "answer"),
    [
        ({2: 1e-2, 4: 1e-2, 16: 1e-2, 48: 1e-2}, YES),
        ({2: 1e-2, 4: 1e-2, 8: 3e-3, 16: 3e-3, 24: 1e-3, 48: 1e-3}, NO),
        ({2: 1e-2, 4: 1e-2, 16: 0.0}, NO),
        ({2: 0.0, 4: 0.0, 16: 0.0}, OPEN),
        ({2: 1e-2, 4: 3e-3, 16: 1e-2, 48: 3e-3}, OPEN),
        ({2: 1e-2, 4: 3e-3}, OPEN),
    ],
)
def test_largest_rates(largest, answer):
    found = phase.bounded_at_any_depth(rated(largest), "tfixup")
    assert found.answer is answer, found.line


def warmup_runs(tmp_path: Path, **of: tuple[RunOutcome, float, float]) -> list[RecordedRun]:
    """Runs of the warm-up experiment: outcome, loss and balance by name, at two depths."""
    runs = []
    for config in warmup.configs((3, 8), 20, (0, 1)):
        name = config.optimizer if config.optimizer == "radam" else config.scheme.replace("-", "_")
        name += "_warm" if config.warmup else ""
        outcome, loss, ratio = of.get(f"{name}_{config.layers}", of.get(name, (TRAINED, 2.0, 1.0)))
        uneven = ratio * 1.01 ** len(runs)
        path = logged(
            tmp_path / f"{len(runs)}", gradient_encoder=[uneven] * 5, gradient_decoder=[1.0] * 5
        )
        runs.append(run_of(config, outcome, loss + 0.01 * config.seed, path))
    return runs


FAILS = (STUCK, 4.4, 1.0)


def test_post_ln_needs_warmup_from_some_depth_on(tmp_path):
    never = warmup_runs(tmp_path / "never")
    always = warmup_runs(tmp_path / "always", post_ln=FAILS)
    deep = warmup_runs(tmp_path / "deep", post_ln_8=FAILS)
    hopeless = warmup_runs(tmp_path / "hopeless", post_ln=FAILS, post_ln_warm=FAILS)
    rules = (warmup.needs_warmup, warmup.needs_warmup_when_deep)
    answers = [[rule(runs).answer for rule in rules] for runs in (never, always, deep, hopeless)]
    assert answers == [[NO, NO], [YES, YES], [OPEN, YES], [OPEN, OPEN]]
    assert warmup.depth_text(deep) == "from some depth on, at the rate 0.001: at 8 + 8 layers"
    assert warmup.depth_text(never) == ""
    assert "RAdam without warm-up trained" in warmup.decide(deep).line


@pytest.mark.parametrize(
    ("own", "answer"),
    [
        ((TRAINED, 2.0, 1.0), YES),
        ((TRAINED, 2.5, 1.0), NO),
        ((DIVERGED, 9.0, 1.0), NO),
        ((STUCK, 2.0, 1.0), OPEN),
    ],
)
def test_pre_ln_comparable(tmp_path, own, answer):
    assert warmup.pre_ln_comparable(warmup_runs(tmp_path, pre_ln=own)).answer is answer


@pytest.mark.parametrize(
    ("own", "cold", "answer"),
    [
        ((TRAINED, 1.5, 1.0), FAILS, YES),
        ((TRAINED, 1.5, 1.0), (TRAINED, 2.0, 1.0), OPEN),
        ((TRAINED, 2.5, 1.0), FAILS, NO),
        ((DIVERGED, 9.0, 1.0), FAILS, NO),
    ],
)
def test_admin_trains(tmp_path, own, cold, answer):
    runs = warmup_runs(tmp_path, admin=own, post_ln=cold)
    assert warmup.admin_trains(runs).answer is answer


def test_balance_that_separates_is_a_cause(tmp_path):
    rule = warmup.gradients_not_the_cause
    alike = warmup_runs(tmp_path / "a", post_ln=FAILS)
    apart = warmup_runs(tmp_path / "b", post_ln=(STUCK, 4.4, 100.0))
    assert rule(alike).answer is YES
    assert rule(apart).answer is NO
    assert rule(warmup_runs(tmp_path / "c")).answer is OPEN
    unequal = warmup_runs(tmp_path / "d", post_ln=FAILS, pre_ln=(TRAINED, 2.0, 50.0))
    assert rule(unequal).answer is YES
    assert rule(warmup.dealt_by_balance(apart)).answer is NO


@pytest.mark.parametrize(
    ("own", "answer"),
    [
        ({6: TRAINED, 12: TRAINED}, YES),
        ({6: TRAINED, 12: STUCK}, NO),
        ({6: TRAINED, 12: DIVERGED}, NO),
        ({6: TRAINED, 12: TRAINED, 50: STUCK}, YES),
    ],
)
def test_baselines(own, answer):
    """At 50 layers T-Fixup itself is stuck: nobody is blamed for that depth."""
    runs = []
    for config in baselines.configs((6, 12, 50)):
        outcome = own.get(config.layers, TRAINED) if config.scheme == "lri" else TRAINED
        if config.scheme == "tfixup" and config.layers == 50:
            outcome = STUCK
        runs.append(run_of(config, DIVERGED if config.scheme == "xavier" else outcome))
    assert baselines.trains(runs, "lri").answer is answer
    assert baselines.decide(runs).answer is answer
    assert baselines.trains([], "lri").answer is OPEN


def test_a_scheme_that_is_not_seen_to_train_is_told_what_fails_would_cost():
    """Six minutes at one rate, one width and one seed: 3 · 2 · 3 times as much in all."""
    runs = [
        replace(run_of(config, STUCK if config.scheme == "lri" else TRAINED), provenance=SECONDS)
        for config in baselines.configs((6, 12, 50))
    ]
    found = baselines.trains(runs, "lri")
    assert found.answer is NO
    assert found.neighbourhood == ""
    assert "3 rates, 2 widths, 3 seeds" in found.line
    assert "here there are 1, 1, 1; the rest would take at least 102 minutes" in found.line


SECONDS = {"seconds": 60.0}


def table_runs(tmp_path: Path, **matches: int) -> list[RecordedRun]:
    """Runs of the tables with so many matched words of ten in every sentence."""
    rng = np.random.default_rng(0)
    runs = []
    names = ("radam", "rezero", *tables.SEEDS, "admin", "deepnorm")
    for config in tables.configs({6: 1, 12: 1}, 1, {name: {12: 2} for name in names}):
        name = "radam" if config.optimizer == "radam" else config.scheme.replace("-", "_")
        words = np.clip(matches.get(name, 5) + rng.integers(-1, 2, 240), 0, 10)
        counts = np.stack(
            [np.full(240, 10), np.full(240, 10)]
            + [np.maximum(words - n, 0) for n in range(4)]
            + [np.full(240, 10 - n) for n in range(4)],
            axis=1,
        )
        path = tmp_path / f"{len(runs)}"
        path.mkdir(parents=True)
        pl.DataFrame(counts, schema=list(COLUMNS)).write_parquet(path / "bleu-validation.parquet")
        runs.append(run_of(config, path=path, bleu=float(words.mean())))
    return runs


def test_tables_can_fail(tmp_path):
    def rule(runs, *names):
        return tables.at_least(runs, names or None, samples=60).answer

    better = table_runs(tmp_path / "a", tfixup=8)
    worse = table_runs(tmp_path / "b", tfixup=8, lri=10)
    noisy = table_runs(tmp_path / "c")
    assert rule(better) is YES
    assert rule(worse) is NO
    assert (rule(worse, "pre-ln", "dlcl-pre"), rule(worse, "ds-init", "lri")) == (YES, NO)
    assert rule(noisy) is OPEN
    assert rule(tables.weakest_in_its_place(better)) is NO
    assert rule([run for run in better if run.config["scheme"] == "tfixup"]) is OPEN
    found = list(tables.comparisons(better, samples=5))
    assert len(found) == 10 * 2
    assert {one.layers for one in found if one.seeds == 2} == {12}


def test_tables_take_seeds_into_account(tmp_path):
    close = table_runs(tmp_path / "close", tfixup=8, lri=9)
    assert tables.at_least(close, samples=60).answer is NO
    # T-Fixup's second seed does better than LRI: seeds disagree by more than LRI leads.
    better = table_runs(tmp_path / "better", tfixup=10)
    lucky = [two if _second_own(two) else one for one, two in zip(close, better, strict=True)]
    assert tables.at_least(lucky, samples=60).answer is OPEN
    single = [run for run in close if not run.config["seed"]]
    assert tables.at_least(single, samples=60).answer is OPEN


def _second_own(run: RecordedRun) -> bool:
    return run.config["scheme"] == "tfixup" and bool(run.config["seed"])


def coherent_runs(tmp_path: Path, rho: float, growth: float) -> list[RecordedRun]:
    """Runs at three depths: mean coherence ρ, and growth as that power of L."""
    rng = np.random.default_rng(0)
    runs = []
    for config in coherence.configs((6, 24, 48), (0, 1)):
        columns: dict[str, list[float]] = {}
        for stack, blocks in coherence.BLOCKS.items():
            count = blocks * config.layers
            columns |= {
                f"coherence_{stack}": [0.0, rho + rng.normal() / 100],
                f"skip_growth_{stack}": [1.0, 1.4 * count**growth * math.exp(rng.normal() / 50)],
                f"strength_{stack}": [(3 * count) ** -0.5] * 2,
            }
        runs.append(run_of(config, path=logged(tmp_path / f"{len(runs)}", **columns)))
    return runs


@pytest.mark.parametrize(
    ("rho", "growth", "answer"), [(0.0, 0.0, YES), (0.9, 1.0, YES), (0.0, 1.0, NO), (0.9, 0.0, NO)]
)
def test_coherence(tmp_path, rho, growth, answer):
    runs = coherent_runs(tmp_path, rho, growth)
    assert coherence.decide(runs).answer is answer
    if answer is YES and not rho:
        assert coherence.decide(runs, growth_of=coherence.aligned_growth).answer is NO


def test_intervals_over_seeds():
    mean, (low, high) = mean_interval([1.0, 3.0])
    assert (mean, low, high) == pytest.approx((2.0, 2 - 12.706, 2 + 12.706), rel=1e-4)
    assert mean_interval([2.0]) == (2.0, (-math.inf, math.inf))
    assert math.isnan(mean_interval([])[0])
    assert geometric_interval([0.0, 1.0])[0] == 0.0
    assert geometric_interval([2.0]) == (pytest.approx(2.0), (0.0, math.inf))


def test_false_names_leave_the_runs_alone():
    one, other = run_of(TrainConfig(layers=3)), run_of(TrainConfig(layers=6))
    swapped = exchanged([one, other], "layers", {3: 6, 6: 3})
    assert [run.config["layers"] for run in swapped] == [6, 3]
    assert one.config["layers"] == 3
    posing = impostors([one, other], [one], [other], layers=3)
    assert [(run.path, run.config["layers"]) for run in posing] == [
        (other.path, 6),
        (other.path, 3),
    ]
