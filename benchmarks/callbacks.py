"""What watching every k-th training step costs, beside the steps themselves.

    step     forward, backward and AdamW on the training batch
    watch    `StepWatch.before` and `after` on a probe of a few of its sequences

Both alternate in one process, and the clock is the process's CPU time on one thread. Reported is
the watch's share of the time at one measurement every k steps, watch/(k · step + watch).
"""

import argparse
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.any_model import Decoder
from benchmarks.any_model import Settings as ModelSettings
from numerics.own_model.workflow.step_watch import StepWatch, learning_rate
from numerics.stores.files import write_json
from numerics.stores.provenance import command_line, provenance

GOAL = 0.05
"""The largest share that was asked for."""


@dataclass(frozen=True)
class Settings:
    """One benchmark."""

    depth: int = 6
    width: int = 128
    hidden: int = 512
    heads: int = 4
    sequences: int = 32
    probe: int = 4
    tokens: int = 64
    every: int = 50
    repeats: int = 7
    seed: int = 0


def measured(settings: Settings) -> dict[str, float]:
    """Medians of both in seconds, and the watch's share."""
    generator = torch.Generator().manual_seed(settings.seed)
    names = ("depth", "width", "hidden", "heads", "sequences", "tokens")
    torch.manual_seed(settings.seed)
    model = Decoder(ModelSettings(**{name: getattr(settings, name) for name in names}))
    shape = (settings.sequences, settings.tokens)
    ids = torch.randint(0, 50, shape, generator=generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    watch = StepWatch(ids[: settings.probe], settings.every)
    structure = watch.before(model).structure
    steps, watches = [], []
    for _ in range(settings.repeats):
        clock = time.process_time()
        opened = watch.before(model, structure)
        before = time.process_time() - clock
        clock = time.process_time()
        optimizer.zero_grad()
        model(ids).square().mean().backward()
        optimizer.step()
        steps.append(time.process_time() - clock)
        clock = time.process_time()
        opened.after(model, learning_rate(optimizer))
        watches.append(before + time.process_time() - clock)
    step, one = statistics.median(steps), statistics.median(watches)
    return {"step": step, "watch": one, "share": one / (settings.every * step + one)}


def main() -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/callbacks.json"))
    out = parser.parse_args().out
    torch.set_num_threads(1)
    settings, started = Settings(), time.perf_counter()
    found = measured(settings)
    Console().print(
        f"a step {found['step']:.3g} s, a watch {found['watch']:.3g} s: "
        f"{100 * found['share']:.1f} % at k = {settings.every}, asked at most {100 * GOAL:.0f} %"
    )
    made = provenance(
        command=command_line(),
        config=settings,
        seed=settings.seed,
        device="cpu",
        dtype="float32",
        seconds=time.perf_counter() - started,
    )
    write_json(out, {"settings": asdict(settings), "found": found, "provenance": made})


if __name__ == "__main__":
    main()
