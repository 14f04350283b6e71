"""Which runs a rule looks at, what they say together, and what a decision would cost."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from numerics.training.config import TrainConfig
from numerics.training.experiments import plateau, power, selection
from numerics.training.outcome import RunOutcome
from numerics.training.recorded import LOG, RecordedRun
from tests.numerics.training.experiments.test_rules import run_of

TRAINED, STUCK, DIVERGED = RunOutcome.TRAINED, RunOutcome.STUCK, RunOutcome.DIVERGED


def runs_at(rates: list[float], widths: list[int], seeds: int) -> list[RecordedRun]:
    return [
        run_of(TrainConfig(lr=rate, d_model=width, seed=seed))
        for rate in rates
        for width in widths
        for seed in range(seeds)
    ]


def test_runs_are_chosen_by_all_their_settings() -> None:
    runs = runs_at([1e-3, 2e-3], [64, 128], 2)
    found = selection.matching(runs, lr=2e-3, seed=1)
    assert [run.config["d_model"] for run in found] == [64, 128]
    assert selection.matching(runs) == runs
    assert selection.values_of(runs[::-1], "d_model") == [64, 128]


def test_a_range_in_words() -> None:
    words = selection.in_words
    assert words({"layers": [3, 5, 6]}) == "N 3, 5, 6"
    assert words({"layers": [3, 4]}) == "N 3, 4"
    assert words({"layers": [3, 4, 5], "seed": [0]}) == "N 3 to 5, seeds 0"
    assert words({"lr": [0.001, 0.002, 0.003]}) == "rate 0.001, 0.002, 0.003"
    assert words({"lr": [1.0, 2.0, 3.0]}) == "rate 1, 2, 3"
    assert words({"tokens": [1, 2, 4, 8, 16, 32]}) == "tokens per step 1, 2, 4, 8, 16, 32"
    assert words({"steps": [1, 2, 4, 8, 16, 32, 64]}) == "steps 1 to 64"
    assert words({"other": [1], "d_model": [64]}) == "width 64"
    told = selection.range_of(runs_at([0.0012345], [64], 1))
    assert "rate 0.00123" in told
    assert "width 64" in told


@pytest.mark.parametrize(
    ("rates", "widths", "seeds", "enough"),
    [
        ([1e-3, 2e-3, 4e-3], [64, 128], 3, True),
        ([1e-3, 2e-3], [64, 128], 3, False),
        ([1e-3, 1.5e-3, 2e-3, 3e-3], [64, 128], 3, False),
        ([1e-3, 1.9e-3, 4e-3], [64, 128], 3, False),
        ([1e-3, 1.5e-3, 2e-3, 3e-3, 4e-3], [64, 128], 3, True),
        ([1e-3, 2e-3, 4e-3, 8e-3], [64, 128], 4, True),
        ([1e-3, 2e-3, 4e-3], [64], 3, False),
        ([1e-3, 2e-3, 4e-3], [64, 128], 2, False),
    ],
)
def test_a_neighbourhood_is_three_rates_two_widths_three_seeds(
    rates: list[float], widths: list[int], seeds: int, enough: bool
) -> None:
    runs = runs_at(rates, widths, seeds)
    assert selection.neighbourhood_of(runs) == (selection.range_of(runs) if enough else "")


@pytest.mark.parametrize(
    ("outcomes", "every", "none", "gone"),
    [
        ([], False, False, False),
        ([TRAINED], True, False, False),
        ([TRAINED, STUCK], False, False, False),
        ([STUCK, DIVERGED], False, True, True),
        ([TRAINED, DIVERGED], False, False, True),
    ],
)
def test_outcomes_together(outcomes: list[RunOutcome], every: bool, none: bool, gone: bool) -> None:
    runs = [run_of(TrainConfig(seed=n), outcome, 2.0 + n) for n, outcome in enumerate(outcomes)]
    assert selection.all_trained(runs) is every
    assert selection.none_trained(runs) is none
    assert selection.diverged(runs) is gone
    told = ", ".join(f"{outcome} ({2.0 + n:.2f})" for n, outcome in enumerate(outcomes))
    assert selection.told(runs) == (told or "no run")


def test_impostors_take_the_place_and_the_name_of_others() -> None:
    old, new, other = (run_of(TrainConfig(layers=n)) for n in (1, 2, 3))
    found = selection.impostors([old, new, other], [old], [new], layers=1, seed=7)
    assert [(r.config["layers"], r.config["seed"]) for r in found] == [(2, 0), (3, 0), (1, 7)]
    assert [r.path for r in found] == [new.path, other.path, new.path]
    renamed = selection.exchanged([old, new, other], "layers", {1: 2, 2: 1})
    assert [r.config["layers"] for r in renamed] == [2, 1, 3]
    assert renamed[2] is other


def test_intervals_are_students() -> None:
    values = [1.0, 2.0, 4.0, 8.0]
    mean, (low, high) = selection.mean_interval(values)
    half = stats.t.ppf(0.975, 3) * np.std(values, ddof=1) / 2
    assert (mean, low, high) == pytest.approx((3.75, 3.75 - half, 3.75 + half))
    logs = np.log(values)
    half = stats.t.ppf(0.975, 3) * np.std(logs, ddof=1) / 2
    mean, (low, high) = selection.geometric_interval(values)
    assert mean == pytest.approx(8**0.5)
    assert (low, high) == pytest.approx((8**0.5 * math.exp(-half), 8**0.5 * math.exp(half)))
    mean, ends = selection.geometric_interval([])
    assert math.isnan(mean)
    assert ends == (0.0, math.inf)
    assert selection.geometric_interval([-1.0, 2.0]) == (0.0, (0.0, math.inf))
    assert selection.geometric_interval([1e-300, 1e300])[1][1] == math.inf
    assert selection.mean_interval([5.0, 5.0]) == (5.0, (5.0, 5.0))


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("ratio", [0.1, 1.0, 3.0])
def test_the_least_number_of_seeds(ratio: float, level: float) -> None:
    def width(seeds: int) -> float:
        return 2 * float(stats.t.ppf((1 + level) / 2, seeds - 1)) * ratio / math.sqrt(seeds)

    wanted = next(n for n in range(2, 1000) if width(n) <= 1.0)
    assert power.seeds_needed(ratio, 1.0, level=level) == wanted
    assert power.seeds_needed(0.02 * ratio, 0.02, level=level) == wanted


def test_deviations_minutes_and_words() -> None:
    assert power.deviation([1.0, 2.0, 4.0]) == pytest.approx(np.std([1, 2, 4], ddof=1))
    assert (power.deviation([3.0]), power.deviation([])) == (0, 0)
    runs = [replace(run_of(TrainConfig()), provenance={"seconds": s}) for s in (30.0, 60.0)]
    assert power.minutes([*runs, run_of(TrainConfig())]) == 1.5
    seeds = power.seeds_needed(0.1, 0.02, level=0.8)
    told = power.cost_told(0.1, 0.02, 2.5, "nats", 0.8)
    assert "differ by 0.1 nats" in told
    assert "an interval 0.02 nats wide" in told
    assert f"takes {seeds} of them: about {seeds * 2.5:,.0f} minutes of one core" in told


def logged(folder: Path, losses: dict[int, float], **own: Any) -> RecordedRun:
    """A run with validation losses at some of its steps; it counts as trained below 4.05."""
    folder.mkdir(parents=True)
    last = max(losses)
    settings: dict[str, Any] = {"seed": own.pop("seed", 0), "stop_when_trained": False}
    settings |= {name: own.pop(name) for name in ("stop_when_trained",) if name in own}
    rows = range(1, last + 1)
    pl.DataFrame(
        {"step": [*rows], "loss": [5.0] * last, "validation_loss": [losses.get(n) for n in rows]}
    ).write_parquet(folder / LOG)
    outcome = own.get("outcome", TRAINED if losses[last] < 4.0 else STUCK)
    run = run_of(TrainConfig(**settings), outcome, losses[last], path=folder)
    return replace(run, steps=last)


def test_the_plateau_ends_at_the_first_validation_that_counts(tmp_path: Path) -> None:
    # The margin is a tenth of the unigram loss 4.5.
    run = logged(tmp_path / "run", {2: 4.06, 4: 4.04, 6: 3.0})
    assert plateau.trained_at(run) == 4
    never = logged(tmp_path / "never", {2: 4.0, 4: 4.4})
    assert plateau.trained_at(never) is None
    stopped = logged(tmp_path / "stopped", {2: 3.9, 5: 3.0}, stop_when_trained=True)
    assert plateau.trained_at(stopped) == 5
    assert plateau.plateau([run, stopped]) == 5
    assert plateau.plateau([run, never]) is None
    assert plateau.plateau([]) is None
    gone = logged(tmp_path / "gone", {3: 9.0}, outcome=DIVERGED)
    assert plateau.steps_told([run, never, gone]) == "step 4, not in 4, diverged at 3"


def test_only_a_run_of_twenty_plateaus_says_no(tmp_path: Path) -> None:
    assert plateau.TIMES == 20
    short = logged(tmp_path / "short", {39: 4.4})
    long = logged(tmp_path / "long", {40: 4.4})
    gone = logged(tmp_path / "gone", {3: 9.0}, outcome=DIVERGED)
    early = logged(tmp_path / "early", {40: 3.0, 50: 3.0})
    tardy = logged(tmp_path / "tardy", {41: 3.0, 50: 3.0})
    outlasts = partial(plateau.outlasts, steps=2)
    assert [outlasts(run) for run in (short, long, gone, early)] == [False, True, True, True]
    assert plateau.recovers([early], 2) is True
    assert plateau.recovers([long, gone], 2) is False
    assert plateau.recovers([long, short], 2) is None
    assert plateau.recovers([early, long], 2) is None
    assert plateau.recovers([tardy], 2) is False
    assert plateau.recovers([], 2) is None


def test_stuck_first_is_by_seed(tmp_path: Path) -> None:
    at = {step: logged(tmp_path / f"{step}", {step: 3.0, 9: 3.0}, seed=1) for step in (2, 4, 6)}
    never = logged(tmp_path / "never", {9: 4.4}, seed=1)
    other = logged(tmp_path / "other", {3: 3.0, 9: 3.0}, seed=2)
    assert plateau.stuck_first([at[6]], [at[4], other])
    assert not plateau.stuck_first([at[4]], [at[4]])
    assert not plateau.stuck_first([at[2], at[6]], [at[4]])
    assert plateau.stuck_first([never], [at[4]])
    assert not plateau.stuck_first([at[6]], [other])
    assert not plateau.stuck_first([at[6]], [never])


def test_rates_agree_or_leave_it_open() -> None:
    assert plateau.agreed([None, True, True]) is True
    assert plateau.agreed([False, None]) is False
    assert plateau.agreed([True, False]) is None
    assert plateau.agreed([None]) is None
