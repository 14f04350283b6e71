"""How much a forward pass amplifies rounding errors: the warning light of a measurement's accuracy.

Two operations of a Transformer amplify them. A softmax of logits z turns a relative error ε of z
into a relative error ε|z| of its weights, and where |z| is large a weight's derivative is decided
by ties. A layer norm subtracts the mean of its input and turns a relative error ε into ε |mean|/σ.
The *strain* of a forward pass is the largest |z| and |mean|/σ in it. It is below 20 in every model
that a scheme draws with layer norms or small scales. Errors multiply from layer to layer, so a
measurement is already checked where the strain is moderate: see `numerics.measure.accuracy`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode


def norm_strain(
    mean: Float[Tensor, "*rows"], inverse: Float[Tensor, "*rows"]
) -> Float[Tensor, "*rows"]:
    """Return |mean|/σ, and infinity where the variance overflowed, so that 1/σ came out as 0.

    Examples
    --------
    >>> norm_strain(torch.tensor([2.0, 2.0]), torch.tensor([3.0, 0.0]))
    tensor([6., inf])
    """
    return torch.where(inverse > 0, mean.abs() * inverse, float("inf"))


class StrainGauge(TorchFunctionMode):
    """While active, records the strain of every softmax and layer norm that is called.

    Examples
    --------
    >>> with StrainGauge() as gauge:
    ...     _ = torch.tensor([1.0, -30.0, -torch.inf]).softmax(-1)
    >>> gauge.strain(like=torch.zeros(1))
    tensor(30.)
    """

    def __init__(self) -> None:
        super().__init__()
        self._logits: list[Tensor] = []
        self._rows: list[Tensor] = []

    def strain(self, *, like: Tensor) -> Float[Tensor, ""]:
        """Return the largest strain so far, 0 if there was none, on the device of ``like``."""
        with torch.no_grad():
            found = [like.new_zeros(()), *map(_norm, self._rows)]
            if self._logits:
                # All at once: an operation per softmax would cost more than its arithmetic.
                logits = torch.cat([each.flatten() for each in self._logits])
                # Minus infinity hides a key; it is exact.
                found.append(torch.where(logits == float("-inf"), 0, logits).abs().amax())
            return torch.stack([each.to(like.dtype) for each in found]).amax()

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, and keep what a softmax or a layer norm reads."""
        del types
        name = getattr(func, "__name__", "")
        if name == "softmax":
            self._logits.append(args[0].detach())
        elif name == "layer_norm":
            self._rows.append(args[0].detach())
        elif name == "scaled_dot_product_attention":
            query, key = (each.detach() for each in args[:2])
            self._logits.append(query @ key.mT * query.shape[-1] ** -0.5)
        return func(*args, **(kwargs or {}))


def _norm(rows: Tensor) -> Float[Tensor, ""]:
    variance, mean = torch.var_mean(rows, dim=-1, correction=0)
    return norm_strain(mean, (variance + torch.finfo(rows.dtype).tiny).rsqrt()).amax()
