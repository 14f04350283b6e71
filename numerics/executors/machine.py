"""The resources that this machine can give to a worker: its share of cores and of free memory."""

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def threads_each(workers: int) -> int:
    """Number of threads for each of ``workers`` processes that share the cores."""
    return max(1, (os.cpu_count() or 1) // workers)


def free_bytes(device: str = "cpu") -> int:
    """Bytes of memory still available on the CPU or on a CUDA device.

    Examples
    --------
    >>> free_bytes() > 2**20
    True
    """
    if device == "cpu":
        return free_host_bytes()
    import torch

    return torch.cuda.mem_get_info(device)[0]


def free_host_bytes(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = _CGROUP) -> int:
    """Bytes the kernel reports as available, or the rest of the container's limit if less."""
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux: all there is
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = int((cgroup / "memory.max").read_text())
        used = int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return free
    return min(free, max(0, limit - used))
