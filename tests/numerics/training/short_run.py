"""A run so short that tests can repeat it, and what they do with one."""

from pathlib import Path

import polars as pl
import pytest

from numerics.training import loop, step
from numerics.training.config import TrainConfig
from numerics.training.loop import run_training
from numerics.training.recorded import LOG

TINY = TrainConfig(
    layers=1,
    d_model=16,
    d_ff=32,
    pairs=300,
    vocabulary=200,
    tokens=1024,
    steps=16,
    dropout=0.2,
    validate_every=6,
    checkpoint_every=3,
)
"""About 13 batches an epoch, so that 16 steps cross into the second one."""

FEW = 100
"""Validation pairs; a run of as many as by default would mostly validate."""


def losses(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / LOG).drop("seconds")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def interrupt(config: TrainConfig, out: Path, taken: int) -> None:
    """Run ``config`` and break off when ``taken`` steps are done, the judgement left out."""

    def training_step(*args):
        if args[-1] == taken:
            raise KeyboardInterrupt
        return step.training_step(*args)

    def judge(*_, **__):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "training_step", training_step)
        patched.setattr(loop, "judge", judge)
        with pytest.raises(KeyboardInterrupt):
            run_training(config, out)
