from pathlib import Path

import polars as pl
import pytest

from numerics.training.config import TrainConfig
from numerics.training.events import FOLDER
from numerics.training.loop import run_training
from numerics.training.recorded import LOG
from theory import errors
from theory.errors import InputError, extra

TINY = TrainConfig(
    layers=1, d_model=8, d_ff=8, pairs=100, validation_pairs=10, vocabulary=150, steps=3
)


def test_events_hold_the_log(tmp_path: Path):
    run_training(TINY, tmp_path, tensorboard=True)
    module = extra("tensorboard.backend.event_processing.event_accumulator", "log")
    events = module.EventAccumulator(str(tmp_path / FOLDER)).Reload()
    log = pl.read_parquet(tmp_path / LOG)
    for name in ("loss", "gradient_norm"):
        found = [(event.step, event.value) for event in events.Scalars(name)]
        assert found == [
            (step, pytest.approx(value, rel=1e-6))
            for step, value in zip(log["step"], log[name], strict=True)
        ]


def test_without_the_extra_nothing_is_trained(tmp_path: Path, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(errors.importlib, "import_module", missing)
    with pytest.raises(InputError, match=r"tensorboard is not installed.*-e '\.\[log\]'"):
        run_training(TINY, tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()
