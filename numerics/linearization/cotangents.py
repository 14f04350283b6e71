"""Cotangents on the output: the directions u in which a measurement looks.

A cotangent is a function f ↦ u, because u may depend on f, as the gradient of a loss does.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from numerics.linearization.types import Cotangent
from numerics.models import Transformer
from numerics.models.tokens import output_table


def random_cotangent(shape: Sequence[int], generator: torch.Generator) -> Cotangent:
    """Draw a Gaussian u with ‖u‖ = 1, the same for every f, precision and device.

    Examples
    --------
    >>> u = random_cotangent((2, 3), torch.Generator().manual_seed(0))(torch.zeros(2, 3))
    >>> round(float(u.norm()), 6)
    1.0
    """
    drawn = torch.randn(*shape, generator=generator, dtype=torch.float64)
    unit = drawn / drawn.norm()
    return lambda output: unit.to(device=output.device, dtype=output.dtype)


def cross_entropy_cotangent(
    model: Transformer, labels_BT: Int[Tensor, "B T"], *, unit: bool = True
) -> Cotangent:
    """Return the direction of the training loss's gradient: f ↦ ∂L/∂f / ‖∂L/∂f‖.

    L is the cross-entropy of the labels behind the model's output projection, its mean over tokens.

    Parameters
    ----------
    model
        The model whose output table and logit multiplier make logits of f; they do not move.
    labels_BT
        The token that each position should give.
    unit
        Whether the gradient is divided by its norm.

    Examples
    --------
    >>> from numerics.models import ModelSpec
    >>> from numerics.schemes import build
    >>> model = build("tfixup", ModelSpec(1, 1), torch.Generator().manual_seed(0))
    >>> u = cross_entropy_cotangent(model, torch.tensor([[3, 5]]))(torch.ones(1, 2, 64))
    >>> tuple(u.shape), round(float(u.norm()), 5)
    ((1, 2, 64), 1.0)
    """
    table = output_table(model)

    def cotangent(output: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        table_VD = table.detach().to(output.dtype)
        # ∂L/∂logits = softmax(logits) − onehot(label), over the number of tokens.
        surprise_BTV = (output @ table_VD.T).softmax(-1)
        surprise_BTV = surprise_BTV.scatter_add(
            -1, labels_BT[..., None], -torch.ones_like(surprise_BTV[..., :1])
        )
        slope_BTD = surprise_BTV @ table_VD
        return slope_BTD / (torch.linalg.vector_norm(slope_BTD) if unit else labels_BT.numel())

    return cotangent
