"""Exact resume: everything a run needs to go on as if it had never stopped, in one file.

Batch order and dropout are functions of (seed, epoch) and (seed, step), so no generator state is
stored. The file is replaced whole; the log up to the same step travels in it.
"""

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from numerics.models.transformer import Transformer
from numerics.results import atomically
from theory.errors import InputError

Row = dict[str, float]


@dataclass
class Progress:
    """Where a run stands."""

    step: int = 0
    """Steps taken."""
    epoch: int = 0
    """Passes over the data begun, from 0."""
    batch: int = 0
    """Batches of this epoch already used."""
    rows: list[Row] = field(default_factory=list)
    """The log so far, a row a step."""


def save(
    path: Path, progress: Progress, model: Transformer, optimizer: torch.optim.Optimizer
) -> None:
    """Replace the checkpoint."""
    state = {
        "progress": vars(progress),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    with atomically(path) as temporary:
        torch.save(state, temporary)


def restore(path: Path, model: Transformer, optimizer: torch.optim.Optimizer) -> Progress:
    """Load the checkpoint into model and optimizer, if there is one.

    Raises
    ------
    InputError
        If the file is damaged or belongs to another model.
    """
    if not path.exists():
        return Progress()
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        return Progress(**state["progress"])
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as error:
        detail = str(error).splitlines()[0]
        raise InputError(
            f"{path} must be a whole checkpoint of this run: {detail}; remove it to start afresh"
        ) from None
