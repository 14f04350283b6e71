import math

import numpy as np
import pytest
import torch

from numerics.models import ModelSpec
from numerics.models.tokens import random_batch
from numerics.schemes import build
from numerics.signals.gradients import MatrixGradient, matrix_gradients
from numerics.signals.histograms import adam_histograms, gradient_histograms, histogram
from theory.errors import InputError


def test_counts_are_numpy_s_and_nothing_is_lost():
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values[:7] = 0
    values[7], values[8] = 1e9, 1e-20
    found = histogram([values[:500], values[500:].reshape(20, 25)])
    exact, _ = np.histogram(
        np.clip(values[values != 0].abs().log10().numpy(), -12, 4 - 1e-9), bins=found.edges
    )
    assert list(found.counts) == exact.tolist()
    assert found.zeros == 7
    assert found.total == 1000
    assert found.counts[-1] == found.counts[0] == 1
    assert found.median == pytest.approx(math.log10(0.6745), abs=0.25)


def test_adam_s_first_updates_are_signs_whatever_the_gradients_size():
    spec = ModelSpec(2, 2, d_model=8, d_ff=12, vocabulary=30)
    model = build("post-ln", spec, torch.Generator().manual_seed(0), dtype=torch.float64).eval()
    steps = []
    for seed in range(3):
        batch = random_batch(spec, torch.Generator().manual_seed(seed), sequences=2, tokens=3)
        u = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(seed)).double()
        steps.append(
            matrix_gradients(
                model, lambda batch=batch: model.features(batch.source_BS, batch.target_BT), u
            )
        )
    gradients, first = gradient_histograms(steps[0]), adam_histograms(steps[:1])
    assert set(gradients) == set(first)
    role = "encoder.mlp.w2"
    assert abs(first[role].median) <= 0.125
    third = adam_histograms(steps)[role]
    assert third.median < 0.125
    assert sum(count > 0 for count in third.counts) > sum(count > 0 for count in first[role].counts)


def test_bad_histograms_are_refused():
    with pytest.raises(InputError, match="must be finite"):
        histogram([torch.tensor([1.0, float("nan")])])
    with pytest.raises(InputError, match="not 0, got none"):
        histogram([torch.zeros(3)])
    with pytest.raises(InputError, match="ascend, got"):
        histogram([torch.ones(3)], decades=(1, 1))
    with pytest.raises(InputError, match="at least one step"):
        adam_histograms([])
    rows = [MatrixGradient("a", 0, torch.ones(1)), MatrixGradient("b", 0, torch.ones(1))]
    with pytest.raises(InputError, match="same matrices"):
        adam_histograms([rows[:1], rows[1:]])
