"""Runs tasks on a Dask cluster: local processes, or a cluster joined at its scheduler's address.

Dask reruns the tasks of a worker that died. A lost worker hence costs only time. A task that kills
its worker repeatedly fails like any other task.
"""

import asyncio
import logging
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from numerics.executors.engine import Executors
from numerics.executors.machine import free_bytes, threads_each
from numerics.stores.provenance import versions
from theory.errors import InputError, extra, require_positive

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 5
"""Seconds to wait for a scheduler, and for its first worker."""


class DaskCluster(Executors):
    """``workers`` processes of one thread under a local scheduler, or those at ``address``."""

    def __init__(self, workers: int, address: str | None = None) -> None:
        require_positive(workers=workers)
        self.workers = workers
        self.address = address
        self.client: Client | None = None
        self._open = ExitStack()

    def __enter__(self) -> "DaskCluster":
        """Start or join the cluster.

        Raises
        ------
        InputError
            If Dask is not installed, nobody answers at the address within `CONNECT_SECONDS`, no
            worker is there, or a worker has other versions of what the numbers depend on.
        """
        distributed = extra("distributed", "dask")
        # Every lost connection is a page of log; what the user needs to know is one line of ours.
        # A coroutine that fails on a lost connection is reported by asyncio and tornado instead.
        for name in ("distributed", "asyncio", "tornado.application"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            self.client = self._start(distributed) if self.address is None else self._join()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self._open.close()

    def _start(self, distributed: Any) -> "Client":
        threads = str(threads_each(self.workers))
        extra("cryptography", "dask")
        # Whoever reaches a scheduler can run code as its owner, and other users of this machine
        # reach its ports. Only holders of this run's key, which is in memory alone, may speak.
        security = distributed.Security.temporary()
        cluster = distributed.LocalCluster(
            n_workers=self.workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            security=security,
            # Without a dashboard its server still listens: on any free port, not on a fixed one.
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
            env={"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
        )
        self._open.enter_context(cluster)
        return self._open.enter_context(distributed.Client(cluster))

    def _join(self) -> "Client":
        from distributed import Client

        assert self.address is not None
        # A client that never connected hangs when it is collected, so ask without one first.
        try:
            asyncio.run(asyncio.wait_for(_identity(self.address), CONNECT_SECONDS))
        except Exception as error:  # whatever answers at that port may say anything
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            if isinstance(error, TimeoutError):
                reason = f"nothing within {CONNECT_SECONDS} s"
            raise InputError(f"no Dask scheduler answers at {self.address}: {reason}") from error
        client = Client(self.address, timeout=CONNECT_SECONDS, set_as_default=False)
        self._open.enter_context(client)
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError:
            raise InputError(
                f"the Dask scheduler at {self.address} has no worker: "
                f"start one with `dask worker {self.address}`"
            ) from None
        self._check_versions(client)
        return client

    def _check_versions(self, client: "Client") -> None:
        here = versions()
        found: Any = client.run(versions, on_error="return")
        for worker, there in found.items():
            if isinstance(there, Exception):
                raise InputError(
                    f"the Dask worker at {worker} cannot import this package ({there}): "
                    f"start it in the same environment"
                )
            for name in ("tfixup", "torch", "polars"):
                if there[name] != here[name]:
                    raise InputError(
                        f"the Dask worker at {worker} must have {name} {here[name]}, "
                        f"got {there[name]}"
                    )

    def executor(self) -> Executor:
        """The cluster's executor."""
        from distributed.cfexecutor import ClientExecutor

        class Cancelling(ClientExecutor):
            """Knows the standard library's argument of `shutdown`."""

            def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
                super().shutdown(wait=wait and not cancel_futures)

        assert self.client is not None, "an engine is entered before it works"
        # Not pure: two tasks are two tasks, even where a failed one is submitted again.
        return Cancelling(self.client, pure=False)

    def in_flight(self, *, again: bool) -> int:
        """All tasks: the scheduler keeps the queue, and workers may join later."""
        del again
        return 10_000

    def memory_each(self, tasks: int, device: str) -> int | None:
        """Bytes per task.

        A local cluster splits its free memory; a joined one counts its smallest worker.
        """
        if self.address is None:
            return free_bytes(device) // min(self.workers, tasks)
        assert self.client is not None, "an engine is entered before it works"
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        # A limit of 0 is none.
        known = [each["memory_limit"] // each["nthreads"] for each in workers]
        return min((limit for limit in known if limit), default=None) if device == "cpu" else None

    def lost(self) -> str:
        """The message for a scheduler that went away."""
        where = "" if self.address is None else f" at {self.address}"
        return f"lost the Dask scheduler{where}: what is finished is kept, the same command goes on"


async def _identity(address: str) -> object:
    """What a scheduler says about itself."""
    from distributed.core import rpc

    async with rpc(address, timeout=CONNECT_SECONDS) as scheduler:
        return await scheduler.identity()
