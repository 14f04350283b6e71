"""Measures how much each branch weighs in each layer's output of a real stack (Admin, §4.1).

Let x_i be the sum that block i forms, before its layer norm if that comes after. Let a_j be what
branch j adds to it, factors included. Both are read off one forward pass and taken as vectors over
all elements:

    own weight      β_{i,i}² = Var[a_i]/Var[x_i]
    correlation     cos²(x_i, a_j), which is β_{i,j}² if branches are independent

The own weight needs no assumption. The correlation tests one. ``amplification`` is Σ β_{i,i}².
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from numerics.models.blocks import Site
from theory.errors import InputError


@dataclass(frozen=True)
class Dependency:
    """Weights of the branches of one stack."""

    own: tuple[float, ...]
    """Own weights β_{i,i}² for i = 1…n, in the order of the blocks."""
    correlations: Float[Tensor, "n n"]
    """Squared cosines cos²(x_i, a_j); 0 above the diagonal."""
    branches: tuple[float, ...]
    """Variances Var[a_i] of what the branches add."""

    @property
    def amplification(self) -> float:
        """Amplification of independent small changes of the branches: Σ_i β_{i,i}²."""
        return sum(self.own)


def stream_sum(site: Site) -> Float[Tensor, "B T D"]:
    """The sum x_i of the shortcut and the branch."""
    if site.block.wiring.norm_after:
        return site.block.skip(site.before, site.added)
    return site.after


def dependency(sites: Sequence[Site]) -> Dependency:
    """Measure the layer dependency β of one stack's blocks.

    Raises
    ------
    InputError
        If there is no block, or one that adds nothing, as a branch that starts at 0.

    Examples
    --------
    >>> from numerics.models import Architecture, ModelSpec
    >>> from numerics.schemes import build
    >>> from numerics.signals.residual_stream import sites
    >>> spec = ModelSpec(3, 0, architecture=Architecture.ENCODER_ONLY)
    >>> model = build("post-ln", spec, torch.Generator().manual_seed(0))
    >>> x = torch.randn(4, 8, 64, generator=torch.Generator().manual_seed(1))
    >>> found = dependency(sites(model, lambda: model.encode(x)))
    >>> len(found.own), all(0 < weight < 1 for weight in found.own)
    (6, True)
    """
    if not sites:
        raise InputError("a dependency needs at least one residual block, got none")
    sums = torch.stack([_centred(stream_sum(site)) for site in sites])
    branches = torch.stack([_centred(site.added) for site in sites])
    variances, totals = branches.square().mean(1), sums.square().mean(1)
    if not bool((variances > 0).all()):
        raise InputError("a dependency needs branches that vary, got one whose output is constant")
    products = (sums @ branches.T / sums.shape[1]).square()
    return Dependency(
        tuple((variances / totals).tolist()),
        (products / totals[:, None] / variances).tril(),
        tuple(variances.tolist()),
    )


def _centred(tensor: Tensor) -> Tensor:
    flat = tensor.detach().double().flatten()
    return flat - flat.mean()
