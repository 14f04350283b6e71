"""One optimizer step, θ ← θ − η u(∇ℓ), and what is logged of it.

Logged: step (from 1), training loss ℓ, learning rate η, ‖∇ℓ‖, ‖Δθ‖, target tokens, seconds.
"""

import time

import numpy as np
import torch
from torch import Tensor

from numerics.data.batches import Batch
from numerics.models.transformer import Transformer
from numerics.training.checkpoint import Row
from numerics.training.config import TrainConfig
from numerics.training.objective import batch_loss


def make_optimizer(model: Transformer, config: TrainConfig) -> torch.optim.Optimizer:
    """Adam with the configured constants (ε = 1e-8), or plain SGD."""
    if config.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=config.lr)
    return torch.optim.Adam(model.parameters(), lr=config.lr, betas=config.betas, fused=True)


def learning_rate(config: TrainConfig, taken: int) -> float:
    """η min(1, t / warmup) at step t = ``taken`` + 1; η throughout without warm-up.

    Examples
    --------
    >>> [learning_rate(TrainConfig(lr=1.0, warmup=4), taken) for taken in (0, 1, 3, 9)]
    [0.25, 0.5, 1.0, 1.0]
    """
    return config.lr * min(1.0, (taken + 1) / config.warmup) if config.warmup else config.lr


def training_step(
    model: Transformer,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: TrainConfig,
    taken: int,
) -> Row:
    """One optimizer step after ``taken`` others; none if the loss is not finite."""
    started = time.perf_counter()
    rate = learning_rate(config, taken)
    for group in optimizer.param_groups:
        group["lr"] = rate
    # Dropout depends on (seed, step) alone, so a resumed run draws the same masks.
    torch.manual_seed(config.seed * 1_000_003 + taken)
    parameters = list(model.parameters())
    before = [parameter.detach().clone() for parameter in parameters]
    optimizer.zero_grad()
    device = parameters[0].device
    loss = batch_loss(model, batch.to(device), config.label_smoothing)
    row = {"step": float(taken + 1), "loss": loss.item(), "lr": rate}
    if np.isfinite(row["loss"]):
        loss.backward()
        row["gradient_norm"] = _norm([p.grad for p in parameters if p.grad is not None])
        optimizer.step()
        moves = [now.detach() - then for now, then in zip(parameters, before, strict=True)]
        row["update_norm"] = _norm(moves)
    seconds = time.perf_counter() - started
    return row | {"tokens": float(batch.tokens), "seconds": seconds}


def _norm(tensors: list[Tensor]) -> float:
    return torch.nn.utils.get_total_norm(tensors).item()
