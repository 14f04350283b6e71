"""‖Δf‖/η with trained biases, those added to the stream apart from those inside a branch.

An SGD step of all parameters moves f by η times

    J s = t_rest + t_output + t_inner,

with the tangents of the matrices and inputs, of the *output* biases (behind attention's w and the
MLP's W₂) and of the *inner* ones (q, k, v and W₁). Biases that enter as c b with c fixed have the
gradient c ∂L/∂b and move f by c² of it: c = 0 leaves them out, and learning rates η c² do the same.
"""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from numerics.linearization.autodiff import Cotangent
from numerics.linearization.measured_function import TokenBatch
from numerics.measure.parameter_groups import tangents_by
from numerics.models import Transformer
from theory.errors import InputError

REST, OUTPUT, INNER = "rest", "output", "inner"
GROUPS = {"out_bias": OUTPUT, "bias2": OUTPUT, "in_bias": INNER, "bias1": INNER}
"""Group of a bias by the last word of its name."""


def bias_tangents(
    model: Transformer, batch: TokenBatch, cotangent: Cotangent
) -> Mapping[str, Float[Tensor, "B T D"]]:
    """t_rest, t_output and t_inner of a step along the gradient, free inputs, float64.

    Raises
    ------
    InputError
        If the model has no biases.

    Examples
    --------
    >>> import torch
    >>> from numerics.linearization.measured_function import random_batch
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
    return tangents_by(model, batch, cotangent, _group, (REST, OUTPUT, INNER))


def _group(name: str) -> str:
    return GROUPS.get(name.rpartition(".")[2], REST)


def update(tangents: Mapping[str, Tensor], *, output: float = 0.0, inner: float = 0.0) -> float:
    """‖t_rest + output² t_output + inner² t_inner‖, the factors c on either kind of bias.

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1)
    >>> update({"rest": one, "output": one, "inner": one}, output=2.0)
    5.0
    """
    moved = tangents[REST] + output**2 * tangents[OUTPUT] + inner**2 * tangents[INNER]
    return float(moved.norm())
