"""What one measurement of ‖Δf‖/η costs, beside what one would write without it.

    naive           copy the model, forward, backward, SGD step, second forward, norm of the
                    difference: one finite η, the total only
    parts           `measure_update`: the exact limit, every part, by closed forms
    stacked         `measure_updates`: the same of several seeds at once, the time of one seed
    total           the exact limit by closed forms, the total only
    autodiff        `measure_update` by automatic differentiation, every part
    autodiff-total  the exact limit by automatic differentiation, the total only
    floor           the bare matrix products of the weights in five forward passes

Nothing is compiled, so there is no warm-up beyond the first call. Repeats are interleaved, so that
whatever else the machine does falls on all alike. Reported are medians and their ratios to the
naive script and to the floor. With one thread the clock is the process's CPU time, which other
programs on the machine disturb less than the wall time that more threads need. The goals for
automatic differentiation are at most 2.2 times the naive script for every part at N = 50 and width
64, 3.5 from width 512 on, and 1.3 for the total.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from numerics.linearization.cotangents import random_cotangent
from numerics.linearization.engines import LinearizationEngine, linearize
from numerics.linearization.update_directions import step_rule_named
from numerics.measure.updates import measure_update, measure_updates
from numerics.models import ModelSpec
from numerics.models.roles import matrices
from numerics.models.tokens import random_batch
from numerics.schemes import build
from numerics.stores.files import write_json
from numerics.stores.provenance import command_line, provenance


@dataclass(frozen=True)
class Settings:
    """One benchmark."""

    scheme: str = "tfixup"
    depth: int = 200
    sequences: int = 8
    tokens: int = 16
    threads: int = 1
    seeds: int = 4
    """How many models ``stacked`` measures at once."""
    repeats: int = 9
    seed: int = 0
    d_model: int = 64
    d_ff: int = 128
    heads: int = 2

    @property
    def goals(self) -> dict[str, float]:
        """Largest ratio to the naive script, by contestant."""
        return {"autodiff": 2.2 if self.d_model < 512 else 3.5, "autodiff-total": 1.3}


def contestants(settings: Settings) -> dict[str, Callable[[], float | None]]:
    """The functions to time, on one model and batch."""
    numbers = range(settings.seed, settings.seed + settings.seeds)
    generators = [torch.Generator().manual_seed(number) for number in numbers]
    spec = ModelSpec(
        settings.depth,
        settings.depth,
        d_model=settings.d_model,
        d_ff=settings.d_ff,
        heads=settings.heads,
    )
    models = [build(settings.scheme, spec, generator).eval() for generator in generators]
    batches = [
        random_batch(spec, generator, sequences=settings.sequences, tokens=settings.tokens)
        for generator in generators
    ]
    model, batch, generator = models[0], batches[0], generators[0]

    def fresh() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(number) for number in numbers]

    shape = (settings.sequences, settings.tokens, model.spec.d_model)
    cotangent = random_cotangent(shape, fresh()[0])
    rows = torch.randn(settings.sequences * settings.tokens, 1, generator=generator)
    weights = [(matrix.tensor.detach(), matrix.tensor.shape[1]) for matrix in matrices(model)]
    streams = {width: rows.expand(-1, width).contiguous() for _, width in weights}

    def naive(eta: float = 1e-4) -> float:
        moved = copy.deepcopy(model)
        before = moved.features(batch.source_BS, batch.target_BT)
        before.backward(cotangent(before))
        torch.optim.SGD(moved.parameters(), lr=eta).step()
        with torch.no_grad():
            after = moved.features(batch.source_BS, batch.target_BT)
        return float((after - before.detach()).norm()) / eta

    def parts(engine: LinearizationEngine) -> float:
        report = measure_update(
            model, batch, generator, cotangent=cotangent, inputs="table", engine=engine
        )
        return report.update["total"]

    def stacked() -> float:
        return measure_updates(models, batches, fresh(), inputs="table")[0].update["total"]

    def total(engine: LinearizationEngine) -> float:
        [found] = linearize(
            [model],
            [batch],
            [cotangent],
            step_rule_named("sgd"),
            groups="total",
            inputs="table",
            engine=engine,
        )
        return float(found.tangents.norm())

    @torch.inference_mode()
    def floor() -> None:
        for _ in range(5):
            for weight, width in weights:
                torch.mm(streams[width], weight.T)

    return {
        "naive": naive,
        "parts": partial(parts, "closed-form"),
        "stacked": stacked,
        "total": partial(total, "closed-form"),
        "autodiff": partial(parts, "autodiff"),
        "autodiff-total": partial(total, "autodiff"),
        "floor": floor,
    }


def time_interleaved(
    functions: dict[str, Callable[[], float | None]],
    repeats: int,
    clock: Callable[[], float],
) -> tuple[dict[str, list[float]], dict[str, float | None]]:
    """Seconds of every repeat after one warm-up, and the last value of each."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    values = {name: function() for name, function in functions.items()}
    for _ in range(repeats):
        for name, function in functions.items():
            started = clock()
            values[name] = function()
            seconds[name].append(clock() - started)
    return seconds, values


def main() -> None:
    """Time, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name, default in asdict(Settings()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/update.json"))
    options = vars(parser.parse_args())
    out = options.pop("out")
    settings = Settings(**options)
    torch.set_num_threads(settings.threads)
    started = time.perf_counter()
    clock = time.process_time if settings.threads == 1 else time.perf_counter
    seconds, values = time_interleaved(contestants(settings), settings.repeats, clock)
    seconds["stacked"] = [each / settings.seeds for each in seconds["stacked"]]
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = {name: median / medians["naive"] for name, median in medians.items()}
    to_floor = {name: median / medians["floor"] for name, median in medians.items()}
    shape = f"N = {settings.depth}, {settings.d_model}-{settings.d_ff}-{settings.heads}"
    title = f"‖Δf‖/η at {shape}, threads: {settings.threads}, seeds: {settings.seeds}"
    table = Table(title=title)
    for column in ("", "median s", "best s", "÷ naive", "÷ floor", "‖Δf‖/η"):
        table.add_column(column, justify="left" if not column else "right")
    for name, times in seconds.items():
        row = (medians[name], min(times), ratios[name], to_floor[name])
        value = values[name]
        change = "" if value is None else f"{value:.3f}"
        table.add_row(name, *(f"{number:.3f}" for number in row), change)
    Console().print(table)
    for name, goal in settings.goals.items():
        reached = ratios[name] <= goal
        print(f"goal, {name} at most {goal} times naive: {reached}, {ratios[name]:.2f}")
    made = provenance(
        command=command_line(),
        config=settings,
        seed=settings.seed,
        device="cpu",
        dtype="float32",
        seconds=time.perf_counter() - started,
    )
    content = {
        "clock": clock.__name__,
        "median_seconds": medians,
        "ratio_to_naive": ratios,
        "ratio_to_floor": to_floor,
        "seconds": seconds,
    }
    write_json(out, {**content, "values": values, "provenance": made})


if __name__ == "__main__":
    main()
