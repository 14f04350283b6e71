"""What measuring any torch module costs, beside what one would write without the tool.

    naive      copy the model, forward, backward, SGD step, second forward, norm of the difference:
               one finite η, the total only
    total      `measure_module(split=False)`: the exact limit on a private copy, the total only
    roles      the same with every role apart
    layers     the same with every role and every layer apart
    copy, gradient, tangent   the parts of ``total`` alone
    torch       the same tangent by torch's own rules, through its math attention
    floor      as many tangents as there are roles, which all enter at the embedding: no weight has
               one, so that it is what any way of carrying them all through the model costs

The goals of 1.3 and 2.2 are not met, and the parts say why. A forward derivative carries a tangent
beside every value, through attention that is written out, because the fused one has no forward
derivative: ``copy`` + ``gradient`` + ``tangent`` are already about 1.8. The norm of each role's
change needs a tangent of its own: ``floor`` alone is about 3.

With ``--blocks written-out`` the decoder is one of today's: RMS norms and rotary positions are
written out in products with numbers and constants, and its MLP is gated.

All run in float32, so that precision is not what differs. Repeats are interleaved; reported are
medians and their ratios to the naive script. With one thread the clock is the process's CPU time.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn import functional as F

from numerics.own_model.measurement.conditions import measuring
from numerics.own_model.measurement.function import module_function
from numerics.own_model.measurement.groups import grouping
from numerics.own_model.measurement.measure import measure_module, update_of
from numerics.own_model.measurement.private_copy import private_copy
from numerics.own_model.measurement.tangents import tangents
from numerics.own_model.measurement.update_steps import steps
from numerics.stores.files import write_json
from numerics.stores.provenance import command_line, provenance
from numerics.structure.trace import trace_structure

GOALS = {"total": 1.3, "roles": 2.2}
"""Ratios to the naive script that were asked for."""


@dataclass(frozen=True)
class Settings:
    """One benchmark."""

    depth: int = 50
    width: int = 64
    hidden: int = 128
    heads: int = 2
    sequences: int = 8
    tokens: int = 16
    threads: int = 1
    repeats: int = 7
    seed: int = 0
    blocks: str = "fused"
    """``fused`` has torch's norm and GELU, ``written-out`` RMS norms, rotary positions, SwiGLU."""


class Block(nn.Module):
    """Pre-LN attention and MLP, as its users write it."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        d, self.heads = settings.width, settings.heads
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, settings.hidden), nn.Linear(settings.hidden, d)

    def forward(self, x: Tensor) -> Tensor:
        """One layer."""
        three = self.qkv(self.norm1(x)).chunk(3, -1)
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in three)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class WrittenNorm(nn.Module):
    """RMS norm from its formula."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """x over its root mean square, times the gain."""
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class WrittenBlock(nn.Module):
    """Pre-LN attention with rotary positions and a gated MLP, as its users write them."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        d, hidden, self.heads = settings.width, settings.hidden, settings.heads
        self.norm1, self.norm2 = WrittenNorm(d), WrittenNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.gate, self.up = nn.Linear(d, hidden, bias=False), nn.Linear(d, hidden, bias=False)
        self.down = nn.Linear(hidden, d, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """One layer."""
        three = self.qkv(self.norm1(x)).chunk(3, -1)
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in three)
        half = q.shape[-1] // 2
        angles = torch.arange(q.shape[-2])[:, None] * 1e4 ** (-torch.arange(half) / half)
        cos, sin = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)
        q, k = (y * cos + torch.cat([-y[..., half:], y[..., :half]], -1) * sin for y in (q, k))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


BLOCKS = {"fused": (Block, nn.LayerNorm), "written-out": (WrittenBlock, WrittenNorm)}


