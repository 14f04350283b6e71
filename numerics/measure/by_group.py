"""How far one optimizer step moves f, split below the parts: by matrix, by layer, by kind.

For every group p of a grouping (`numerics.linearization.groupings.GROUPINGS`),

    update           ‖J_p s_p‖, exact: what the group's step alone does to the output
    gradient_energy  ‖J_pᵀu‖²

with g = Jᵀu and the step s(g) of the whole tensor, as in ``updates.py``. The tangents J_p s_p of
all groups add up to lim Δf/η. The time grows with the number of groups, so it is quadratic in depth
by layer.

Names: ``decoder.mlp.w1``, ``encoder.attention.q``, ``encoder.mlp.norm``, ``decoder.mlp.bias2``,
``embeddings.source`` by matrix; ``decoder.mlp.17`` by layer, from 0, with what no layer owns under
the name of its part.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from numerics.linearization.engines import linearize
from numerics.linearization.measured_function import InputKind, in_precision
from numerics.linearization.types import Cotangent, Linearization
from numerics.linearization.update_directions import step_rule_named
from numerics.measure.updates import scaled_norms
from numerics.models import Transformer
from numerics.models.tokens import TokenBatch


def tangents_by(
    grouping: str,
    model: Transformer,
    batch: TokenBatch,
    cotangent: Cotangent,
    *,
    optimizer: str = "sgd",
    inputs: InputKind = "free",
    dtype: torch.dtype = torch.float64,
) -> Mapping[str, Float[Tensor, "B T D"]]:
    """Return what the step of each group does to f, as vectors: J_p s_p by group.

    Parameters
    ----------
    grouping
        A name in `numerics.linearization.groupings.GROUPINGS`.
    model
        It is not changed, and measured without dropout.
    batch, cotangent, optimizer, inputs
        As for `numerics.measure.updates.measure_update`.
    dtype
        The precision.

    Examples
    --------
    >>> from numerics.models import ModelSpec
    >>> from numerics.models.tokens import random_batch
    >>> from numerics.schemes import build
    >>> model = build("tfixup", ModelSpec(1, 1), torch.Generator().manual_seed(0))
    >>> batch = random_batch(model.spec, torch.Generator().manual_seed(1), sequences=1, tokens=2)
    >>> found = tangents_by("kind", model, batch, torch.ones_like)
    >>> list(found)  # without layer norm the wiring has no parameters of its own
    ['inputs', 'matrices']
    """
    [found] = linearize(
        [in_precision(model, dtype)],
        [batch],
        [cotangent],
        step_rule_named(optimizer),
        groups=grouping,
        inputs=inputs,
    )
    return dict(zip(found.groups, found.tangents, strict=True))


def norms(found: Linearization) -> Float[Tensor, " P"]:
    """Take the norm of every group's tangent, ‖J_p s_p‖, in float64."""
    return scaled_norms(found.tangents.flatten(1).to(torch.float64))
