"""Verdicts on today's streams from made-up signals whose law is known: true, false, not decided."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from numerics.evidence import modern_signals
from numerics.evidence.modern_signals import ROWS, SignalRow, grown, last, log_grown, per_layer
from numerics.evidence.stack_signals import Signals
from theory.claims import Context

CONTEXT = Context(seed=0)
IDS = [row.claim for row in ROWS]
LNS = next(row.scheme for row in ROWS if row.claim == "modern.lns-stream")


def made(statistic, value: float) -> Signals:
    """Signals in which a statistic has a value."""
    one = np.ones(2)
    match statistic:
        case modern_signals.last:
            return Signals(np.array([1.0, value]), one, one, one)
        case modern_signals.grown:
            return Signals(one, one, np.array([value, 1.0]), one)
        case modern_signals.log_grown:
            return Signals(one, one, np.array([np.exp(value), 1.0]), one)
    assert statistic is per_layer
    return Signals(np.array([1.0, np.exp(2 * value)]), one, one, one)


@pytest.mark.parametrize("statistic", [last, grown, log_grown, per_layer])
def test_made_up_signals_have_the_value_asked_for(statistic):
    assert statistic(made(statistic, 0.7)) == pytest.approx(0.7)


def inside(row: SignalRow) -> float:
    """A power that the claim states."""
    ends = [end for end in (row.low, row.high) if abs(end) < np.inf]
    return (row.low + row.high) / 2 if len(ends) == 2 else row.high - 0.4


def outside(row: SignalRow) -> float:
    return row.high + 0.6


def decided(monkeypatch, row: SignalRow, own: float, other: float, noise: float = 0.01):
    """The observation where the row's scheme has one power and its control another."""

    def signals(scheme, depth, seed, change=None):
        is_own = (scheme, change) == (row.scheme, row.change)
        source = np.random.default_rng([seed, depth, is_own])
        power = own if is_own else other
        return made(row.statistic, 0.5 * depth**power * np.exp(noise * source.standard_normal()))

    monkeypatch.setattr(modern_signals, "signals", signals)
    monkeypatch.setattr(modern_signals, "ROWS", (row,))
    (item,) = modern_signals.exponents(CONTEXT)
    assert item.claim == row.claim
    return item


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_law_inside_the_bounds_is_true_and_one_outside_false(row, monkeypatch):
    good, bad = inside(row), outside(row)
    told = good if row.accepted else bad
    true = decided(monkeypatch, row, good, told)
    assert (true.passed, true.admissible) == (True, True)
    false = decided(monkeypatch, row, bad, told)
    assert (false.passed, false.admissible) == (False, True)
    assert false.value == pytest.approx(bad, abs=0.05)
    if row.low > -np.inf:
        assert decided(monkeypatch, row, row.low - 0.6, told).passed is False


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_law_on_the_bound_is_not_decided(row, monkeypatch):
    told = inside(row) if row.accepted else outside(row)
    item = decided(monkeypatch, row, row.high, told, noise=0.1)
    assert (item.passed, item.admissible) == (None, False)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_control_that_does_not_differ_is_no_control(row, monkeypatch):
    told = outside(row) if row.accepted else inside(row)
    item = decided(monkeypatch, row, inside(row), told)
    assert (item.passed, item.admissible) == (True, False)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_control_that_cannot_be_decided_is_no_control(row, monkeypatch):
    item = decided(monkeypatch, replace(row, seeds=3), inside(row), row.high, noise=0.5)
    assert not item.admissible


def profiled(monkeypatch, ratio: float, noise: float = 0.02):
    """Both claims where late gradients and branches are ``ratio`` of Pre-LN's."""

    def signals(scheme, _depth, seed):
        source = np.random.default_rng([seed, scheme == LNS])
        late = (ratio if scheme == LNS else 1.0) * np.exp(noise * source.standard_normal())
        rising = np.array([1.0, 1.0, 1.0, late])
        return Signals(np.ones(5), rising**2, np.ones(5), rising)

    monkeypatch.setattr(modern_signals, "signals", signals)
    return list(modern_signals.profiles(CONTEXT))


@pytest.mark.parametrize(("ratio", "passed"), [(2.0, True), (0.5, False), (1.0, None)])
def test_profiles_are_compared_at_equal_seeds(ratio, passed, monkeypatch):
    found = profiled(monkeypatch, ratio)
    assert [item.claim for item in found] == ["modern.lns-gradient", "modern.lns-identity"]
    for item in found:
        assert item.passed is passed
        # Exchanged, the two must be accepted: so a claim that is true has no admissible control.
        assert item.admissible is (passed is False)


def logits_of(monkeypatch, t5: float, undivided: float, normed: float, plain: float):
    """Sizes where T5's logits have these variances and enlarged ones these largest values."""

    def first_logits(scheme, seed, change=None):
        source = torch.Generator().manual_seed(seed)
        if scheme == "t5":
            size = (t5 if change is None else undivided) ** 0.5
            return size * torch.randn(4000, generator=source, dtype=torch.float64)
        return torch.tensor([normed if scheme == "zero-out" else plain])

    monkeypatch.setattr(modern_signals, "first_logits", first_logits)
    return {item.claim: item for item in modern_signals.sizes(CONTEXT)}


def test_sizes_of_logits_are_decided_by_interval_and_bound(monkeypatch):
    margin = modern_signals.tolerance("baseline-exponent")
    good = logits_of(monkeypatch, 1.0, 16.0, 4.0, 400.0)
    assert {claim: item.passed for claim, item in good.items()} == {
        "modern.t5-logits": True,
        "modern.qk-norm-logits": True,
    }
    assert all(item.admissible for item in good.values())
    bad = logits_of(monkeypatch, 2.0, 16.0, 4.1, 400.0)
    assert [item.passed for item in bad.values()] == [False, False]
    assert all(item.admissible for item in bad.values())
    edge = logits_of(monkeypatch, 1.0 + margin, 16.0, 4.0, 3.0)
    assert edge["modern.t5-logits"].passed is None
    assert not edge["modern.qk-norm-logits"].admissible
    same = logits_of(monkeypatch, 1.0, 1.0, 4.0, 400.0)
    assert not same["modern.t5-logits"].admissible