class Decoder(nn.Module):
    """Embedding, blocks, a last norm; no head, so that all contestants compute the same f."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        block, norm = BLOCKS[settings.blocks]
        self.embedding = nn.Embedding(128, settings.width)
        self.blocks = nn.ModuleList(block(settings) for _ in range(settings.depth))
        self.norm = norm(settings.width)

    def forward(self, ids: Tensor) -> Tensor:
        """Features of a batch of token ids."""
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


def contestants(settings: Settings) -> dict[str, Callable[[], float | None]]:
    """The functions to time, on one model and batch."""
    torch.manual_seed(settings.seed)
    model = Decoder(settings)
    ids = torch.randint(128, (settings.sequences, settings.tokens))
    structure = trace_structure(model, ids)
    with measuring():
        ready = module_function(model, ids, dtype=torch.float32)
        u = ready.random_cotangent(settings.seed).float()
        step = steps("sgd", [ready.gradient(u)[1]], ready.parameters)

    def naive(eta: float = 1e-4) -> float:
        moved = copy.deepcopy(model)
        before = moved(ids)
        before.backward(u)
        torch.optim.SGD(moved.parameters(), lr=eta).step()
        with torch.no_grad():
            after = moved(ids)
        return float((after - before.detach()).norm()) / eta

    def total() -> float:
        options = {"seed": settings.seed, "dtype": torch.float32, "split": False}
        return measure_module(model, ids, ("sgd",), **options)["sgd"].total  # type: ignore[arg-type]

    def grouped(layers: bool) -> float:
        with measuring():
            f = module_function(model, ids, dtype=torch.float32)
            found = update_of(f, ("sgd",), seed=settings.seed, structure=structure, layers=layers)
        return found["sgd"].total

    def only_copy() -> None:
        private_copy(model, torch.float32)

    def only_gradient() -> None:
        with measuring():
            ready.gradient(u)

    roles = len(grouping(ready.parameters, structure).by_role)
    entering = {name: s for name, s in step.items() if name.startswith("embedding")}

    def floor() -> None:
        with measuring():
            tangents(ready, [entering] * roles, u)

    def only_tangent() -> None:
        with measuring():
            tangents(ready, [step], u)

    held = {name: value.detach() for name, value in model.named_parameters()}

    def torchs_tangent() -> None:
        with measuring(), torch.no_grad():
            jvp(lambda theta: functional_call(model, theta, (ids,)), (held,), (step,))

    return {
        "naive": naive,
        "total": total,
        "roles": lambda: grouped(False),
        "layers": lambda: grouped(True),
        "copy": only_copy,
        "gradient": only_gradient,
        "tangent": only_tangent,
        "torch": torchs_tangent,
        "floor": floor,
    }


def time_interleaved(
    functions: dict[str, Callable[[], float | None]], repeats: int, clock: Callable[[], float]
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
        choices = list(BLOCKS) if name == "blocks" else None
        parser.add_argument(f"--{name}", type=type(default), default=default, choices=choices)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/any_model.json"))
    options = vars(parser.parse_args())
    out = options.pop("out")
    settings = Settings(**options)
    torch.set_num_threads(settings.threads)
    started = time.perf_counter()
    clock = time.process_time if settings.threads == 1 else time.perf_counter
    seconds, values = time_interleaved(contestants(settings), settings.repeats, clock)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = {name: median / medians["naive"] for name, median in medians.items()}
    table = Table(title=f"‖Δf‖/η of any module, N = {settings.depth}, threads: {settings.threads}")
    for column in ("", "median s", "best s", "÷ naive", "goal", "‖Δf‖/η"):
        table.add_column(column, justify="left" if not column else "right")
    for name, times in seconds.items():
        goal = f"{GOALS[name]:.1f}" if name in GOALS else ""
        value = values[name]
        row = (f"{medians[name]:.4f}", f"{min(times):.4f}", f"{ratios[name]:.2f}", goal)
        table.add_row(name, *row, "" if value is None else f"{value:.3f}")
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
        "clock": clock.__name__,
        "median_seconds": medians,
        "ratio_to_naive": ratios,
        "goals": GOALS,
        "seconds": seconds,
    }
    write_json(out, {**content, "values": values, "provenance": made})


if __name__ == "__main__":
    main()
