"""The estimate of a measurement's memory against the peak of a process that made one."""

import re
import subprocess
import sys

import pytest

from numerics.executors import Executors, Local
from numerics.executors.machine import free_host_bytes
from numerics.models import ModelSpec
from numerics.sweeps.grid import SweepSettings, SweepTask
from numerics.sweeps.memory import GIB, check_memory, measurement_bytes, task_bytes
from numerics.sweeps.settings import Precision
from theory.errors import InputError

# Not getrusage's ru_maxrss, which a child inherits from the process that started it.
PEAKS = """
import re, sys
from pathlib import Path
from numerics.sweeps.run import SweepSettings, SweepTask, measure_task
scheme, dtype, *depths = sys.argv[1:]
for depth in depths:
    rows = measure_task(SweepTask(SweepSettings(dtype=dtype), scheme, "sgd", int(depth), 0))
    assert rows["finite"].all()
    kib = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
    print(int(kib) * 1024)
"""


def _task(scheme: str, depth: int, dtype: Precision = "float32") -> SweepTask:
    return SweepTask(SweepSettings(dtype=dtype), scheme, "sgd", depth, 0)


@pytest.mark.parametrize(
    ("scheme", "dtype", "shallow", "deep"),
    [
        ("tfixup", "float32", 20, 100),
        ("pre-ln", "float64", 20, 80),
        ("r-fixup", "float32", 5, 30),
    ],
)
def test_the_estimate_is_a_little_above_the_measured_peak(
    scheme: str, dtype: Precision, shallow: int, deep: int
):
    command = [sys.executable, "-c", PEAKS, scheme, dtype, str(shallow), str(deep)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    low, high = (int(line) for line in ran.stdout.split())
    assert high < task_bytes(_task(scheme, deep, dtype)) < 1.5 * high
    # The peaks of equal runs differ by up to 50 MB, a fifth of the difference in depth.
    estimated = task_bytes(_task(scheme, deep, dtype)) - task_bytes(_task(scheme, shallow, dtype))
    assert 0.7 < estimated / (high - low) < 1.6


def test_the_estimate_is_linear_in_depth_and_near_what_was_measured_at_1000():
    whole, half, none = (task_bytes(_task("tfixup", n)) for n in (1000, 500, 1))
    assert whole - half == pytest.approx(half - none, rel=0.01)
    assert 2.2 < whole / GIB < 2.2 * 1.2, "2.2 GiB were measured"


def test_automatic_precision_may_need_float64():
    automatic, single = task_bytes(_task("xavier", 500, "auto")), task_bytes(_task("xavier", 500))
    assert automatic == task_bytes(_task("xavier", 500, "float64")) > 1.6 * single


def test_every_size_counts():
    base = measurement_bytes(ModelSpec(10, 10), sequences=8, tokens=16, dtype="float32")
    for changed in (ModelSpec(10, 10, d_model=128), ModelSpec(10, 10, d_ff=999)):
        assert measurement_bytes(changed, sequences=8, tokens=16, dtype="float32") > base
    for rows, tokens in ((9, 16), (8, 17)):
        more = measurement_bytes(ModelSpec(10, 10), sequences=rows, tokens=tokens, dtype="float32")
        assert more > base


class _Room(Local):
    """A worker's share that is known."""

    def memory_each(self, tasks: int, device: str) -> int:
        del tasks, device
        return 2 * GIB


def test_a_depth_that_does_not_fit_is_refused_with_the_estimate():
    check_memory([_task("tfixup", 100)], _Room(1))
    check_memory([], _Room(1))
    with pytest.raises(InputError) as refused:
        check_memory([_task("tfixup", 100), _task("tfixup", 2000, "auto")], _Room(1))
    found = re.fullmatch(
        r"depth 2000 must fit the memory: scheme tfixup needs about (\S+) GiB "
        r"\((\S+) GiB with dtype float32\) a worker, which has 2\.0 GiB",
        str(refused.value),
    )
    assert found is not None
    assert 7 < float(found[1]) < 12
    assert 3.5 < float(found[2]) < 5


def test_workers_share_what_is_free():
    assert Local(2).memory_each(1, "cpu") > 1.8 * Local(4).memory_each(100, "cpu")
    assert Executors.memory_each(Local(1), 1, "cpu") is None


def test_free_memory_is_the_least_of_machine_and_container(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  900 kB\nMemAvailable:  800 kB\n")
    assert free_host_bytes(meminfo, tmp_path) == 800 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert free_host_bytes(meminfo, tmp_path) == 800 * 1024
    (tmp_path / "memory.max").write_text("5000\n")
    assert free_host_bytes(meminfo, tmp_path) == 4000
    assert free_host_bytes(tmp_path / "none", tmp_path) == 4000
