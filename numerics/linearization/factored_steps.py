"""Adafactor's relative step: a fraction of the weights' size, over a factored second moment.

Shazeer and Stern, arXiv:1804.04235, as `torch.optim.Adafactor` has it while its learning rate is
below 1/√t. With β_t = 1 − t^(−0.8), so that the first gradient counts whole,

    r ← β_t r + (1 − β_t) mean_columns(g²),  c ← β_t c + (1 − β_t) mean_rows(g²),  v = r cᵀ/mean(r)
    u = g/√v,    step ÷ −η = max(10⁻³, RMS(θ)) u/max(1, RMS(u))

Vectors keep all of v. Torch's floors under v, the type's ε, are left out: they depend on the
loss's scale.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

DECAY_POWER = -0.8
LEAST_SIZE = 1e-3
"""Size that a tensor's RMS is taken for where it is smaller, as at 0."""
CLIP = 1.0


def adafactor_step(history: Sequence[Tensor], theta: Tensor) -> Tensor:
    """Turn a tensor's gradients into Adafactor's step ÷ −η.

    Parameters
    ----------
    history
        Gradients, first to last.
    theta
        The tensor, whose root mean square is the step's size.

    Examples
    --------
    >>> adafactor_step([torch.tensor([3.0, -5.0])], torch.tensor([2.0, 2.0]))
    tensor([ 2., -2.])
    """
    second = torch.zeros((), dtype=theta.dtype, device=theta.device)
    rows = columns = second
    for t, gradient in enumerate(history, 1):
        new, square = float(t) ** DECAY_POWER, gradient.square()
        if theta.ndim > 1:
            rows = rows + new * (square.mean(-1, keepdim=True) - rows)
            columns = columns + new * (square.mean(-2, keepdim=True) - columns)
            mean = rows.mean(-2, keepdim=True)
            second = rows @ columns / torch.where(mean > 0, mean, torch.ones_like(mean))
        else:
            second = second + new * (square - second)
    moving = second > 0
    root = torch.where(moving, second, torch.ones_like(second)).sqrt()
    update = torch.where(moving, history[-1] / root, torch.zeros_like(history[-1]))
    size = theta.square().mean().sqrt().clamp_min(LEAST_SIZE)
    return size * update / (update.square().mean().sqrt() / CLIP).clamp_min(1.0)
