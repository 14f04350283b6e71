"""Data-parallel processes of one machine that meet in a private file, not at an open port.

torch's own meeting point is a server that listens on every network interface while the run lasts.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from theory.errors import extra


@contextmanager
def strategy_of(processes: int) -> Iterator[Any]:
    """Lightning Fabric's strategy for so many processes; the folder where they meet is removed."""
    if processes == 1:
        yield "auto"
        return
    with tempfile.TemporaryDirectory(prefix="tfixup-") as folder:
        yield _strategy()(Path(folder) / "meeting")


def __getattr__(name: str) -> Any:
    # Spawned processes find the class by its name when they unpickle the strategy.
    if name == "PrivateProcesses":
        return _strategy()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@cache
def _strategy() -> Any:
    extra("lightning_fabric")
    from lightning_fabric.strategies.ddp import DDPStrategy
    from torch import distributed
    from torch.distributed import FileStore  # pyright: ignore[reportPrivateImportUsage]

    class PrivateProcesses(DDPStrategy):
        """Spawned processes whose meeting point is a file that only the user can read."""

        def __init__(self, meeting: Path) -> None:
            super().__init__(start_method="spawn")
            self.meeting = meeting

        def _setup_distributed(self) -> None:
            self._set_world_ranks()
            if sys.platform == "linux":
                # gloo's own connections would otherwise use the address of the host's name.
                os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
            distributed.init_process_group(
                self._get_process_group_backend(),
                store=FileStore(str(self.meeting), self.world_size),
                rank=self.global_rank,
                world_size=self.world_size,
            )
            super()._setup_distributed()

    PrivateProcesses.__qualname__ = "PrivateProcesses"
    return PrivateProcesses
