"""One optimizer step, θ ← θ − η u(∇ℓ), and what is logged of it.

The log has the step (from 1), training loss ℓ, learning rate η, ‖∇ℓ‖ before any clipping, ‖Δθ‖,
target tokens, seconds, and the signals of `signals.py` where they are asked for. Several processes
share one batch and average their gradients. The shares are weighted so that the average is the
gradient of the whole batch.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from numerics.data.batches import TextBatch, share
from numerics.training.checkpoint import LogRow
from numerics.training.config import TrainConfig
from numerics.training.objective import batch_loss
from numerics.training.schedules import learning_rate
from numerics.training.signals import norm_inputs, signals


def training_step(
    fabric: Any,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: TextBatch,
    config: TrainConfig,
    taken: int,
) -> LogRow:
    """Take one optimizer step after ``taken`` others, unless the loss is not finite."""
    started = time.perf_counter()
    rate, processes = learning_rate(config, taken), fabric.world_size
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)
    # Dropout depends on (seed, step) alone, so a resumed run draws the same masks.
    _seed(config.seed * 1_000_003 + taken + fabric.global_rank * 1_000_000_007, fabric.device)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    before = [parameter.detach().clone() for parameter in parameters]
    optimizer.zero_grad()
    own = share(batch, fabric.global_rank, processes).to(fabric.device)
    with norm_inputs(model, watched=config.signals) as seen:
        loss = batch_loss(model, own, config.label_smoothing) * processes
    whole = fabric.all_reduce(loss.detach(), reduce_op="mean") if processes > 1 else loss
    row = {"step": float(taken + 1), "loss": whole.item(), "lr": rate}
    if np.isfinite(row["loss"]):
        fabric.backward(loss)
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        row["gradient_norm"] = norm.item()
        if config.clip:
            torch.nn.utils.clip_grads_with_norm_(parameters, config.clip, norm)
        optimizer.step()
        if config.signals:
            # Groups by rate or by kind of matrix are in another order than the model's names.
            own_before = dict(zip(map(id, parameters), before, strict=True))
            then = {name: own_before[id(p)] for name, p in model.named_parameters()}
            row |= signals(model, then, seen, rate)
        row["update_norm"] = _moved(parameters, before)
    seconds = time.perf_counter() - started
    return row | {"tokens": float(batch.tokens), "seconds": seconds}


def _seed(seed: int, device: torch.device) -> None:
    """Seed the generators that dropout draws from.

    `torch.manual_seed` would also record one stack trace per step for every kind of device that
    was never used.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _moved(parameters: Sequence[Tensor], before: Sequence[Tensor]) -> float:
    """The norm ‖Δθ‖ of a step; ``before`` is overwritten."""
    moves = [then.sub_(now.detach()) for now, then in zip(parameters, before, strict=True)]
    return torch.nn.utils.get_total_norm(moves).item()
