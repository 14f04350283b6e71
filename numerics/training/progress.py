"""A progress bar with loss, tokens per second, time left and the outcome so far."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Reporter = Callable[[Mapping[str, float], str], None]
"""Takes a logged row and the outcome as it looks so far, '' for no change."""


def announce(text: str, *, shown: bool) -> None:
    """Say on standard error what is being done, if asked to."""
    if shown:
        Console(stderr=True).print(text, style="dim", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def reporter(steps: int, name: str, *, shown: bool) -> Iterator[Reporter]:
    """Make the function that receives every logged row and draws the bar, if asked to.

    Examples
    --------
    >>> with reporter(10, "tfixup-6-0", shown=False) as report:
    ...     report({"step": 1.0, "loss": 2.0, "tokens": 100.0, "seconds": 0.1}, "")
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[measured]}"),
        TextColumn("{task.fields[verdict]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bar:
        task = bar.add_task(name, total=steps, measured="", verdict="")

        def report(row: Mapping[str, float], verdict: str) -> None:
            rate = row["tokens"] / max(row["seconds"], 1e-9)
            measured = f"loss {row['loss']:.3f}  {rate:,.0f} tokens/s"
            bar.update(task, completed=int(row["step"]), measured=measured)
            if verdict:
                bar.update(task, verdict=verdict)

        yield report
