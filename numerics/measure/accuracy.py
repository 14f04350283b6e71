"""Whether the numbers of a measurement are right, and not only finite.

A finite number may be wrong by many orders of magnitude: where attention saturates, rounding errors
decide which of two keys a query attends to. What they do is estimated in two steps.

1. The *strain* of the forward pass (`numerics.linearization.strain`) says whether rounding can
   matter at all. It comes with every measurement at next to no cost. Below `LIMIT` it cannot.
2. Elsewhere the measurement is repeated, and its numbers must agree. Under ``dtype="auto"`` one in
   float32 is repeated in float64. Any other is repeated with every weight moved by a few roundings,
   θ ↦ θ (1 + k ε ξ) with ε the precision's unit roundoff, k = `ROUNDINGS` and ξ Gaussian: numbers
   that this changes are decided by roundings.
"""

import copy
import math
from typing import TYPE_CHECKING

import torch

from numerics.models import Transformer
from numerics.statistics.tolerances import tolerance

if TYPE_CHECKING:
    from numerics.measure.report import UpdateReport

LIMIT = 20.0
"""Strain above which a measurement is repeated. The models that a scheme draws with layer norms or
small scales stay below 10. Errors multiply from layer to layer: with Pre-LN's weights times 3 the
strain is 48 and float32 is right to 2 % at N = 25; times 10 it is 475, and float32 is wrong by a
factor 200 at N = 6."""
SMALLEST = 1e-25
"""A total below this is repeated too: squares of float32 underflow below 1e-38."""
ROUNDINGS = 8.0
"""Roundings by which the weights are moved: about those of one product's sum."""
NEGLIGIBLE = 1e-9
"""Share of the total below which a number of a part is not compared."""


def in_doubt(report: "UpdateReport") -> bool:
    """Whether rounding may have decided a number of a finite report."""
    totals = (report.update["total"], report.gradient_energy["total"], report.output_rms_ratio)
    return not report.strain <= LIMIT or min(totals) < SMALLEST


def agree(found: "UpdateReport", other: "UpdateReport") -> bool:
    """Whether all numbers of two reports agree to the tolerance ``accurate``.

    Numbers of parts are compared relative to themselves, or to `NEGLIGIBLE` of their total.
    """
    return found.finite and other.finite and deviation(found, other) <= tolerance("accurate")


def deviation(found: "UpdateReport", other: "UpdateReport") -> float:
    """Return the largest relative deviation of the numbers of one report from another's.

    It is infinite where a number is not finite.
    """
    worst = _relative(found.output_rms_ratio, other.output_rms_ratio, 0.0)
    for numbers, expected in (
        (found.update, other.update),
        (found.gradient_energy, other.gradient_energy),
    ):
        floor = NEGLIGIBLE * max(abs(numbers["total"]), abs(expected["total"]))
        worst = max(worst, *(_relative(numbers[p], expected[p], floor) for p in expected))
    return worst


def _relative(number: float, expected: float, floor: float) -> float:
    if number == expected:
        return 0.0
    if not (math.isfinite(number) and math.isfinite(expected)):
        return math.inf
    scale = max(abs(expected), floor)
    return abs(number - expected) / scale if scale else math.inf


def rounded_again(model: Transformer) -> Transformer:
    """Copy a model with every weight moved by a few roundings, always the same ones.

    Examples
    --------
    >>> from numerics.models import ModelSpec
    >>> from numerics.schemes import build
    >>> model = build("tfixup", ModelSpec(1, 1), torch.Generator().manual_seed(0))
    >>> w, moved = (m.encoder[0].mlp.branch.w1.detach() for m in (model, rounded_again(model)))
    >>> 0 < float((moved / w - 1).abs().max()) < 1e-5
    True
    """
    moved, generator = copy.deepcopy(model), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in moved.parameters():
            # ε is half the distance of 1 to the next number.
            size = ROUNDINGS * torch.finfo(parameter.dtype).eps / 2
            drawn = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.mul_(1 + size * drawn.to(parameter.device))
    return moved
