"""Which share of ‖Δf‖/η each kind of parameter has: matrices, inputs, biases, the wiring's own.

One reverse pass for the gradient, one forward pass for the tangents of all groups side by side:
t_g = J_g g_g, whose sum is lim Δf/η of an SGD step up to its sign. Exact, float64, free inputs.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jvp, vmap

from numerics.linearization.autodiff import Cotangent, gradient
from numerics.linearization.measured_function import TokenBatch, features_of
from numerics.measure.updates import in_precision
from numerics.models import Transformer

MATRICES, INPUTS, OWN = "matrices", "inputs", "wiring's own"
KINDS = (MATRICES, INPUTS, OWN)


def kind_of(parameter: str) -> str:
    """Group of a parameter: weight matrices, embedded inputs, and all that a wiring adds.

    The last are layer norms' gains and biases, Admin's ω, ReZero's α, R-Fixup's scalars, DLCL's W.

    Examples
    --------
    >>> kind_of("encoder.0.mlp.branch.w1"), kind_of("source"), kind_of("encoder.0.mlp.norm.bias")
    ('matrices', 'inputs', "wiring's own")
    """
    if parameter in ("source", "target"):
        return INPUTS
    return MATRICES if parameter.endswith(("in_proj", "out_proj", ".w1", ".w2")) else OWN


def tangents_by(
    model: Transformer,
    batch: TokenBatch,
    cotangent: Cotangent,
    group_of: Callable[[str], str] = kind_of,
    groups: Sequence[str] = KINDS,
) -> Mapping[str, Float[Tensor, "B T D"]]:
    """t_g of a step along the gradient, for every group.

    Examples
    --------
    >>> from numerics.linearization.measured_function import random_batch
    >>> from numerics.models import ModelSpec
    >>> from numerics.schemes import build
    >>> model = build("tfixup", ModelSpec(1, 1), torch.Generator().manual_seed(0))
    >>> batch = random_batch(model.spec, torch.Generator().manual_seed(1), sequences=1, tokens=2)
    >>> found = tangents_by(model, batch, torch.ones_like)
    >>> float(found["wiring's own"].norm())  # without layer norm there is nothing else
    0.0
    """
    function, theta = features_of(in_precision(model, torch.float64), batch)
    _, slopes = gradient(function, theta, cotangent)
    own = {
        name: torch.stack([slope * float(group_of(name) == group) for group in groups])
        for name, slope in slopes.items()
    }
    tangents = vmap(lambda step: jvp(function, (theta,), (step,))[1])(own)
    return dict(zip(groups, tangents.detach(), strict=True))
