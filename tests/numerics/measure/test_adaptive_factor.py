import math

import pytest
import torch

from numerics.evidence import radam
from numerics.measure.adaptive_factor import adaptive_factors, sampled_variance
from theory.claims import Context
from theory.errors import InputError


@pytest.mark.parametrize("degrees", [1, 5, 50])
def test_factors_are_inverse_roots_of_chi_squared_means(degrees):
    psi = adaptive_factors(degrees, 20_000, torch.Generator().manual_seed(degrees))
    # ρ/ψ² is χ² with ρ degrees of freedom: mean ρ, variance 2ρ.
    chi = degrees / psi.square()
    assert float(chi.mean()) == pytest.approx(degrees, rel=0.05)
    assert float(chi.var()) == pytest.approx(2 * degrees, rel=0.1)


def test_the_interval_covers_the_variance_by_gamma_functions():
    ratio = math.exp(2 * (math.lgamma(4.5) - math.lgamma(5)))
    exact = 10 / 8 - 5 * ratio
    covered = 0
    for seed in range(60):
        found = sampled_variance(10, 8_000, torch.Generator().manual_seed(seed))
        covered += found.interval[0] <= exact <= found.interval[1]
    assert 51 <= covered <= 60


def test_bad_sizes_are_refused():
    generator = torch.Generator()
    with pytest.raises(InputError, match="degrees"):
        adaptive_factors(0, 10, generator)
    with pytest.raises(InputError, match="draws"):
        sampled_variance(5, 40, generator)


@pytest.mark.parametrize("provider", radam.PROVIDERS, ids=lambda p: p.claims[0])
def test_evidence_is_admissible_at_another_seed(provider):
    for item in provider(Context(seed=7)):
        assert item.admissible, item.summary


@pytest.mark.parametrize(
    ("draws", "groups", "words"),
    [
        (100, 1, "groups must be at least 2, got 1"),
        (100, 0, "groups must be at least 2, got 0"),
        (7, 4, "draws must be at least 8, two a group, got 7"),
    ],
)
def test_a_variance_needs_two_groups_of_two_draws(draws: int, groups: int, words: str) -> None:
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(InputError, match=words):
        sampled_variance(5, draws, generator, groups=groups)
    assert sampled_variance(5, 8, generator, groups=4).value > 0
