"""Runs a function over items on an engine, each item at most twice, with results as they come."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Future
from queue import SimpleQueue
from typing import TypeVar

from numerics.executors.engine import Executors
from theory.errors import InputError

T = TypeVar("T")
R = TypeVar("R")


def outcomes(
    function: Callable[[T], R], items: Iterable[T], engine: Executors
) -> Iterator[tuple[T, R | Exception]]:
    """Yield every item with ``function(item)`` as they finish; an exception after two failures.

    A local worker that dies takes its pool with it, and which item killed it is unknown. All items
    that were in flight then get their second attempt alone, after the others.

    Raises
    ------
    InputError
        If the engine was lost on the way; what was yielded before stays valid.

    Examples
    --------
    >>> from numerics.executors.local import Local
    >>> dict(outcomes(lambda n: 6 // n, [1, 0, 2], Local(1)))
    {1: 6, 2: 3, 0: ZeroDivisionError('integer division or modulo by zero')}
    """
    failed: list[T] = []
    for item, outcome in _attempt(function, deque(items), engine, engine.in_flight(again=False)):
        if isinstance(outcome, Exception):
            failed.append(item)
        else:
            yield item, outcome
    yield from _attempt(function, deque(failed), engine, engine.in_flight(again=True))


def _attempt(
    function: Callable[[T], R], waiting: deque[T], engine: Executors, in_flight: int
) -> Iterator[tuple[T, R | Exception]]:
    """Attempt every item once, on a new executor whenever one breaks."""
    while waiting:
        executor, running = engine.executor(), {}
        # Finished futures announce themselves: asking every one of them after each task would
        # take a time quadratic in their number.
        finished: SimpleQueue[Future[R]] = SimpleQueue()
        broken = False
        try:
            while running or (waiting and not broken):
                while waiting and not broken and len(running) < in_flight:
                    item = waiting.popleft()
                    try:
                        future = executor.submit(function, item)
                    except BrokenExecutor:
                        waiting.appendleft(item)
                        broken = True
                        continue
                    running[future] = item
                    future.add_done_callback(finished.put)
                if not running:
                    continue
                future = finished.get()
                try:
                    error = future.exception()
                except CancelledError as cancelled:
                    raise InputError(engine.lost()) from cancelled
                broken |= isinstance(error, BrokenExecutor)
                assert error is None or isinstance(error, Exception)
                yield running.pop(future), future.result() if error is None else error
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
