"""Runs tasks as Slurm jobs through submitit: one job per task, pickled in a shared folder.

The local executor of submitit runs the same jobs as processes of this machine. The tests use it.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

from numerics.executors.engine import Executors
from theory.errors import InputError, extra, require_positive

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class SlurmJobs(Executors):
    """An engine of Slurm jobs whose files are in ``folder``, which every node must see."""

    folder: Path
    partition: str | None = None
    """Slurm's partition; ``None`` is the cluster's default."""
    minutes: int = 60
    """Time limit of a job in minutes."""
    gigabytes: int | None = None
    """Memory of a job in gigabytes; ``None`` is the cluster's default."""
    cluster: Literal["slurm", "local"] = "slurm"
    """``local`` runs jobs as processes of this machine."""
    at_once: int = 500
    """Number of jobs queued at a time; clusters limit the number per user."""
    poll_seconds: float = 0.5
    """Seconds between two checks of the jobs."""

    def __post_init__(self) -> None:
        require_positive(minutes=self.minutes, at_once=self.at_once)

    def __enter__(self) -> "SlurmJobs":
        """Find submitit and Slurm, or raise `InputError`; no file is written."""
        slurm = extra("submitit", "slurm").SlurmExecutor
        if self.cluster == "slurm" and slurm.affinity() <= 0:
            raise InputError("executor slurm needs the command srun, which is not on the PATH here")
        return self

    def executor(self) -> Executor:
        """An executor that submits jobs and watches them."""
        submitit = extra("submitit", "slurm")
        # Tasks and results are pickles: who can write them can run code as the user.
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        jobs = submitit.AutoExecutor(folder=self.folder, cluster=self.cluster)
        wanted = {
            "name": "tfixup",
            "timeout_min": self.minutes,
            "mem_gb": self.gigabytes,
            "slurm_partition": self.partition,
        }
        jobs.update_parameters(**{key: value for key, value in wanted.items() if value is not None})
        return _JobExecutor(jobs, self.poll_seconds)

    def in_flight(self, *, again: bool) -> int:
        """The number of jobs that may be queued."""
        del again
        return self.at_once

    def memory_each(self, tasks: int, device: str) -> int | None:
        """The memory that a job requests; ``None`` if it requests none."""
        del tasks, device
        return None if self.gigabytes is None else self.gigabytes * 2**30


class _JobExecutor(Executor):
    """Hands out submitit's jobs as futures; a thread checks the jobs until they are done."""

    def __init__(self, jobs: Any, poll_seconds: float) -> None:
        self._jobs, self._poll_seconds = jobs, poll_seconds
        self._running: dict[Any, Future] = {}
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit one job."""
        future: Future[R] = Future()
        with self._lock:
            self._running[self._jobs.submit(_caught, fn, *args, **kwargs)] = future
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop checking: once all jobs are done, or at once if they are to be cancelled."""
        if cancel_futures:
            with self._lock:
                for job, future in self._running.items():
                    job.cancel(check=False)
                    future.cancel()
                self._running.clear()
        self._stop.set()
        if wait:
            self._watcher.join()

    def _watch(self) -> None:
        while not (self._stop.is_set() and not self._running):
            with self._lock:
                done = [job for job in self._running if job.done()]
                settled = [(self._running.pop(job), job) for job in done]
            for future, job in settled:
                _settle(future, job)
            time.sleep(self._poll_seconds)


def _caught(fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | Exception:
    """Return an exception as a value, because submitit keeps only the text of a raised one."""
    try:
        return fn(*args, **kwargs)
    except Exception as error:
        return error


def _settle(future: Future, job: Any) -> None:
    """Hand over a job's outcome; the files of one that ended well are removed."""
    try:
        outcome = job.result()
    except Exception as error:  # the job itself was lost: killed, timed out, out of memory
        future.set_exception(error)
        return
    for path in job.paths.folder.glob(f"{job.job_id}_*"):
        path.unlink(missing_ok=True)
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
