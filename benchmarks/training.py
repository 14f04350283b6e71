"""What a training step costs, beside the same step built on `torch.nn.Transformer`.

    torch      `torch.nn.Transformer` as it comes (Post-LN, biases), its own causal and padding
               masks, our embeddings and output table, in the same `training_step`
    bare       the same model in the step one would write: logs nothing but the loss
    plain      bare with torch's Adam as it comes, which is not the fused one
    tfixup     `training_step` with T-Fixup: no layer norms, no biases; logs ‖∇ℓ‖ and ‖Δθ‖
    post-ln    `training_step` with Post-LN: torch's layer norms, no biases
    tfixup-autodiff, post-ln-autodiff
               the same without closed forms: gradients by automatic differentiation, fused
               attention
    floor      the bare matrix products of the weights: one forward, two backward

All have the same widths, ReLU, batch, Adam (fused but for plain), label smoothing, and no dropout.
Each repeat gives every contestant the same batch in turn, so that whatever else the machine does
falls on all alike. Reported are medians over the repeats of seconds per step and of torch's
seconds ÷ the contestant's on the same batch. Time is wall time, or on one thread CPU time, which
other programs on the machine disturb less. The goal for tfixup is at least 1.5.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

from numerics.data.batches import TextBatch, batches
from numerics.data.tokenizer import PADDING
from numerics.models import ModelSpec
from numerics.models.attention import fuse_attention
from numerics.models.positions import sinusoids
from numerics.schemes import build
from numerics.stores.files import write_json
from numerics.stores.provenance import command_line, provenance
from numerics.training.config import TrainConfig
from numerics.training.loop import differentiated, make_fabric, model_spec
from numerics.training.optimizers import make_optimizer
from numerics.training.step import training_step
from numerics.training.task import load_corpus, prepare

Step = Callable[[TextBatch], object]
GOAL = 1.5
"""Least throughput of tfixup in units of torch's."""
SCHEMES = ("tfixup", "post-ln")


@dataclass(frozen=True)
class Settings:
    """One benchmark."""

    depths: tuple[int, ...] = (6, 50)
    tokens: tuple[int, ...] = (512, 2_048)
    data: str = "generated"
    repeats: int = 15
    threads: int = 1


class TorchModel(nn.Module):
    """The model one would write around `torch.nn.Transformer`; suffixes as in `attention.py`."""

    def __init__(self, spec: ModelSpec, longest: int) -> None:
        super().__init__()
        self.multiplier = spec.multiplier
        self.source_embedding = nn.Embedding(spec.vocabulary, spec.d_model)
        self.target_embedding = nn.Embedding(spec.vocabulary, spec.d_model)
        self.stacks = nn.Transformer(
            spec.d_model,
            spec.heads,
            spec.encoder_layers,
            spec.decoder_layers,
            spec.d_ff,
            dropout=0.0,
            batch_first=True,
        )
        self.output = nn.Linear(spec.d_model, spec.vocabulary, bias=False)
        self.positions = sinusoids(
            longest, spec.d_model, device=torch.device("cpu"), dtype=torch.float32
        )
        for embedding in (self.source_embedding, self.target_embedding):
            nn.init.normal_(embedding.weight, std=spec.d_model**-0.5)

    def forward(
        self,
        source_BS: Int[Tensor, "B S"],
        target_BT: Int[Tensor, "B T"],
        padding_BS: Bool[Tensor, "B S"],
    ) -> Float[Tensor, "B T V"]:
        """Logits of the next target token."""
        t = target_BT.shape[1]
        features_BTD = self.stacks(
            self._embed(self.source_embedding, source_BS),
            self._embed(self.target_embedding, target_BT),
            tgt_mask=torch.ones(t, t, dtype=torch.bool).triu(1),
            src_key_padding_mask=padding_BS,
            memory_key_padding_mask=padding_BS,
            tgt_is_causal=True,
        )
        return self.output(features_BTD)

    def _embed(self, table: nn.Embedding, tokens_BT: Int[Tensor, "B T"]) -> Tensor:
        return table(tokens_BT) * self.multiplier + self.positions[: tokens_BT.shape[1]]


def torch_model(config: TrainConfig) -> TorchModel:
    """The model around `torch.nn.Transformer`, drawn from the run's seed."""
    torch.manual_seed(config.seed)
    return TorchModel(model_spec(config), config.tokens)


def bare_step(config: TrainConfig, *, fused: bool) -> Step:
    """The step one would write: zero the gradients, loss, backward, Adam."""
    model = torch_model(config)
    rule = {"lr": config.lr, "betas": config.betas}
    optimizer = torch.optim.Adam(model.parameters(), **rule, fused=fused or None)

    def step(batch: TextBatch) -> float:
        optimizer.zero_grad()
        logits_BTV = model(batch.source_BS, batch.target_BT, batch.padding_BS)
        loss = F.cross_entropy(
            logits_BTV.flatten(0, 1),
            batch.expected_BT.flatten(),
            ignore_index=PADDING,
            label_smoothing=config.label_smoothing,
        )
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def our_model(config: TrainConfig, *, closed: bool) -> nn.Module:
    """The model of a recorded run, as the training loop differentiates it, or plainly."""
    model = build(config.scheme, model_spec(config), torch.Generator().manual_seed(config.seed))
    fuse_attention(model)
    return differentiated(model, config) if closed else model


def recorded_step(model: nn.Module, config: TrainConfig) -> Step:
    """The step of a recorded run, with any model."""
    fabric = make_fabric(config, torch.device("cpu"))
    fabric.launch()
    wrapped = fabric.setup(model, move_to_device=False)
    optimizer = make_optimizer(model.parameters(), config)
    return lambda batch: training_step(fabric, wrapped, optimizer, batch, config, 0)


