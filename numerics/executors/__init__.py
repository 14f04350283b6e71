"""Where tasks run: engines that make executors with the interface of ``concurrent.futures``.

`Local` is a pool of spawned processes. `DaskCluster` is a Dask cluster of local processes, or one
that was started elsewhere. `SlurmJobs` runs one Slurm job per task. `outcomes` runs a function over
items on any of them, and tries each item at most twice.
"""

from pathlib import Path

from numerics.executors.dask_cluster import DaskCluster as DaskCluster
from numerics.executors.engine import Executors as Executors
from numerics.executors.local import InlineExecutor as InlineExecutor
from numerics.executors.local import Local as Local
from numerics.executors.outcomes import outcomes as outcomes
from numerics.executors.slurm_jobs import SlurmJobs as SlurmJobs
from theory.errors import InputError, nearest

ENGINES = ("local", "dask", "slurm")


def engine_named(
    name: str,
    workers: int,
    *,
    address: str | None = None,
    out: Path | None = None,
    partition: str | None = None,
    minutes: int = 60,
    gigabytes: int | None = None,
) -> Executors:
    """The engine of that name, with its options.

    Parameters
    ----------
    name
        ``local``, ``dask`` or ``slurm``.
    workers
        Processes of a local pool or a local Dask cluster.
    address
        Address of the Dask scheduler to join.
    out
        The sweep's folder, where Slurm's jobs leave their results.
    partition, minutes, gigabytes
        Slurm's partition, and the time limit and memory of a job.

    Examples
    --------
    >>> engine_named("local", 2)
    Local(workers=2)
    >>> engine_named("dusk", 2)
    Traceback (most recent call last):
    ...
    theory.errors.InputError: unknown executor 'dusk': did you mean 'dask'? (known: dask, local,
    slurm)
    """
    if name not in ENGINES:
        raise nearest(name, ENGINES, "executor")
    _refuse("address", address, name, "dask")
    _refuse("partition", partition, name, "slurm")
    if name == "local":
        return Local(workers)
    if name == "dask":
        return DaskCluster(workers, address)
    if out is None:
        raise InputError("executor slurm needs an output folder that every node sees, got none")
    return SlurmJobs(out / "slurm", partition, minutes, gigabytes)


def _refuse(option: str, value: object, name: str, owner: str) -> None:
    if value is not None and name != owner:
        raise InputError(f"{option} goes with executor {owner}, got {option} {value!r} with {name}")
