"""Update rules that look at a whole matrix, Muon and Adafactor, as runs take them.

They are the rules that are measured (`numerics.linearization.update_directions`), with running
averages in place of a list of gradients:

    muon       m ← μm + (1 − μ)g;  θ ← θ − η (c U Vᵀ + λθ), U Σ Vᵀ = μm + (1 − μ)g, μ = 0.95
    adafactor  r, c, v as there;   θ ← θ − min(η, 1/√t) max(10⁻³, RMS(θ)) u/max(1, RMS(u)) − ηλθ

Muon's singular values are exactly 1; torch's five Newton–Schulz iterations leave 0.7 to 1.2. Tables
and vectors take AdamW's step. A parameter that holds several matrices is stepped matrix by matrix.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from numerics.linearization.factored_steps import CLIP, DECAY_POWER, LEAST_SIZE
from numerics.linearization.orthogonal_steps import MUON_MOMENTUM, orthogonal

EPSILON = 1e-8
"""Added to √v̂ where Muon leaves a tensor to Adam."""
OptimizerParameters = Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]]


class MatrixRule(torch.optim.Optimizer):
    """A rule for each matrix; a group's ``matrices`` says how many a parameter of it holds."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            group["taken"] = group.get("taken", 0) + 1
            for theta in group["params"]:
                if theta.grad is None:
                    continue
                state = self.state[theta]
                for part, (own, g) in enumerate(_parts(theta, theta.grad, group["matrices"])):
                    self.move(own, g, _State(state, part), group)

    def move(self, theta: Tensor, g: Tensor, state: "_State", group: dict[str, Any]) -> None:
        """Take one matrix's step in place."""
        raise NotImplementedError


class Muon(MatrixRule):
    """Muon of hidden matrices in one of its scalings, and AdamW of the rest.

    Groups with ``matrices`` 0 hold embeddings, positions and heads, which take AdamW's step.
    """

    def __init__(
        self,
        parameters: OptimizerParameters,
        lr: float,
        betas: tuple[float, float],
        weight_decay: float,
        scaling: str = "original",
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "matrices": 1}
        super().__init__(parameters, defaults)
        self.scaling = scaling

    def move(self, theta: Tensor, g: Tensor, state: "_State", group: dict[str, Any]) -> None:
        """Take one matrix's step in place."""
        rate = group["lr"]
        if theta.ndim == 2 and group["matrices"]:
            mean = state.of("mean", torch.zeros_like(theta)).lerp_(g, 1 - MUON_MOMENTUM)
            direction = orthogonal(g.lerp(mean, MUON_MOMENTUM), self.scaling)
        else:
            (beta1, beta2), step = group["betas"], group["taken"]
            mean = state.of("mean", torch.zeros_like(theta)).lerp_(g, 1 - beta1)
            square = state.of("square", torch.zeros_like(theta))
            square.mul_(beta2).addcmul_(g, g, value=1 - beta2)
            root = square.sqrt().div_(math.sqrt(1 - beta2**step)).add_(EPSILON)
            direction = mean / (1 - beta1**step) / root
        theta.mul_(1 - rate * group["weight_decay"]).add_(direction, alpha=-rate)


class Adafactor(MatrixRule):
    """Adafactor as torch has it, without its floors under v, which depend on the loss's scale."""

    def __init__(self, parameters: OptimizerParameters, lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "matrices": 1})

    def move(self, theta: Tensor, g: Tensor, state: "_State", group: dict[str, Any]) -> None:
        """Take one matrix's step in place."""
        step, new, square = group["taken"], float(group["taken"]) ** DECAY_POWER, g.square()
        if theta.ndim > 1:
            rows, columns = square.mean(-1, keepdim=True), square.mean(-2, keepdim=True)
            rows = state.of("rows", torch.zeros_like(rows)).lerp_(rows, new)
            columns = state.of("columns", torch.zeros_like(columns)).lerp_(columns, new)
            mean = rows.mean(-2, keepdim=True)
            second = rows @ columns / torch.where(mean > 0, mean, torch.ones_like(mean))
        else:
            second = state.of("square", torch.zeros_like(square)).lerp_(square, new)
        moving = second > 0
        root = torch.where(moving, second, torch.ones_like(second)).sqrt()
        update = torch.where(moving, g / root, torch.zeros_like(g))
        size = theta.square().mean().sqrt().clamp_min(LEAST_SIZE)
        rate = min(group["lr"], step**-0.5)
        clipped = update / (update.square().mean().sqrt() / CLIP).clamp_min(1.0)
        theta.mul_(1 - group["lr"] * group["weight_decay"]).sub_(rate * size * clipped)


class _State:
    """The running averages of one of a parameter's matrices."""

    def __init__(self, own: dict[str, Tensor], part: int) -> None:
        self.own, self.part = own, part

    def of(self, name: str, start: Tensor) -> Tensor:
        """The average kept under a name, which begins as ``start``."""
        return self.own.setdefault(f"{name}-{self.part}", start)


def _parts(theta: Tensor, g: Tensor, matrices: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Each matrix of a parameter with its gradient, as views."""
    count = max(matrices, 1)
    yield from zip(theta.chunk(count), g.chunk(count), strict=True)
