"""Where tasks run: anything with the interface of ``concurrent.futures.Executor``.

Local work goes to a pool of spawned processes (a forked torch deadlocks on its thread pool), each
with its share of the cores, or to this process when one worker is asked for.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

from theory.errors import require_positive

P = ParamSpec("P")
T = TypeVar("T")
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


def local_executor(workers: int) -> Executor:
    """A spawn pool of ``workers`` processes, or this process for one."""
    require_positive(workers=workers)
    if workers == 1:
        return InlineExecutor()
    threads = max(1, (os.cpu_count() or 1) // workers)
    return ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_use_threads, initargs=(threads,)
    )


def _use_threads(threads: int) -> None:
    # OpenMP reads this when torch is loaded, which a task does after its worker's start.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def outcomes(
    function: Callable[[T], R], items: Iterable[T], workers: int
) -> Iterator[tuple[T, R | Exception]]:
    """Every item with ``function(item)``, as they finish; an exception after two failures.

    A worker that dies takes its pool with it, and which item killed it is unknown: all that were
    in flight get their second attempt alone, after the others.

    Examples
    --------
    >>> dict(outcomes(lambda n: 6 // n, [1, 0, 2], workers=1))
    {1: 6, 2: 3, 0: ZeroDivisionError('integer division or modulo by zero')}
    """
    failed: list[T] = []
    for item, outcome in _attempt(function, deque(items), workers, in_flight=2 * workers - 1):
        if isinstance(outcome, Exception):
            failed.append(item)
        else:
            yield item, outcome
    yield from _attempt(function, deque(failed), workers, in_flight=1)


def _attempt(
    function: Callable[[T], R], waiting: deque[T], workers: int, in_flight: int
) -> Iterator[tuple[T, R | Exception]]:
    """One attempt an item, in a new pool whenever one breaks."""
    while waiting:
        executor, running = local_executor(workers), {}
        broken = False
        try:
            while running or (waiting and not broken):
                while waiting and not broken and len(running) < in_flight:
                    item = waiting.popleft()
                    try:
                        running[executor.submit(function, item)] = item
                    except BrokenProcessPool:
                        waiting.appendleft(item)
                        broken = True
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    error = future.exception()
                    broken |= isinstance(error, BrokenProcessPool)
                    assert error is None or isinstance(error, Exception)
                    yield running.pop(future), future.result() if error is None else error
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
