import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics.training.config import TrainConfig
from numerics.training.schedules import learning_rate


def rates(steps: int, **settings) -> list[float]:
    config = TrainConfig(**settings)
    return [learning_rate(config, taken) for taken in range(steps)]


def test_constant_without_and_with_warmup():
    assert rates(3, lr=0.5) == [0.5, 0.5, 0.5]
    assert rates(6, lr=0.5, warmup=4) == [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]


@given(st.integers(1, 50), st.integers(1, 200))
def test_inverse_root_is_vaswanis_formula(warmup, step):
    """Vaswani et al.: c · min(t^(-1/2), t w^(-3/2)), with c = η √w its peak is η at t = w."""
    config = TrainConfig(lr=1.0, warmup=warmup, schedule="inverse-root")
    theirs = math.sqrt(warmup) * min(step**-0.5, step * warmup**-1.5)
    assert learning_rate(config, step - 1) == pytest.approx(theirs, rel=1e-12)


def test_without_warmup_the_rise_alone_is_gone():
    with_rise = rates(60, lr=1.0, schedule="inverse-root", warmup=20)
    without = rates(60, lr=1.0, schedule="inverse-root", decay_steps=20)
    assert with_rise[20:] == without[20:]
    assert without[:20] == [1.0] * 20
    assert with_rise[0] == 0.05


def test_tfixups_own_schedule():
    """Official code: lr₀ √(4000/(4000 + t)) after t updates."""
    found = rates(12_001, lr=5e-4, schedule="tfixup")
    assert found[0] == 5e-4
    assert found[4_000] == pytest.approx(5e-4 / math.sqrt(2))
    assert found[12_000] == pytest.approx(2.5e-4)
    assert found == sorted(found, reverse=True)
    assert rates(1, lr=1.0, schedule="tfixup", warmup=10)[0] == 0.1
