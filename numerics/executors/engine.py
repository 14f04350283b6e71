"""What an engine is: executors made on demand, and how much it takes on at a time."""

from abc import ABC, abstractmethod
from concurrent.futures import Executor


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
