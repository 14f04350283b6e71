"""A run's log as TensorBoard events, beside the Parquet log: ``tensorboard --logdir RUN``.

Every logged column becomes one scalar over steps, under the column's name. The Parquet log stays
the record. A run that goes on from a checkpoint writes the repeated steps again, with equal values.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from numerics.training.progress import Reporter
from theory.errors import extra

FOLDER = "tensorboard"
"""In the run's folder."""


def require_tensorboard() -> None:
    """Raise `InputError` if TensorBoard is not installed, before anything is trained."""
    extra("tensorboard", "log")


@contextmanager
def events(out: Path, *, written: bool) -> Iterator[Reporter]:
    """Make the function that receives every logged row and writes its events, if asked to.

    Parameters
    ----------
    out
        Folder of the run.
    written
        Whether to write.

    Raises
    ------
    InputError
        If TensorBoard is asked for and not installed.

    Examples
    --------
    >>> with events(Path("runs/x"), written=False) as report:
    ...     report({"step": 1.0, "loss": 2.0}, "")
    """
    if not written:
        yield _ignore
        return
    require_tensorboard()
    writer = extra("torch.utils.tensorboard", "log").SummaryWriter(str(out / FOLDER))

    def report(row: Mapping[str, float], verdict: str) -> None:
        del verdict
        for name, value in row.items():
            if name != "step" and value is not None:
                writer.add_scalar(name, value, int(row["step"]))

    try:
        yield report
    finally:
        writer.close()


def both(one: Reporter, other: Reporter) -> Callable[[Mapping[str, float], str], None]:
    """Report to two places."""

    def report(row: Mapping[str, float], verdict: str) -> None:
        one(row, verdict)
        other(row, verdict)

    return report


def _ignore(row: Mapping[str, float], verdict: str) -> None:
    del row, verdict
