"""One tensor against what a recipe asks of it: the factor between them, and whether it is chance.

A sample standard deviation of n entries of kurtosis κ errs by √((κ − 1)/(4 n)). A tensor agrees
where the factor lies within `SIGMAS` such errors and `MARGIN` of 1. The margin lets a normal cut at
±3σ pass, which is narrower by 1.3 %. On 768 × 768 entries it leaves 2.4 % in all.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from numerics.own_model.audit.sample import Sample, describe
from numerics.recipes.asked import asks
from numerics.recipes.draw import Draw
from numerics.recipes.place import ModelSizes, ParameterPlace
from numerics.recipes.recipe import Recipe

MARGIN = 0.02
"""Relative difference that no recipe intends: a cut at ±3σ already makes 0.0134."""
SIGMAS = 4.0
"""Standard errors allowed: 6 in 100,000 tensors lie outside by chance."""
LOOSE_CUT = 2.5
"""A normal cut no closer than this counts as normal: its std is at least 0.95 of the nominal."""

Problem = Literal["", "scale", "shape", "outliers", "zero", "value"]


@dataclass(frozen=True)
class AuditRow:
    """One view of one parameter, measured and compared."""

    place: ParameterPlace
    sample: Sample
    asked: Draw | None
    """What the recipe asks; ``None`` where it says nothing or there is no recipe."""
    factor: float | None
    """Measured over asked standard deviation; ``None`` where nothing or a constant is asked."""
    tolerance: float
    """Largest |factor − 1| that is not a finding."""
    problem: Problem
    """What disagrees; empty where nothing does, or nothing is asked."""

    @property
    def agrees(self) -> bool | None:
        """Whether it is what the recipe asks; ``None`` where nothing is asked."""
        return None if self.asked is None else not self.problem


def selected(place: ParameterPlace, parameters: Mapping[str, Tensor]) -> Tensor:
    """The entries of a place, without a table's rows that are exactly 0."""
    entries = place.view.of(parameters[place.name].detach())
    if place.role in ("embedding", "positions", "head") and entries.dim() == 2:
        filled = entries.ne(0).any(dim=1)
        empty = int((~filled).sum())
        if 0 < empty <= max(2, len(entries) // 20):
            entries = entries[filled]
    return entries


def measure(
    found: tuple[ParameterPlace, ...], parameters: Mapping[str, Tensor]
) -> tuple[Sample, ...]:
    """Statistics of the entries of every place; views of the same entries are measured once."""
    known: dict[object, Sample] = {}
    samples = []
    for place in found:
        view = place.view
        key = (view.parameter, view.axis, view.rows, view.expert, place.role in ("bias",))
        if key not in known:
            known[key] = describe(selected(place, parameters))
        samples.append(known[key])
    return tuple(samples)


def compare(
    found: tuple[ParameterPlace, ...],
    samples: tuple[Sample, ...],
    recipe: Recipe | None,
    setting: ModelSizes,
) -> tuple[AuditRow, ...]:
    """Compare every place with the recipe."""
    asked = asks(recipe, found, setting) if recipe else (None,) * len(found)
    groups: dict[str, list[float]] = {}
    for draw, sample in zip(asked, samples, strict=True):
        if draw is not None and draw.profiled is not None and draw.std > 0:
            groups.setdefault(draw.profiled, []).append(sample.std / draw.std)
    rows = []
    for place, draw, sample in zip(found, asked, samples, strict=True):
        draw = _settled(draw, groups)
        rows.append(_row(place, sample, draw))
    return tuple(rows)


def _settled(draw: Draw | None, groups: dict[str, list[float]]) -> Draw | None:
    """A profiled group's common factor is its median: what is asked is that it is common."""
    if draw is None or draw.profiled is None:
        return draw
    factors = sorted(groups[draw.profiled])
    return Draw(draw.kind, draw.sigma * factors[len(factors) // 2], draw.cut, draw.value)


def _row(place: ParameterPlace, sample: Sample, asked: Draw | None) -> AuditRow:
    if asked is None or sample.count == 0:
        return AuditRow(place, sample, asked, None, 0.0, "")
    if asked.kind == "constant":
        wide = max(abs(asked.value), 1.0) * 1e-6
        same = sample.std <= wide and abs(sample.value - asked.value) <= wide
        return AuditRow(place, sample, asked, None, 0.0, "" if same else "value")
    factor = sample.std / asked.std
    tolerance = MARGIN + SIGMAS * math.sqrt((asked.kurtosis - 1) / (4 * sample.count))
    return AuditRow(
        place, sample, asked, factor, tolerance, _problem(sample, asked, factor, tolerance)
    )


def _problem(sample: Sample, asked: Draw, factor: float, tolerance: float) -> Problem:
    if sample.shape in ("zero", "constant"):
        return "zero" if sample.shape == "zero" else "value"
    off = abs(factor - 1) > tolerance
    if sample.shape == "heavy" and (not off or abs(sample.bulk / asked.std - 1) < 2 * tolerance):
        return "outliers"
    if off:
        return "scale"
    return "shape" if _other_shape(sample, asked) else ""


def _other_shape(sample: Sample, asked: Draw) -> bool:
    """Whether uniform stands for normal, or the other way round."""
    if sample.shape not in ("uniform", "normal", "truncated"):
        return False
    bell = sample.shape == "normal" or (sample.shape == "truncated" and sample.cut >= LOOSE_CUT)
    wants_bell = asked.kind == "normal" or (asked.kind == "truncated" and asked.cut >= LOOSE_CUT)
    if asked.kind == "truncated" and not wants_bell:
        return sample.shape == "uniform"
    return bell != wants_bell


def parameters_of(model: torch.nn.Module) -> dict[str, Tensor]:
    """The model's parameters by name, tied ones once."""
    return dict(model.named_parameters())
