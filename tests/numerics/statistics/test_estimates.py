"""Intervals of means, and decisions in three values."""

import numpy as np
import pytest

from numerics.statistics.estimates import (
    Estimate,
    all_of,
    all_rejected,
    joint_confidence,
    mean_estimate,
)
from theory.errors import InputError


def test_the_interval_of_a_mean_covers_95_percent():
    rng = np.random.default_rng(0)
    found = [mean_estimate(rng.normal(2.0, 1.0, 4).tolist()) for _ in range(1000)]
    assert 0.935 <= sum(one.low <= 2.0 <= one.high for one in found) / 1000 <= 0.965


def test_a_decision_needs_the_whole_interval():
    found = Estimate(0.25, 0.1, 0.4)
    assert found.inside(0.2, 0.3) is None
    assert found.inside(0.0, 0.5) is True
    assert found.inside(0.5, 0.6) is False
    assert found.within(0.25, 0.15) is True
    assert Estimate(float("nan"), float("nan"), float("nan")).inside(0.0, 1.0) is None


@pytest.mark.parametrize("target", [-1.0, 0.0, 2.5])
def test_the_margin_is_what_is_said(target):
    found = Estimate(target + 0.25, target + 0.125, target + 0.375)
    assert found.within(target, 0.375) is True
    assert found.within(target, 0.37) is None
    assert found.within(target, 0.2) is None
    assert found.within(target, 0.12) is False


def test_draws_that_are_not_finite_decide_nothing():
    assert mean_estimate([1.0, float("inf"), 1.0]).inside(0.0, 2.0) is None
    with pytest.raises(InputError, match="at least 2 draws, got 1"):
        mean_estimate([1.0])


def test_one_refusal_decides_and_one_doubt_leaves_it_open():
    assert all_of([True, False, None]) is False
    assert all_of([True, None]) is None
    assert all_of(iter([True, True])) is True
    assert all_of([]) is None


@pytest.mark.parametrize("decisions", [[None], [False, None], [True], [False, True], []])
def test_a_doubt_rejects_nothing(decisions):
    assert not all_rejected(decisions)
    assert all_rejected([False, False])


def test_levels_multiply():
    assert joint_confidence(1) == 0.95
    assert joint_confidence(9) ** 9 == pytest.approx(0.95)
    with pytest.raises(InputError, match="at least 1 interval, got 0"):
        joint_confidence(0)
