"""A sweep of very many tasks, and a ledger of a thousand claims: time, memory, throughput.

Run as ``python -m benchmarks.load``; ``--tasks 100000`` is the whole load. The tasks are real
measurements of the smallest model there is, one layer of width 2, so that the store and the
scheduling are what takes the time. Resident memory of this process is sampled while it sweeps.
The finished folder is then opened again by the same call, which has nothing left to measure. Last,
`CLAIMS` claims with the evidence of a real one are decided, written, read back and made a page.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from numerics.cli.main import run as command
from numerics.executors import DaskCluster, Executors, Local
from numerics.report.verdicts import summary
from numerics.stores.files import write_json
from numerics.stores.provenance import command_line, provenance
from numerics.sweeps.grid import SweepConfig, SweepSettings
from numerics.sweeps.run import run_sweep
from numerics.verify import as_document, from_document, providers
from theory.claims import Context, verdict
from theory.ledger import LEDGER

CLAIMS = 1_000
RESUME = 10.0
"""Seconds in which a finished sweep of any length must be open again."""
FLAT = 1.5
"""Largest ratio of the memory in the last tenth of the tasks to that after the first tenth: the
list of tasks grows with the grid, the rows must not."""
EVERY = 0.5
"""Seconds between two samples of the memory."""
SMALLEST = SweepSettings(
    architecture="encoder-only", d_model=2, d_ff=2, heads=1, vocabulary=4, sequences=1, tokens=2
)
SCHEMES = ("tfixup", "xavier", "post-ln", "pre-ln", "rezero")
OPTIMIZERS = ("sgd", "sign")


@dataclass(frozen=True)
class Load:
    """One sweep."""

    engine: str
    tasks: int
    rows: int
    seconds: float
    tasks_per_second: float
    resumed_seconds: float
    """The same call on the finished folder."""
    mebibytes_early: float
    """Median resident memory while the second tenth of the time passed."""
    mebibytes_late: float
    """The same of the last tenth before the merge."""
    mebibytes_most: float
    """Largest sample, the merge included."""
    ratio: float


class _Memory:
    """Samples the resident memory of this process in a thread."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Memory":
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while not self._stop.wait(EVERY):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.samples.append((time.perf_counter(), pages * page / 2**20))

    def median(self, low: float, high: float) -> float:
        """Over a range of the samples, as shares of their number."""
        count = len(self.samples)
        part = self.samples[int(low * count) : max(int(high * count), int(low * count) + 1)]
        return statistics.median(value for _, value in part)


def sweep(engine: Executors, name: str, tasks: int, folder: Path) -> Load:
    """Sweep ``tasks`` tasks on an engine, then open the folder again."""
    config = grid(tasks)
    count = len(config.tasks())
    started = time.perf_counter()
    with _Memory() as memory:
        rows = run_sweep(config, folder, engine=engine)
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    again = run_sweep(config, folder, engine=Local(1))
    resumed = time.perf_counter() - started
    if not again.equals(rows) or rows["task"].n_unique() != count:
        raise SystemExit(f"{name}: the finished sweep must hold every task once")
    early, late = memory.median(0.1, 0.2), memory.median(0.8, 0.9)
    most = max(value for _, value in memory.samples)
    return Load(
        name,
        count,
        len(rows),
        seconds,
        count / seconds,
        resumed,
        early,
        late,
        most,
        late / early,
    )


def grid(tasks: int) -> SweepConfig:
    """The grid of about so many tasks, one layer each."""
    seeds = max(1, tasks // (len(SCHEMES) * len(OPTIMIZERS)))
    return SweepConfig(SCHEMES, OPTIMIZERS, (1,), seeds, SMALLEST)


def ledger(folder: Path, count: int) -> dict[str, float]:
    """Seconds that many synthetic claims take from the verdict to the page, and its size."""
    name = "tfixup.decoder-scale"
    (model,) = (claim for claim in LEDGER if claim.id == name)
    found = [
        item
        for one in providers()
        if name in one.claims
        for item in one(Context())
        if item.claim == name
    ]
    claims = tuple(replace(model, id=f"synthetic.claim{number}") for number in range(count))
    evidence = [replace(item, claim=claim.id) for claim in claims for item in found]
    times: dict[str, float] = {}
    started = time.perf_counter()
    verdicts = tuple(verdict(claim, evidence) for claim in claims)
    times["decide_seconds"] = time.perf_counter() - started
    target, page = folder / "verdicts.json", folder / "page.html"
    started = time.perf_counter()
    write_json(target, as_document(verdicts, Context()))
    times["write_seconds"] = time.perf_counter() - started
    started = time.perf_counter()
    _, read = from_document(target, claims)
    times["read_seconds"] = time.perf_counter() - started
    if [item.outcome for item in read] != [item.outcome for item in verdicts]:
        raise SystemExit("what is read back must have the same verdicts")
    if len({item.outcome for item in verdicts}) != 1 or not list(summary(verdicts, 1.0, 80)):
        raise SystemExit("equal evidence must give equal verdicts")
    started = time.perf_counter()
    if command(["report", str(target), "--out", str(page)]) != 0:
        raise SystemExit("the report failed")
    times["report_seconds"] = time.perf_counter() - started
    cards = page.read_text("utf-8").count("synthetic.claim")
    if cards < count:
        raise SystemExit(f"the page must show all {count} claims, shows {cards}")
    times["page_mebibytes"] = page.stat().st_size / 2**20
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    times["mebibytes"] = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return times


def main() -> None:
    """Load the pool, Dask and the ledger, and record what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/load.json"))
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--engines", nargs="*", default=["local", "dask"])
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    started = time.perf_counter()
    engines = {"local": Local(options.workers), "dask": DaskCluster(options.workers)}
    found: list[Load] = []
    with tempfile.TemporaryDirectory() as place:
        claims = ledger(Path(place), CLAIMS)
        print(f"{CLAIMS} claims: {claims}", flush=True)
        for name in options.engines:
            found.append(sweep(engines[name], name, options.tasks, Path(place) / name))
            print(found[-1], flush=True)
    record = provenance(
        command=command_line(),
        config={"tasks": options.tasks, "workers": options.workers, "settings": asdict(SMALLEST)},
        seed=0,
        device="cpu",
        dtype="auto",
        seconds=time.perf_counter() - started,
    )
    content = {
        "sweeps": [asdict(one) for one in found],
        "claims": CLAIMS,
        "ledger": claims,
        "goals": {"resumed_seconds": RESUME, "ratio": FLAT},
        "provenance": record,
    }
    write_json(options.out, content)
    slow = [one.engine for one in found if one.resumed_seconds > RESUME]
    growing = [one.engine for one in found if one.ratio > FLAT]
    if slow or growing:
        raise SystemExit(f"resumed too slowly: {slow}; memory grows: {growing}")


if __name__ == "__main__":
    main()
