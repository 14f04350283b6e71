"""The commands that take long, each at a size that takes seconds, and what each of them stores."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from numerics.stores import files
from numerics.sweeps import shard, store
from numerics.training import checkpoint, experiments, loop

TORN = 0.4
"""Seconds for which the control's store leaves half of a file: long enough for some kill to hit."""


def words(text: str) -> tuple[str, ...]:
    """The words of a command line without quotes."""
    return tuple(text.split())


SIZES = words("--d-model 16 --d-ff 32 --heads 2 --vocabulary 50 --sequences 2 --tokens 4")
TRAINING = words(
    "--layers 1 --d-model 16 --d-ff 32 --heads 2 --vocabulary 120 --tokens 128 --pairs 200"
    " --validation-pairs 20"
)


@dataclass(frozen=True)
class LongCommand:
    """A command line to kill, and what it leaves in its working directory when it is done."""

    name: str
    words: tuple[str, ...]
    stored: tuple[str, ...]
    """Names in the working directory, all that may be there."""
    prepare: Callable[[], object] = lambda: None
    """Called in the process first."""


def tiny_experiments() -> None:
    """Let ``tfixup reproduce --quick`` take the same runs on tiny models and few steps."""
    whole = experiments.experiment_named

    def tiny(name: str) -> Any:
        found = whole(name)
        small: dict[str, Any] = {
            "d_model": 16,
            "d_ff": 32,
            "vocabulary": 120,
            "pairs": 200,
            "validation_pairs": 20,
            "steps": 12,
            "validate_every": 6,
            "checkpoint_every": 2,
        }
        return replace(
            found,
            quick=tuple(replace(one, layers=min(one.layers, 2), **small) for one in found.quick),
        )

    experiments.experiment_named = tiny


def _sweep(*more: str) -> tuple[str, ...]:
    grid = words("--schemes tfixup,xavier --depths 1,2,3 --seeds 6 --no-progress --out out")
    return ("sweep", *SIZES, *grid, *more)


CONTROL = LongCommand("sweep", _sweep("--workers", "1"), ("out",))
"""In one process: a fault planted in a process does not reach the workers that it spawns."""
COMMANDS = (
    LongCommand("sweep on a pool", _sweep("--workers", "2"), ("out",)),
    CONTROL,
    LongCommand(
        "train",
        (
            "train",
            *TRAINING,
            *words("--steps 60 --checkpoint-every 3 --validate-every 20 --out out"),
        ),
        ("out",),
    ),
    LongCommand(
        "reproduce",
        words("reproduce fig4c --quick --workers 1 --out out"),
        ("out",),
        tiny_experiments,
    ),
    LongCommand(
        "verify",
        words("verify --claims tfixup.eq1,tfixup.skip --workers 1 --json verdicts.json"),
        ("verdicts.json",),
    ),
    LongCommand(
        "check",
        words("check benchmarks.faults.stack:stack --values 2,4,8,16 --seeds 4 --out out"),
        ("out",),
    ),
    LongCommand("sweep on Dask", _sweep("--executor", "dask", "--workers", "1"), ("out",)),
)


def write_in_place() -> None:
    """Plant a store without temporary files: the control, which a full disk must expose."""

    @contextmanager
    def in_place(path: Path) -> Iterator[Path]:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path

    _plant(in_place)


def break_the_store() -> None:
    """Plant a store that writes in place and slowly: the control, which a kill must expose."""

    @contextmanager
    def in_place(path: Path) -> Iterator[Path]:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.1.part")
        yield temporary
        content = temporary.read_bytes()
        temporary.unlink()
        with path.open("wb") as file:
            for part in (content[: len(content) // 2], content[len(content) // 2 :]):
                file.write(part)
                file.flush()
                time.sleep(TORN)

    _plant(in_place)


def forget_moments() -> None:
    """Plant a run that goes on with fresh moments: the control, which a kill must expose.

    A checkpoint that is torn would expose nothing: its checksum is asked, and an older one is read.
    """

    def forget(optimizer: torch.optim.Optimizer, state_dict: object) -> None:
        """Leave the optimizer as it was made."""

    setattr(torch.optim.Optimizer, "load_state_dict", forget)  # noqa: B010 - planted


def _plant(in_place: Callable[[Path], AbstractContextManager[Path]]) -> None:
    """Let every store write by ``in_place`` from now on."""
    for module in (files, shard, store, checkpoint, loop):
        setattr(module, "atomically", in_place)  # noqa: B010 - planted, unknown to the type
