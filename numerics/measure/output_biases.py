"""How far trained biases move f, those added to the stream apart from those inside a branch.

An SGD step of all parameters moves f by η times

    J s = t_rest + t_output + t_inner,

with the tangents of the matrices and inputs, of the *output* biases (behind attention's w and the
MLP's W₂) and of the *inner* ones (q, k, v and W₁). Biases that enter as c b with c fixed have the
gradient c ∂L/∂b and move f by c² of it: c = 0 leaves them out, and learning rates η c² do the same.
"""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from numerics.linearization.groupings import INNER_BIASES, OUTPUT_BIASES, REST
from numerics.linearization.types import Cotangent
from numerics.measure.by_group import tangents_by
from numerics.models import Transformer
from numerics.models.tokens import TokenBatch
from theory.errors import InputError


def bias_tangents(
    model: Transformer, batch: TokenBatch, cotangent: Cotangent
) -> Mapping[str, Float[Tensor, "B T D"]]:
    """Return the tangents of a gradient step by kind of bias, with free inputs, in float64.

    They are t_rest, t_output and t_inner under the names ``rest``, ``output biases`` and
    ``inner biases``.

    Raises
    ------
    InputError
        If the model has no biases.

    Examples
    --------
    >>> import torch
    >>> from numerics.models.tokens import random_batch
    >>> from numerics.models import ModelSpec
    >>> from numerics.schemes import build
    >>> model = build("tfixup", ModelSpec(1, 1, biases=True), torch.Generator().manual_seed(0))
    >>> batch = random_batch(model.spec, torch.Generator().manual_seed(1), sequences=1, tokens=2)
    >>> found = bias_tangents(model, batch, torch.ones_like)
    >>> update(found, output=1.0) > update(found, output=0.0)
    True
    """
    if not model.spec.biases:
        raise InputError("the model must have biases, got biases=False")
    return tangents_by("bias", model, batch, cotangent)


def update(tangents: Mapping[str, Tensor], *, output: float = 0.0, inner: float = 0.0) -> float:
    """Measure the step with factors c on either kind of bias.

    It is ‖t_rest + output² t_output + inner² t_inner‖.

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1)
    >>> update({"rest": one, "output biases": one, "inner biases": one}, output=2.0)
    5.0
    """
    moved = tangents[REST] + output**2 * tangents[OUTPUT_BIASES]
    return float((moved + inner**2 * tangents[INNER_BIASES]).norm())
