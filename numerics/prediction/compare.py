"""The zero-parameter prediction of ‖Jᵀu‖² beside its measurement, part by part.

What is predicted is the network that ``network_description.py`` makes of a scheme; the same
energies are measured with one reverse pass per seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

import torch
from torch import Tensor

from numerics.linearization.autodiff import energy, gradient
from numerics.linearization.cotangents import random_cotangent
from numerics.linearization.measured_function import InputKind, features_of
from numerics.models import ModelSpec
from numerics.models.roles import LEAF_PARTS, part_of
from numerics.models.tokens import random_batch
from numerics.prediction.network import network_of as network_of
from numerics.schemes import Scheme, build
from numerics.statistics.estimates import Estimate
from theory.errors import InputError
from theory.mean_field import predict as mean_field
from theory.mean_field.predict import EVERYTHING, Assumptions, Prediction


def measured_energies(
    scheme: str | Scheme,
    spec: ModelSpec,
    seed: int,
    *,
    sequences: int = 8,
    tokens: int = 16,
    inputs: InputKind = "free",
) -> Mapping[str, float]:
    """Squared gradients by part, ‖J_pᵀu‖², of one draw of weights, tokens and u.

    Examples
    --------
    >>> found = measured_energies("tfixup", ModelSpec(1, 1), 0)
    >>> tuple(found) == LEAF_PARTS
    True
    """
    generator = torch.Generator().manual_seed(seed)
    model = build(scheme, spec, generator).eval()
    batch = random_batch(model.spec, generator, sequences=sequences, tokens=tokens)
    u = random_cotangent((sequences, tokens, spec.d_model), generator)
    function, parameters = features_of(model, batch, inputs)
    output, gradients = gradient(function, parameters, u)
    by_part: dict[str, list[Tensor]] = {part: [] for part in LEAF_PARTS}
    for name, slope in gradients.items():
        by_part.setdefault(part_of(name), []).append(slope)
    return {part: float(energy(slopes, like=output)) for part, slopes in by_part.items()}


def predict(
    scheme: str | Scheme,
    spec: ModelSpec,
    *,
    assumptions: Assumptions = EVERYTHING,
    inputs: InputKind = "free",
) -> Prediction:
    """The gradient's energy of every part of a scheme's model, with no fitted number.

    E ‖J_pᵀu‖² over weights, tokens and cotangents u of unit norm, by
    `theory.mean_field.predict.predict`.

    Parameters
    ----------
    scheme, spec
        What is predicted.
    assumptions
        Switches of the prediction.
    inputs
        As for `numerics.measure.updates.measure_update`.

    Raises
    ------
    InputError
        For a model that the theory does not describe.

    Examples
    --------
    >>> found = predict("tfixup", ModelSpec(6, 6))
    >>> round(float(found.part("decoder.mlp")), 2)
    10.27
    """
    free = inputs == "free"
    return mean_field.predict(network_of(scheme, spec), assumptions, free_inputs=free)


@dataclass(frozen=True)
class PartComparison:
    """One part: prediction beside the mean of its measurements."""

    part: str
    predicted: float
    measured: float
    standard_error: float
    """Of the mean over draws."""

    @property
    def deviation(self) -> float:
        """Relative deviation, predicted/measured − 1; 0 where both are exactly 0."""
        if self.predicted == self.measured == 0:
            return 0.0
        return self.predicted / self.measured - 1 if self.measured else float("inf")

    @property
    def noise(self) -> float:
        """Relative standard error of the mean."""
        return self.standard_error / self.measured if self.measured else 0.0

    @property
    def error(self) -> float:
        """Standard error of the deviation."""
        return (1 + self.deviation) * self.noise if self.measured else 0.0

    def within(self, margin: float) -> bool | None:
        """Whether the prediction is within ``margin`` of the mean, as an equivalence test.

        True where the deviation's size plus 2 standard errors is at most ``margin``. False where
        its size minus 2 standard errors is above it. ``None`` where the draws scatter too much to
        tell.

        Examples
        --------
        >>> PartComparison("total", 1.02, 1.0, 0.01).within(0.05)
        True
        >>> PartComparison("total", 1.2, 1.0, 0.01).within(0.05)
        False
        >>> PartComparison("total", 1.05, 1.0, 0.01).within(0.05) is None
        True
        """
        half = 2 * self.error
        return Estimate(self.deviation, self.deviation - half, self.deviation + half).within(
            0.0, margin
        )


def compare(
    scheme: str | Scheme,
    spec: ModelSpec,
    seeds: int,
    *,
    first_seed: int = 0,
    predicted_scheme: str | Scheme | None = None,
    assumptions: Assumptions = EVERYTHING,
    inputs: InputKind = "free",
) -> tuple[PartComparison, ...]:
    """Prediction and mean over seeds of every part.

    Parameters
    ----------
    scheme, spec
        What is measured.
    seeds, first_seed
        Draws of weights, tokens and cotangent.
    predicted_scheme
        What is predicted, if another scheme: a negative control.
    assumptions
        Switches of the prediction.
    inputs
        As for `numerics.measure.updates.measure_update`.

    Raises
    ------
    InputError
        If fewer than two seeds are asked for: one has no standard error.
    """
    if seeds < 2:
        raise InputError(f"a comparison needs at least 2 seeds, got {seeds}")
    found = predict(predicted_scheme or scheme, spec, assumptions=assumptions, inputs=inputs)
    draws = [
        measured_energies(scheme, spec, seed, inputs=inputs)
        for seed in range(first_seed, first_seed + seeds)
    ]
    return tuple(
        PartComparison(
            part,
            float(found.part(part)),
            mean(draw[part] for draw in draws),
            stdev(draw[part] for draw in draws) / sqrt(seeds),
        )
        for part in draws[0]
    )
