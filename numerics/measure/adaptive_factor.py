"""Adam's adaptive factor by sampling: ψ = ((g_1² + … + g_ρ²)/ρ)^(-1/2) over Gaussian gradients g.

The variance of RAdam's §3–4 as an experiment: gradients are drawn, not ψ's distribution. Intervals
are Student's over independent groups of draws, so that nothing is assumed of ψ's fourth moment.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from numerics.statistics.estimates import Estimate, mean_estimate
from theory.errors import InputError, require_positive

GROUPS = 40


def adaptive_factors(
    degrees: int, draws: int, generator: torch.Generator
) -> Float[Tensor, " draws"]:
    """Adaptive factors ψ of ``draws`` independent averages over ρ squares of N(0, 1), in float64.

    Examples
    --------
    >>> psi = adaptive_factors(500, 100, torch.Generator().manual_seed(0))
    >>> 0.99 < float(psi.mean()) < 1.01
    True
    """
    require_positive(degrees=degrees, draws=draws)
    g = torch.randn(draws, degrees, generator=generator, dtype=torch.float64)
    return g.square().mean(dim=1).rsqrt()


def sampled_variance(
    degrees: int, draws: int, generator: torch.Generator, *, groups: int = GROUPS
) -> Estimate:
    """Var[ψ] at σ = 1: the mean of the groups' unbiased variances.

    Parameters
    ----------
    degrees
        ρ, how many gradients are averaged.
    draws
        Values of ψ in all, at least two per group.
    generator
        Draws the gradients.
    groups
        Independent groups that the interval is made of.

    Examples
    --------
    >>> found = sampled_variance(10, 20_000, torch.Generator().manual_seed(0))
    >>> found.low < 0.07555 < found.high  # the exact value
    True
    """
    if groups < 2:
        raise InputError(f"groups must be at least 2, got {groups}")
    each = draws // groups
    if each < 2:
        raise InputError(f"draws must be at least {2 * groups}, two a group, got {draws}")
    return mean_estimate(
        [float(adaptive_factors(degrees, each, generator).var()) for _ in range(groups)]
    )
