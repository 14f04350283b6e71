"""Fixtures of tests of training runs."""

from pathlib import Path

import pytest

from numerics.training import task
from numerics.training.loop import run_training
from tests.numerics.training.short_run import FEW, TINY


@pytest.fixture
def few_validation_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short runs validate on few pairs."""
    monkeypatch.setattr(task, "VALIDATION_PAIRS", FEW)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The short run, finished without interruption."""
    out = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(task, "VALIDATION_PAIRS", FEW)
        run_training(TINY, out)
    return out
