"""Verdicts on today's updates from made-up rows whose law is known: true, false, not decided."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from numerics.evidence import modern_updates
from numerics.evidence.modern_updates import DEPTHS, ROWS, UpdateRow
from numerics.evidence.recorded_sweep import SweepRows
from numerics.statistics.tolerances import tolerance
from theory.claims import Context

IDS = [f"{row.claim}-{row.optimizer}-{row.reading.value}" for row in ROWS]
MARGIN = tolerance("stack-exponent")


def rows_of(powers, row: UpdateRow, noise: float, seeds: int) -> pl.DataFrame:
    """Rows of a sweep in which schemes and parts have given powers of N; others have N^0.3."""
    found = []
    for scheme in row.schemes:
        for part in {row.part, row.control_part or row.part}:
            power = powers.get((scheme, part), 0.3)
            for depth in DEPTHS:
                for seed in range(seeds):
                    source = np.random.default_rng([depth, seed, len(scheme), len(part)])
                    value = depth**power * np.exp(noise * source.standard_normal())
                    found.append((scheme, row.optimizer, part, "update", depth, seed, value))
    columns = ["scheme", "optimizer", "part", "quantity", "n_decoder", "seed", "value"]
    return pl.DataFrame(found, schema=columns, orient="row")


def decided(
    monkeypatch, row: UpdateRow, own: float, other: float, *, noise=0.02, deviation=None, seeds=6
):
    """The observation where the row's exponent is ``own`` and its control's ``other``."""
    base = 0.3 if row.against else 0.0
    powers = {
        (row.control, row.control_part or row.part): base + other,
        (row.scheme, row.part): base + own,
    }
    rows = rows_of(powers, row, noise, seeds)
    monkeypatch.setattr(modern_updates, "ROWS", (row,))
    monkeypatch.setattr(
        modern_updates, "recorded_or_fresh", lambda *_: SweepRows(rows, "made up", deviation)
    )
    (item,) = modern_updates.updates(Context(seed=0))
    assert (item.claim, item.reading, item.source) == (row.claim, row.reading, "made up")
    return item


def told_apart(row: UpdateRow) -> float:
    """The power of a control that the check must call what the row says."""
    return 0.0 if row.accepted else 0.8


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_flat_law_is_true_and_a_growing_or_a_shrinking_one_false(row, monkeypatch):
    true = decided(monkeypatch, row, 0.0, told_apart(row))
    assert (true.passed, true.admissible) == (True, True)
    for power in (0.6, -0.6):
        false = decided(monkeypatch, row, power, told_apart(row))
        assert (false.passed, false.admissible) == (False, True)
        assert false.value == pytest.approx(power, abs=0.05)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_law_on_the_margin_is_not_decided(row, monkeypatch):
    item = decided(monkeypatch, row, MARGIN, told_apart(row), noise=0.1)
    assert (item.passed, item.admissible) == (None, False)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_control_that_does_not_differ_is_no_control(row, monkeypatch):
    item = decided(monkeypatch, row, 0.0, 0.8 if row.accepted else 0.0)
    assert (item.passed, item.admissible) == (True, False)


@pytest.mark.parametrize("row", ROWS[:2], ids=IDS[:2])
def test_a_record_that_does_not_come_out_again_decides_nothing(row, monkeypatch):
    near = tolerance("repeated-measurement") / 2
    assert decided(monkeypatch, row, 0.0, told_apart(row), deviation=near).passed is True
    item = decided(monkeypatch, row, 0.0, told_apart(row), deviation=1.0)
    assert (item.passed, item.admissible) == (None, False)


def test_a_ratio_is_taken_at_equal_depth_and_seed():
    """Noise that both schemes share leaves no trace in the ratio."""
    row = next(row for row in ROWS if row.against and row.scheme != row.control)
    shared = rows_of({}, replace(row, control=row.scheme), noise=0.0, seeds=4)
    source = np.random.default_rng(0)
    noise = {(n, s): np.exp(source.standard_normal()) for n in DEPTHS for s in range(4)}
    factors = [noise[pair] for pair in zip(shared["n_decoder"], shared["seed"], strict=True)]
    noisy = shared.with_columns(value=pl.col("value") * pl.Series(factors))
    alone = modern_updates.exponent(noisy, row.scheme, row.optimizer, row.part)
    ratio = modern_updates.exponent(noisy, row.scheme, row.optimizer, row.part, row.against)
    assert ratio.interval == pytest.approx((0.0, 0.0), abs=1e-9)
    assert alone.interval[1] - alone.interval[0] > 0.5
