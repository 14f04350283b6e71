"""Exact resume: everything a run needs to go on as if it had never stopped, in one file.

Batch order and dropout are functions of (seed, epoch) and (seed, step), so no generator state is
stored. Each file is written atomically, contains the log up to its step, and ends with a checksum.
The newest is ``checkpoint.pt``; earlier ones are ``checkpoint-1.pt``, ``checkpoint-2.pt``, …. An
earlier one serves where the newest is damaged, and averages of weights are taken over all of them.
"""

import glob
import io
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from numerics.models.transformer import Transformer
from numerics.stores.files import atomically
from numerics.stores.seals import is_sealed, opened, sealed
from numerics.training.recorded import differences, goes_further
from theory.errors import InputError

LogRow = dict[str, float]
LEAST_KEPT = 2
"""Checkpoints kept: the newest, and one to fall back on."""


@dataclass
class Progress:
    """The steps taken, and the log up to them."""

    step: int = 0
    """Steps taken."""
    epoch: int = 0
    """Passes over the data begun, from 0."""
    batch: int = 0
    """Batches of this epoch already used."""
    rows: list[LogRow] = field(default_factory=list)
    """The log so far, one row per step."""


def kept(path: Path) -> list[Path]:
    """The checkpoints of a run, newest first; ``path`` is where the newest belongs."""
    earlier = path.parent.glob(f"{glob.escape(path.stem)}-*{path.suffix}")
    numbers = ((file.stem.removeprefix(f"{path.stem}-"), file) for file in earlier)
    numbered = sorted((int(number), file) for number, file in numbers if number.isdecimal())
    return ([path] if path.exists() else []) + [file for _, file in numbered]


def save(
    path: Path,
    progress: Progress,
    model: Transformer,
    optimizer: torch.optim.Optimizer,
    identity: Mapping[str, Any],
    *,
    keep: int = LEAST_KEPT,
) -> None:
    """Write the newest checkpoint and keep ``keep`` in all, however early the process dies."""
    state = {
        "progress": vars(progress),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "identity": dict(identity),
    }
    with atomically(path) as temporary:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        temporary.write_bytes(sealed(buffer.getvalue()))
        earlier = list(enumerate(kept(path), start=1))
        for number, file in reversed(earlier):
            file.replace(path.with_name(f"{path.stem}-{number}{path.suffix}"))
    for file in kept(path)[max(keep, LEAST_KEPT) :]:
        file.unlink()


def restore(
    path: Path,
    model: Transformer,
    optimizer: torch.optim.Optimizer,
    identity: Mapping[str, Any],
    *,
    tidy: bool = True,
) -> Progress:
    """Load the newest whole checkpoint into model and optimizer, if there is any.

    Parameters
    ----------
    path
        Where the newest checkpoint belongs.
    model, optimizer
        What is loaded into.
    identity
        The run's identity, which the checkpoint must share; it may be of fewer steps.
    tidy
        Whether to remove damaged checkpoints, and to say on standard error that they were skipped.

    Raises
    ------
    InputError
        If every checkpoint is damaged, or one belongs to another run.
    """
    damaged: list[InputError] = []
    files = kept(path)
    for file in files:
        try:
            state = _load(file)
        except InputError as error:
            damaged.append(error)
            continue
        stored = state.get("identity", identity)
        different = differences(identity, stored)
        if different and not goes_further(identity, stored):
            raise InputError(f"{file} is of another run: {different}")
        try:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            damaged.append(_not_whole(file, error))
            continue
        if tidy:
            for bad, error in zip(files, damaged, strict=False):
                step = state["progress"]["step"]
                print(f"{error}; going on from {file.name}, step {step}", file=sys.stderr)
                bad.unlink()
        return Progress(**state["progress"])
    if damaged:
        raise InputError(f"{damaged[0]}; remove it to start afresh")
    return Progress()


def averaged_weights(path: Path, count: int) -> dict[str, Tensor]:
    """Mean of the weights in the last ``count`` checkpoints, taken in float64.

    Raises
    ------
    InputError
        If there are fewer, or one is damaged.
    """
    files = kept(path)
    if len(files) < count:
        raise InputError(f"{path.parent} must hold {count} checkpoints, and holds {len(files)}")
    states = [_load(file)["model"] for file in files[:count]]
    if count == 1:
        return states[0]
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(first.dtype)
        for name, first in states[0].items()
    }


def _load(file: Path) -> dict[str, Any]:
    """The content of one checkpoint, its checksum and the form of each part checked."""
    try:
        content = file.read_bytes()
        # Checkpoints of earlier versions have no checksum.
        body = opened(content) if is_sealed(content) else content
        state: dict[str, Any] = torch.load(io.BytesIO(body), weights_only=True, map_location="cpu")
        _check_form(state)
        return state
    except pickle.UnpicklingError:
        # torch's own message advises to trust the file, which nobody should do.
        problem = ValueError("it holds something other than tensors, numbers and text")
        raise _not_whole(file, problem) from None
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as e:
        raise _not_whole(file, e) from None


def _check_form(state: object) -> None:
    """Raise ``ValueError`` unless ``state`` has the parts of a checkpoint, each of its type."""
    if not isinstance(state, dict):
        raise ValueError(f"it holds a {type(state).__name__}")
    for key in ("progress", "model", "optimizer"):
        if not isinstance(state.get(key), dict) or not state[key]:
            raise ValueError(f"its {key!r} is missing or empty")
    if not isinstance(state.get("identity", {}), dict):
        raise ValueError("its 'identity' is no mapping")
    progress = state["progress"]
    if set(progress) != {field.name for field in fields(Progress)}:
        raise ValueError("its 'progress' has other fields")
    counts = [progress[name] for name in ("step", "epoch", "batch")]
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise ValueError(f"its counts must be integers of at least 0, got {counts}")
    if len(progress["rows"]) != progress["step"]:
        raise ValueError(f"it is of step {progress['step']} and logs {len(progress['rows'])} steps")


def _not_whole(file: Path, error: BaseException) -> InputError:
    detail = next(iter(str(error).splitlines()), type(error).__name__)
    return InputError(f"{file} must be a whole checkpoint of this run: {detail}")
