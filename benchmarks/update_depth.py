"""Time and memory of one measurement of ‖Δf‖/η against depth: both linear.

Every depth is measured in a process of its own, on one thread: CPU seconds of a measurement with
all parts, after one that warms up, and the peak of the process's resident memory. All depths take
their turn in every round, so that a machine that slows down slows all alike. The exponent is the
slope of log seconds on log N, the mean of the rounds with its standard error.
"""

import argparse
import json
import math
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import linregress

from numerics.measure.updates import measure_update
from numerics.models import ModelSpec
from numerics.models.tokens import random_batch
from numerics.schemes import build
from numerics.stores.files import write_json
from numerics.stores.provenance import command_line, provenance

GIB = 2**30


@dataclass(frozen=True)
class Settings:
    """One benchmark."""

    scheme: str = "tfixup"
    depths: str = "50,100,200,500,1000"
    rounds: int = 5
    repeats: int = 1
    """Measurements of a depth in a round."""
    seed: int = 0


@dataclass(frozen=True)
class Cost:
    """What one depth costs."""

    depth: int
    seconds: list[float]
    """CPU time of each repeat."""
    peak_bytes: int
    """Largest resident memory of the process, Python and torch included."""
    update: float
    """‖Δf‖/η, total."""


def cost(scheme: str, depth: int, repeats: int, seed: int) -> Cost:
    """Measure one depth in this process."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    model = build(scheme, ModelSpec(depth, depth), generator).eval()
    batch = random_batch(model.spec, generator)
    seconds, update = [], float("nan")
    for _ in range(repeats + 1):
        started = time.process_time()
        update = measure_update(model, batch, generator).update["total"]
        seconds.append(time.process_time() - started)
    # Not getrusage's ru_maxrss, which a child inherits from the process that started it.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None
    return Cost(depth, seconds[1:], int(peak[1]) * 1024, update)


def _in_a_process_of_its_own(settings: Settings, depth: int) -> Cost:
    command = [sys.executable, "-m", "benchmarks.update_depth", "--only", str(depth)]
    for name in ("scheme", "repeats", "seed"):
        command += [f"--{name}", str(getattr(settings, name))]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return Cost(**json.loads(ran.stdout))


def slope(costs: Sequence[Cost]) -> float:
    """Of log seconds on log N."""
    medians = [math.log(statistics.median(found.seconds)) for found in costs]
    return float(linregress([math.log(found.depth) for found in costs], medians).slope)


def together(costs: Sequence[Cost]) -> Cost:
    """One depth's rounds: all seconds, and the largest peak."""
    seconds = [each for found in costs for each in found.seconds]
    return replace(costs[0], seconds=seconds, peak_bytes=max(found.peak_bytes for found in costs))


def main() -> None:
    """Measure, fit, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name, default in asdict(Settings()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--only", type=int, help="print the cost of this depth as JSON")
    out = Path("results/benchmarks/update_depth.json")
    parser.add_argument("--out", type=Path, default=out)
    options = vars(parser.parse_args())
    only, out = options.pop("only"), options.pop("out")
    settings = Settings(**options)
    if only is not None:
        print(json.dumps(asdict(cost(settings.scheme, only, settings.repeats, settings.seed))))
        return
    started = time.perf_counter()
    depths = [int(depth) for depth in settings.depths.split(",")]
    rounds = [
        [_in_a_process_of_its_own(settings, depth) for depth in depths]
        for _ in range(settings.rounds)
    ]
    slopes = [slope(found) for found in rounds]
    exponent, error = statistics.mean(slopes), statistics.stdev(slopes) / math.sqrt(len(slopes))
    costs = [together(found) for found in zip(*rounds, strict=True)]
    medians = [statistics.median(found.seconds) for found in costs]
    table = Table(title=f"All parts of ‖Δf‖/η: seconds ~ N^{exponent:.3f} ± {error:.3f}")
    for column in ("N", "CPU s", "ms a layer", "peak GiB"):
        table.add_column(column, justify="right")
    for found, median in zip(costs, medians, strict=True):
        each = 1000 * median / found.depth
        peak = found.peak_bytes / GIB
        table.add_row(str(found.depth), f"{median:.3f}", f"{each:.2f}", f"{peak:.2f}")
    Console().print(table)
    made = provenance(
        command=command_line(),
        config=settings,
        seed=settings.seed,
        device="cpu",
        dtype="float32",
        seconds=time.perf_counter() - started,
    )
    content = {
        "exponent": exponent,
        "standard_error": error,
        "slopes": slopes,
        "costs": [asdict(c) for c in costs],
    }
    write_json(out, {**content, "provenance": made})


if __name__ == "__main__":
    main()