def products(spec: ModelSpec, batch: TextBatch) -> Iterator[tuple[int, int, int]]:
    """(rows, fan-out, fan-in) of every product of a weight with the stream."""
    s, t, d = batch.source_BS.numel(), batch.target_BT.numel(), spec.d_model
    for rows, layers in ((s, spec.encoder_layers), (t, spec.decoder_layers)):
        for _ in range(layers):
            yield from ((rows, 3 * d, d), (rows, d, d))
            yield from ((rows, spec.d_ff, d), (rows, d, spec.d_ff))
    for _ in range(spec.decoder_layers):
        yield from ((t, d, d), (s, 2 * d, d), (t, d, d))
    yield t, spec.vocabulary, d


def floor_step(config: TrainConfig) -> Step:
    """y = x Wᵀ forward, and g W and gᵀ x backward, for every weight."""
    spec = model_spec(config)
    widths = (spec.d_model, 2 * spec.d_model, 3 * spec.d_model, spec.d_ff, spec.vocabulary)
    drawn = torch.Generator().manual_seed(config.seed)
    rows = max(config.tokens, *widths)
    streams = {width: torch.randn(rows, width, generator=drawn) for width in widths}

    @torch.inference_mode()
    def step(batch: TextBatch) -> None:
        for rows, out, into in products(spec, batch):
            x, g, weight = streams[into][:rows], streams[out][:rows], streams[into][:out]
            torch.mm(x, weight.T)
            torch.mm(g, weight)
            torch.mm(g.T, x)

    return step


def contestants(config: TrainConfig) -> dict[str, Step]:
    """The steps to time."""
    each = {scheme: replace(config, scheme=scheme) for scheme in SCHEMES}
    ours = {scheme: our_model(own, closed=True) for scheme, own in each.items()}
    ours |= {f"{scheme}-autodiff": our_model(own, closed=False) for scheme, own in each.items()}
    steps = {"torch": recorded_step(torch_model(config), config)}
    steps |= {"bare": bare_step(config, fused=True), "plain": bare_step(config, fused=False)}
    steps |= {scheme: recorded_step(model, config) for scheme, model in ours.items()}
    return steps | {"floor": floor_step(config)}


def time_interleaved(
    steps: dict[str, Step], given: list[TextBatch], clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of every contestant on every batch but the first, which warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for batch in given:
        for name, step in steps.items():
            started = clock()
            step(batch)
            seconds[name].append(clock() - started)
    return {name: times[1:] for name, times in seconds.items()}


def ratios(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Median over the batches of torch's seconds ÷ the contestant's."""
    return {
        name: statistics.median(a / b for a, b in zip(seconds["torch"], times, strict=True))
        for name, times in seconds.items()
    }


def measure(settings: Settings) -> list[dict[str, Any]]:
    """One cell per depth and batch size."""
    config = TrainConfig(data=settings.data)
    corpus, cells = load_corpus(config), []
    clock = time.process_time if settings.threads == 1 else time.perf_counter
    for tokens in settings.tokens:
        task = prepare(corpus, replace(config, tokens=tokens), torch.device("cpu"))
        order = np.random.default_rng(config.seed)
        given = list(islice(batches(task.train, tokens, order), settings.repeats + 1))
        for depth in settings.depths:
            steps = contestants(replace(config, tokens=tokens, layers=depth))
            seconds = time_interleaved(steps, given, clock)
            medians = {name: statistics.median(times) for name, times in seconds.items()}
            cells.append(
                {
                    "depth": depth,
                    "tokens": tokens,
                    "median_seconds": medians,
                    "throughput_in_torchs": ratios(seconds),
                    "seconds": seconds,
                }
            )
    return cells


def table(cells: list[dict[str, Any]], threads: int) -> Table:
    """Medians and ratios, one row per contestant."""
    shown = Table(title=f"a training step at 64-128-2, threads: {threads}")
    seconds = "CPU s a step" if threads == 1 else "s a step"
    for column in ("N", "tokens", "", seconds, "times torch's throughput"):
        shown.add_column(column, justify="left" if not column else "right")
    for cell in cells:
        for name, median in cell["median_seconds"].items():
            ratio = cell["throughput_in_torchs"][name]
            numbers = (str(cell["depth"]), str(cell["tokens"]))
            shown.add_row(*numbers, name, f"{median:.4f}", f"{ratio:.2f}")
    return shown


def main() -> None:
    """Time, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    default = Settings()
    parser.add_argument("--depths", nargs="+", type=int, default=default.depths)
    parser.add_argument("--tokens", nargs="+", type=int, default=default.tokens)
    parser.add_argument("--data", default=default.data)
    parser.add_argument("--repeats", type=int, default=default.repeats)
    parser.add_argument("--threads", type=int, default=default.threads)
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks/training.json"))
    options = vars(parser.parse_args())
    out = options.pop("out")
    settings = Settings(**options)
    torch.set_num_threads(settings.threads)
    started = time.perf_counter()
    cells = measure(settings)
    Console().print(table(cells, settings.threads))
    least = min(cell["throughput_in_torchs"]["tfixup"] for cell in cells)
    reached = least >= GOAL
    print(f"goal, tfixup at least {GOAL} times torch's throughput: {reached}, least {least:.2f}")
    stored = asdict(settings) | {"data": TrainConfig(data=settings.data).stored()["data"]}
    made = provenance(
        command=command_line(),
        config=stored,
        seed=0,
        device="cpu",
        dtype="float32",
        seconds=time.perf_counter() - started,
    )
    write_json(out, {"cells": cells, "goal": GOAL, "reached": reached, "provenance": made})


if __name__ == "__main__":
    main()
