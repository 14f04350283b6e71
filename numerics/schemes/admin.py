"""Admin (Liu et al., EMNLP 2020): Post-LN whose skip paths carry trained, profiled factors.

A block is LN(ω∘y + G(y)), where ω is a trainable vector that starts with all entries equal. Block i
of a stack, from 1, has input x_{i−1} and branch output f_i. Variances are over all elements of one
training-mode forward of a random batch; encoder and decoder are counted separately.

- ``admin``, the paper: ω_i² = Σ_{j<i} Var[f_j], profiled with every ω at 1. The sum is empty at
  i = 1, of which the paper says nothing: ω_1 stays 1.
- ``admin-code``: ω_1 = 1, ω_{i+1} = √(Var[ω_i x_{i−1}] + Var[f_i]), set as the forward goes on; it
  has the Var[x_0] that the paper's sum lacks.
- ``admin-log``, ``admin-sqrt``, ``admin-one``: admin-torch's closed forms for a stack of n blocks,
  √((n+1)/ln(n+1) − 1), √n and 1, for output changes of O(log n), O(1) and O(n). The factors are
  trained here, which is one of the two forms that admin-torch offers.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import log

import torch
from torch import Tensor

from numerics.models.blocks import Arrival, Residual
from numerics.models.spec import ModelSpec
from numerics.models.transformer import Transformer
from numerics.models.wiring import WIRINGS
from numerics.schemes.profiling import profile
from numerics.schemes.scheme import Scheme


@dataclass(frozen=True)
class AdminPaper(Scheme):
    """Admin as the paper states it: each factor from the variances of all branches below.

    ω_i = √(Σ_{j<i} Var[f_j]) and ω_1 = 1.
    """

    @torch.no_grad()
    def profile_(self, model: Transformer, generator: torch.Generator) -> None:
        """Record Var[f_i] with every ω at 1, then fill."""
        found: dict[str, list[tuple[Residual, Tensor]]] = defaultdict(list)

        def visit(site: Arrival) -> None:
            found[site.stack].append((site.block, _variance(site.branch)))

        profile(model, generator, visit)
        for blocks in found.values():
            total = torch.zeros_like(blocks[0][1])
            for number, (block, variance) in enumerate(blocks):
                if number:
                    _fill_(block, total.sqrt())
                total = total + variance


@dataclass(frozen=True)
class AdminCode(Scheme):
    """Admin as its code has it: each factor from the variance of the sum in the block below.

    ω_{i+1} = √(Var[ω_i x_{i−1}] + Var[f_i]) and ω_1 = 1.
    """

    @torch.no_grad()
    def profile_(self, model: Transformer, generator: torch.Generator) -> None:
        """Fill each block's ω when the forward pass reaches it."""
        following: dict[str, Tensor] = {}

        def visit(site: Arrival) -> None:
            if site.stack in following:
                _fill_(site.block, following[site.stack])
            assert site.block.omega is not None
            skip, branch = site.block.omega * site.before, site.branch
            following[site.stack] = (_variance(skip) + _variance(branch)).sqrt()

        profile(model, generator, visit)


@dataclass(frozen=True)
class AdminTorch(Scheme):
    """The same ω for every block of a stack, a function of their number n."""

    omega: Callable[[int], float] = field(kw_only=True)
    """ω as a function of the number of blocks n."""

    def adapt(self, spec: ModelSpec) -> ModelSpec:
        """Let the skip paths of each stack start with the ω of its own number of blocks."""
        starts = {
            f"{stack}_shortcut": self.omega(spec.stack_blocks(stack)) for stack in spec.stacks
        }
        return replace(super().adapt(spec), **starts)


def log_omega(blocks: int) -> float:
    """The factor under which the output's change grows with the logarithm of the number of blocks.

    ω = √((n+1)/ln(n+1) − 1).

    Examples
    --------
    >>> [round(log_omega(n), 4) for n in (12, 36, 200, 600)]
    [2.0170, 3.0408, 6.0746, 9.6399]
    """
    return ((blocks + 1) / log(blocks + 1) - 1) ** 0.5


def sqrt_omega(blocks: int) -> float:
    """The factor under which the output's change is bounded, ω = √n."""
    return blocks**0.5


def unit_omega(blocks: int) -> float:
    """The factor of plain Post-LN, ω = 1 for every number of blocks."""
    del blocks
    return 1.0


def _variance(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float64).var(correction=0)


def _fill_(block: Residual, value: Tensor) -> None:
    assert block.omega is not None
    block.omega.copy_(value.expand_as(block.omega))


_PAPER, _TORCH = "Liu et al., EMNLP 2020, §4.3", "microsoft/admin-torch"
ADMIN = AdminPaper("admin", WIRINGS["admin"], _PAPER)
ADMIN_CODE = AdminCode("admin-code", WIRINGS["admin"], "LiyuanLucasLiu/Transformer-Clinic")
ADMIN_LOG = AdminTorch("admin-log", WIRINGS["admin"], _TORCH, omega=log_omega)
ADMIN_SQRT = AdminTorch("admin-sqrt", WIRINGS["admin"], _TORCH, omega=sqrt_omega)
ADMIN_ONE = AdminTorch("admin-one", WIRINGS["admin"], _TORCH, omega=unit_omega)
