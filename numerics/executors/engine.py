"""The interface of an engine: it makes executors on demand and limits how much runs at a time."""

from abc import ABC, abstractmethod
from concurrent.futures import Executor


class Executors(ABC):
    """Makes executors. Entering one connects it, so that an unreachable cluster is found early."""

    def __enter__(self) -> "Executors":
        return self

    def __exit__(self, *raised: object) -> None:
        return None

    @abstractmethod
    def executor(self) -> Executor:
        """A working executor; called again after one broke."""

    @abstractmethod
    def in_flight(self, *, again: bool) -> int:
        """Number of items submitted at a time, in the first round or in the second (``again``)."""

    def memory_each(self, tasks: int, device: str) -> int | None:
        """Bytes that each of ``tasks`` may use while the others run; ``None`` if unknown."""
        del tasks, device
        return None

    def lost(self) -> str:
        """The message for the user when tasks were cancelled that nobody here cancelled."""
        return "the executor cancelled its tasks"
