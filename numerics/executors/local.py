"""Runs tasks on this machine: in a pool of spawned processes, or in this process for one worker.

A forked torch deadlocks on its thread pool, so workers are spawned. Each has its share of the
cores. A worker ends together with the process that started it, however that process ended.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from typing import ParamSpec, TypeVar

from numerics.executors.engine import Executors
from numerics.executors.machine import free_bytes, threads_each
from theory.errors import require_positive

P = ParamSpec("P")
R = TypeVar("R")


class InlineExecutor(Executor):
    """Runs each task at submission, in this process.

    Examples
    --------
    >>> with InlineExecutor() as executor:
    ...     executor.submit(pow, 2, 5).result()
    32
    """

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Run ``fn`` now and return its finished future."""
        future: Future[R] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass(frozen=True)
class Local(Executors):
    """A pool of ``workers`` spawned processes, or this process for one worker."""

    workers: int

    def __post_init__(self) -> None:
        require_positive(workers=self.workers)

    def executor(self) -> Executor:
        """A new pool of processes, or the executor that runs tasks here."""
        if self.workers == 1:
            return InlineExecutor()
        return ProcessPoolExecutor(
            self.workers,
            mp_context=get_context("spawn"),
            initializer=_begin_worker,
            initargs=(threads_each(self.workers),),
        )

    def in_flight(self, *, again: bool) -> int:
        """Enough items that no worker waits; one by one where an item may have killed a worker."""
        return 1 if again else 2 * self.workers - 1

    def memory_each(self, tasks: int, device: str) -> int:
        """Free memory, divided by the number of workers that have work."""
        return free_bytes(device) // min(self.workers, tasks)


def _begin_worker(threads: int) -> None:
    # Ctrl-C reaches every process of the terminal. The parent decides; workers end with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # OpenMP reads this when torch is loaded, which a task does after its worker's start.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # Workers hold both ends of the pool's pipes: nothing else tells them that nobody reads.
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
