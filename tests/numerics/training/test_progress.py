"""The bar of a training run shows what was measured, and nothing before there is anything."""

import pytest

from numerics.training.progress import reporter


@pytest.mark.parametrize("steps", [0, 1])
def test_the_bar_shows_a_loss_once_there_is_one(steps, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with reporter(2, "tfixup-6-0", shown=True) as report:
        for step in range(1, steps + 1):
            report({"step": float(step), "loss": 2.0, "tokens": 100.0, "seconds": 0.1}, "")
    told = capsys.readouterr().err
    assert "nan" not in told
    assert ("loss 2.000" in told) is (steps > 0)
