"""What an engine is: executors made on demand, and how much it takes on at a time."""

import importlib
from abc import ABC, abstractmethod
from concurrent.futures import Executor
from types import ModuleType

from theory.errors import InputError


class Engine(ABC):
    """Makes executors. Entering one connects it, so that a cluster out of reach is found early."""

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *raised: object) -> None:
        return None

    @abstractmethod
    def executor(self) -> Executor:
        """A working executor; asked for again after one broke."""

    @abstractmethod
    def in_flight(self, *, again: bool) -> int:
        """Items submitted at a time, in the first round or in the second (``again``)."""

    def memory_each(self, tasks: int, device: str) -> int | None:
        """Bytes that each of ``tasks`` may use while others run; ``None`` is unknown."""
        del tasks, device
        return None

    def lost(self) -> str:
        """What to tell the user when tasks were cancelled that nobody here cancelled."""
        return "the executor cancelled its tasks"


def extra(module: str, name: str) -> ModuleType:
    """The module of an optional dependency; where it is missing, an error names the extra.

    Examples
    --------
    >>> extra("no_such_module", "dask")
    Traceback (most recent call last):
    ...
    theory.errors.InputError: executor dask needs its extra: pip install 'tfixup[dask]' (No module
    named 'no_such_module')
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"executor {name} needs its extra: pip install 'tfixup[{name}]' ({error})"
        ) from error
